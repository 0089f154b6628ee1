"""An in-memory catalogue of a few actions, and models compiled against it."""

import json
from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path

import pytest

from request_models.actions import ActionBroken, ActionSpec, EffectClass, Hazard, HazardKind
from request_models.compiler import Compilation, Surroundings, compile_in, compile_model, load_model
from request_models.editing.catalogue import Knowledge
from request_models.interfaces import Interfaces
from request_models.json_values import JsonValue
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    Member,
    ObjectType,
    StringType,
    ValueType,
)


def members(required: dict[str, ValueType], optional: dict[str, ValueType] | None = None) -> ObjectType:
    """An object type with some members required and some not."""
    return ObjectType(
        members={
            **{name: Member(type=kind, required=True) for name, kind in required.items()},
            **{name: Member(type=kind) for name, kind in (optional or {}).items()},
        }
    )


TEXT = StringType()
BOX = members({"Name": StringType(pattern="^[a-z0-9-]{3,63}$", min_length=3, max_length=63)})
CLOUD = members({"account": TEXT}, {"region": StringType(enum=("eu-west-1", "us-east-1"))})

SPECS = (
    ActionSpec(
        name="cloud.make_box",
        title="Make a box",
        arguments=members(
            {"Name": StringType(pattern="^[a-z0-9-]{3,63}$", min_length=3, max_length=63)},
            {
                "Size": IntegerType(minimum=1, maximum=100),
                "Place": members({"LocationConstraint": StringType(enum=("eu-west-1", "eu-central-1"))}),
                "Labels": ArrayType(items=members({"Key": TEXT, "Value": TEXT}), max_items=3),
                "Password": StringType(secret=True),
                "Anything": AnyType(),
            },
        ),
        result=members(
            {"Id": TEXT, "Count": IntegerType(), "Key": StringType(secret=True), "Tags": ArrayType(items=TEXT)}
        ),
        effect=EffectClass.TAKES_TOKEN,
        system="cloud",
        target=CLOUD,
        token_lifetime=timedelta(days=1),
        makes=True,
    ),
    ActionSpec(
        name="cloud.drop_box",
        title="Drop a box",
        arguments=BOX,
        result=ObjectType(),
        effect=EffectClass.IDEMPOTENT,
        system="cloud",
        target=CLOUD,
        removes=("Name",),
    ),
    ActionSpec(
        name="cloud.share",
        title="Let people at a box, or not",
        arguments=members({"Name": TEXT, "Open": BooleanType()}),
        result=ObjectType(),
        effect=EffectClass.IDEMPOTENT,
        system="cloud",
        target=CLOUD,
    ),
    ActionSpec(
        name="cloud.read_box",
        title="Read a box",
        arguments=BOX,
        result=members({"Id": TEXT, "State": StringType(enum=("ready", "busy"))}),
        effect=EffectClass.READ_ONLY,
        system="cloud",
        target=CLOUD,
    ),
    ActionSpec(
        name="host.account",
        title="Make an account",
        arguments=members(
            {"name": StringType(pattern="^[a-z]{1,32}$")},
            {"expires": StringType(format="date"), "groups": ArrayType(items=TEXT), "shell": TEXT},
        ),
        result=members({"uid": IntegerType()}),
        effect=EffectClass.IDEMPOTENT,
        contract="2",
        system="host",
        takes_hosts=True,
        content_digest="c0ffee",
    ),
    ActionSpec(
        name="host.account_absent",
        title="Remove an account",
        arguments=members({"name": TEXT}),
        result=ObjectType(),
        effect=EffectClass.IDEMPOTENT,
        system="host",
        takes_hosts=True,
        content_digest="decaf",
    ),
    ActionSpec(
        name="host.run",
        title="Run what content says",
        arguments=members(
            {},
            {
                "label": TEXT,
                "words": ArrayType(items=TEXT),
                "path": TEXT,
                "gateway": TEXT,
                "code": StringType(pattern="^[a-z]{1,8}$"),
                "password": StringType(secret=True),
                "email": StringType(secret=True),
                "comment": TEXT,
            },
        ),
        result=members({"said": TEXT, "count": IntegerType()}),
        effect=EffectClass.IDEMPOTENT,
        system="host",
        takes_hosts=True,
        hazards={
            "label": (Hazard(HazardKind.COMMAND, "playbooks/run.yml:7", "write `{{ label | quote }}`"),),
            "code": (Hazard(HazardKind.COMMAND, "playbooks/run.yml:8", "write `{{ code | quote }}`"),),
            "words": (
                Hazard(HazardKind.SPLIT, "playbooks/run.yml:9", "write `{{ words | map('quote') | join(' ') }}`"),
                Hazard(HazardKind.SPLIT, "playbooks/run.yml:12", "write `{{ words | map('quote') | join(' ') }}`"),
            ),
            "path": (
                Hazard(HazardKind.EXPANDED, "playbooks/run.yml:15", "write `expand_argument_vars: false` beside it"),
            ),
            "gateway": (Hazard(HazardKind.STEERS, "playbooks/run.yml:18", "write `delegate_to:` out"),),
            "password": (Hazard(HazardKind.LOGGED, "playbooks/run.yml:20", "write `no_log: true` on the task"),),
            "comment": (Hazard(HazardKind.UNREAD, "playbooks/run.yml:1", "take it out of playbooks/run.meta.yml"),),
        },
        known_hosts=frozenset({"all", "ungrouped", "web_servers", "db_servers", "web-1.example.org"}),
        secret_hint="write `no_log: true` at arguments.{name} in playbooks/run.meta.yml",
    ),
    ActionSpec(
        name="note.send",
        title="Send a note",
        arguments=members({"to": StringType(format="email"), "text": TEXT}),
        result=members({"id": TEXT}),
        system="note",
    ),
)


