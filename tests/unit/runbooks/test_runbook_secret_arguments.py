"""Arguments that are secrets say so; the compiler then keeps them where they belong."""

from pathlib import Path

import pytest

from connectors.registry import ConnectorContext
from connectors.runbook import UnsafeRunbook, connector
from request_models.actions import ActionSpec
from request_models.secret_names import names_a_secret

SPECS = "argument_specs: {main: {options: {store_value: {type: str, no_log: true}, store_place: {type: str}}}}"


def _spec(folder: Path, arguments: str, given: str) -> ActionSpec:
    files = {
        "roles/store/meta/argument_specs.yml": SPECS,
        "roles/store/tasks/main.yml": "- ansible.builtin.debug: {msg: x}\n",
        "playbooks/keep.yml": f"- {{hosts: all, roles: [{{role: store, vars: {given}}}]}}\n",
        "playbooks/keep.meta.yml": f"{{title: T, check_mode: none, arguments: {arguments}}}\n",
    }
    for path, text in files.items():
        file = folder / "content" / "runbooks" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    action = connector({}, ConnectorContext(folder / "state", (folder / "content",), "dev")).find("runbook.keep")
    assert action is not None
    return action.spec


@pytest.mark.parametrize("name", ["password", "db_passwd", "api_key", "client_secret", "token"])
def test_an_argument_named_like_a_secret_must_say_whether_it_is_one(tmp_path: Path, name: str) -> None:
    given = f"{{store_place: '{{{{ {name} }}}}'}}"
    with pytest.raises(UnsafeRunbook, match=rf"keep\.meta\.yml: arguments\.{name}: .*no_log: true"):
        _spec(tmp_path, f"{{{name}: {{type: str}}}}", given)
    assert _spec(tmp_path, f"{{{name}: {{type: str, no_log: true}}}}", given).arguments.members[name].type.secret
    assert not _spec(tmp_path, f"{{{name}: {{type: str, no_log: false}}}}", given).arguments.members[name].type.secret


@pytest.mark.parametrize("name", ["password_length", "update_password", "public_key", "ssh_keys", "key", "tokens_used"])
def test_names_that_only_sound_like_secrets_are_left_alone(name: str) -> None:
    assert not names_a_secret(name)


@pytest.mark.parametrize("name", ["Password", "MasterUserPassword", "SecretString", "private-key", "apiKey"])
def test_names_of_other_systems_are_understood(name: str) -> None:
    assert names_a_secret(name)


def test_what_a_role_keeps_secret_its_playbook_must_too(tmp_path: Path) -> None:
    with pytest.raises(UnsafeRunbook, match=r"arguments\.word: .*`store_value`.*roles/store/meta/argument_specs\.yml"):
        _spec(tmp_path, "{word: {type: str}}", "{store_value: 'x-{{ word }}'}")
    kept = _spec(tmp_path, "{word: {type: str, no_log: true}}", "{store_value: 'x-{{ word }}'}")
    shown = _spec(tmp_path, "{word: {type: str}}", "{store_place: '{{ word }}'}")
    assert (kept.arguments.members["word"].type.secret, shown.arguments.members["word"].type.secret) == (True, False)


def test_the_spec_says_how_an_argument_is_declared_secret(tmp_path: Path) -> None:
    hint = _spec(tmp_path, "{word: {type: str}}", "{store_place: '{{ word }}'}").secret_hint
    assert hint.format(name="word") == "write `no_log: true` at arguments.word in playbooks/keep.meta.yml"
