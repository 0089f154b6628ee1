"""Finding actions, and loading connectors from everywhere they may come from."""

import tomllib
from pathlib import Path

import pytest

from connectors.errors import ConnectorNameTaken, ConnectorUnavailable, UnknownAction
from connectors.memory import Memory
from connectors.registry import SHIPPED, ConnectorContext, Registry
from request_models.actions import ActionSpec
from request_models.value_types import ObjectType

CLONE = Path(__file__).parents[3]

EXTENSION = """
from connectors.memory import Memory
from request_models.actions import ActionSpec
from request_models.value_types import ObjectType

def connector(settings, context):
    made = Memory(settings.get("name", "{name}"))
    made.define(ActionSpec(name=made.name + ".ring", title="Ring", arguments=ObjectType(), result=ObjectType()))
    return made
"""


def spec(name: str, digest: str | None = None) -> ActionSpec:
    return ActionSpec(name=name, title=name, arguments=ObjectType(), result=ObjectType(), content_digest=digest)


def memory(name: str, *actions: str) -> Memory:
    made = Memory(name)
    for action in actions:
        made.define(spec(action))
    return made


def extension(folder: Path, name: str, text: str | None = None) -> ConnectorContext:
    (folder / "extensions").mkdir(exist_ok=True, parents=True)
    (folder / "extensions" / f"{name}.py").write_text(text if text is not None else EXTENSION.format(name=name))
    return ConnectorContext(state=folder, content_folders=(folder,))


def test_an_action_is_found_by_its_full_name() -> None:
    registry = Registry([memory("bell", "bell.ring"), memory("door", "door.open")])
    assert registry.action("door.open").spec.name == "door.open"
    assert registry.spec("bell.ring") == spec("bell.ring")
    assert registry.connectors == ("bell", "door")
    assert sorted(registry.names()) == ["bell.ring", "door.open"]


@pytest.mark.parametrize("name", ["bell.rung", "bel.ring", "bell", "", ".", "bell.", "door.open.wide"])
def test_a_name_that_is_none_has_no_spec(name: str) -> None:
    assert Registry([memory("bell", "bell.ring")]).spec(name) is None


def test_an_unknown_action_says_what_was_probably_meant() -> None:
    registry = Registry([memory("bell", "bell.ring")])
    with pytest.raises(UnknownAction, match=r"no action 'bell\.rung'.*Did you mean bell\.ring\?") as caught:
        registry.action("bell.rung")
    assert caught.value.suggestions == ("bell.ring",)


def test_a_mistyped_connector_is_recognised() -> None:
    assert Registry([memory("bell", "bell.ring")]).suggestions("bel.ring") == ["bell.ring"]


def test_an_unknown_system_lists_the_systems_there_are() -> None:
    with pytest.raises(UnknownAction, match="The connectors loaded are: bell"):
        Registry([memory("bell", "bell.ring")]).action("zzz.open")


def test_two_connectors_of_one_name_are_refused() -> None:
    with pytest.raises(ConnectorNameTaken, match="Two connectors are named 'bell'"):
        Registry([memory("bell"), memory("bell")])


def test_content_is_found_whichever_connector_holds_it() -> None:
    holder = Memory("bell")
    holder.define(spec("bell.ring", digest="d1"), archive=b"tar")
    registry = Registry([memory("door"), holder])
    assert registry.content("d1") == b"tar"
    assert registry.content("d2") is None


def test_closing_closes_every_connector_even_when_one_breaks() -> None:
    closed: list[str] = []

    class Closing(Memory):
        def close(self) -> None:
            closed.append(self.name)
            if self.name == "b":
                raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        Registry([Closing("a"), Closing("b"), Closing("c")]).close()
    assert sorted(closed) == ["a", "b", "c"]


def test_the_built_in_table_is_the_one_of_the_distribution() -> None:
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["orderly.connectors"] == SHIPPED


def test_the_shipped_connectors_are_discovered(tmp_path: Path) -> None:
    with Registry.discover({}, ConnectorContext(state=tmp_path)) as registry:
        assert set(SHIPPED) <= set(registry.connectors)


def test_a_user_extension_is_loaded_by_path_and_told_its_settings(tmp_path: Path) -> None:
    with Registry.discover({"bell": {"name": "bell"}}, extension(tmp_path, "bell")) as registry:
        assert registry.action("bell.ring").spec.title == "Ring"


def test_an_extension_package_imports_its_own_modules(tmp_path: Path) -> None:
    package = tmp_path / "extensions" / "bell"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import importlib\nconnector = importlib.import_module(__name__ + '.inner').connector\n"
    )
    (package / "inner.py").write_text(EXTENSION.format(name="bell"))
    with Registry.discover({}, ConnectorContext(state=tmp_path, content_folders=(tmp_path,))) as registry:
        assert registry.spec("bell.ring") is not None


def test_an_extension_cannot_take_the_name_of_a_shipped_connector(tmp_path: Path) -> None:
    with pytest.raises(ConnectorNameTaken, match="Two connectors are named 'aws'"):
        Registry.discover({}, extension(tmp_path, "aws"))


def test_an_extension_named_like_a_module_hides_nothing(tmp_path: Path) -> None:
    import json

    with Registry.discover({}, extension(tmp_path, "json")):
        import json as again
    assert again is json


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise RuntimeError('no such library')", "RuntimeError: no such library"),
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("x = 1", "has no function connector"),
        ("def connector(settings, context):\n    return 3", "AttributeError"),
        ("connector = 3", "TypeError"),
        ("def connector(:", "SyntaxError"),
    ],
)
def test_a_connector_that_does_not_load_is_named_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConnectorUnavailable, match=why) as caught:
        Registry.discover({}, extension(tmp_path, "bell", text))
    assert caught.value.connector == "bell"
    assert str(tmp_path / "extensions" / "bell.py") in str(caught.value)


def test_a_connector_that_calls_itself_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConnectorUnavailable, match="it calls itself 'gong'"):
        Registry.discover({"bell": {"name": "gong"}}, extension(tmp_path, "bell"))


def test_wrong_settings_name_the_connector_and_the_key_but_not_the_value(tmp_path: Path) -> None:
    with pytest.raises(ConnectorUnavailable, match=r"connectors\.aws\.regionn: Extra inputs") as caught:
        Registry.discover({"aws": {"regionn": "hush-hush"}}, ConnectorContext(state=tmp_path))
    assert "hush-hush" not in str(caught.value)


def test_hidden_and_private_files_are_no_extensions(tmp_path: Path) -> None:
    for name in ("_private", ".hidden"):
        extension(tmp_path, name, "raise RuntimeError")
    with Registry.discover({}, ConnectorContext(state=tmp_path, content_folders=(tmp_path,))) as registry:
        assert set(registry.connectors) == set(SHIPPED)