class FewActions:
    """A catalogue of the actions above; it implements `BrowsedCatalogue`."""

    def spec(self, name: str) -> ActionSpec | None:
        if name == "cloud.torn":
            raise ActionBroken("playbooks/torn.yml:3: this is not YAML; mend the file")
        return next((spec for spec in SPECS if spec.name == name), None)

    def suggestions(self, name: str) -> list[str]:
        return get_close_matches(name, [spec.name for spec in SPECS])

    def names_below(self, prefix: str) -> list[str]:
        if not prefix:
            return sorted({f"{spec.system}." for spec in SPECS})
        return [spec.name for spec in SPECS if spec.name.startswith(prefix)]

    def argument_documentation(self, name: str, path: tuple[str | int, ...]) -> str:
        return "How big the box is." if (name, path) == ("cloud.make_box", ("Size",)) else ""

    def host_groups(self) -> list[str]:
        return ["file_servers", "linux_servers"]


SETTINGS: dict[str, JsonValue] = {"domain": "example.org", "limits": {"boxes": 3}}

CompileText = Callable[[str], Compilation]
CompileCase = Callable[[Path], Compilation]


@pytest.fixture
def actions() -> FewActions:
    return FewActions()


@pytest.fixture
def knowledge() -> Knowledge:
    """What models are edited against."""
    return Knowledge(FewActions(), SETTINGS)


@pytest.fixture
def compile_case() -> CompileCase:
    """Compile `model.yaml` of a folder, with its `calendars.json` and the models of `others`, where it has those."""

    def compiled(folder: Path) -> Compilation:
        source, diagnostics = load_model("model.yaml", (folder / "model.yaml").read_bytes())
        if source is None:
            return Compilation("", {}, None, diagnostics)
        calendars = folder / "calendars.json"
        known = json.loads(calendars.read_text()) if calendars.exists() else None
        surroundings = Surroundings(FewActions(), SETTINGS, known)
        others = [load_model(file.name, file.read_bytes())[0] for file in sorted(folder.glob("others/*.yaml"))]
        if others:
            loaded = [other for other in others if other is not None]
            surroundings = Interfaces([*loaded, source], surroundings).surroundings
        return compile_in(source, surroundings)

    return compiled


@pytest.fixture
def compile_text() -> CompileText:
    """Compile a model's text; one that does not load gives a compilation of nothing but diagnostics."""

    def compiled(text: str) -> Compilation:
        source, diagnostics = load_model("model.yaml", text)
        if source is None:
            return Compilation("", {}, None, diagnostics)
        return compile_model(source, FewActions(), SETTINGS)

    return compiled
