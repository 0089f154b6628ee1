"""The page of the actions that Orderly brings, but for those of AWS: from their specs, as the compiler reads them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.reference.effect_words import REPEATING
from connectors.reference.type_words import say_default, say_fully
from connectors.registry import SHIPPED, ConnectorContext, Registry
from request_models.actions import ActionSpec
from request_models.engine_actions import ENGINE_SPECS
from request_models.reference.markdown import code, table
from request_models.type_algebra import is_any
from request_models.value_types import ObjectType

_AWS = "aws"

_PARTS = {
    "http": "HTTP",
    "mail": "Mail",
    "runbook": "Runbooks",
}
_SAID = {
    "http": "Calls of any service. `connectors.http.allow` in the settings can say which hosts may be called. Each "
    "call has a client of its own: no cookie passes from one to the next. `post` and `patch` carry the effect's "
    "token as `Idempotency-Key`, for services that honour one.",
    "mail": "Needs `connectors.mail.host` and `connectors.mail.from` in the settings.",
    "runbook": "Playbooks of Ansible. The ones below are shipped; each `runbooks/playbooks/NAME.yml` of a content "
    "folder that has a `NAME.meta.yml` is the action `runbook.NAME`, typed by that file. `hosts` says where it runs: "
    "groups or hosts of the inventory. A retry goes only to the hosts that are not done.",
}


def actions_page() -> str:
    """The page. Raises ConnectorUnavailable, ActionBroken for a shipped connector or runbook that is wrong."""
    with TemporaryDirectory() as state, Registry.discover({}, ConnectorContext(Path(state))) as registry:
        specs = {name: list(_specs(registry, name)) for name in sorted(SHIPPED.keys() - {_AWS})}
    engine = _part("The engine", _ENGINE, ENGINE_SPECS.values())
    parts = [_part(_PARTS[name], _SAID[name], found) for name, found in specs.items()]
    every = [*ENGINE_SPECS.values(), *(spec for found in specs.values() for spec in found)]
    return "\n".join([_INTRODUCTION, _list(every), _EFFECTS, _classes(), engine, *parts])


def _list(specs: Iterable[ActionSpec]) -> str:
    rows = [[f"[`{one.name}`](#{_anchor(one.name)})", one.title, code(str(one.effect))] for one in specs]
    return table(["Action", "", "Effect class"], rows)


def _classes() -> str:
    rows = [[code(str(one)), words] for one, words in REPEATING.items()]
    return table(["Effect class", "After a call whose outcome is unknown"], rows)


def _specs(registry: Registry, connector: str) -> Iterator[ActionSpec]:
    for name in registry.names_below(f"{connector}."):
        yield registry.action(name).spec


def _part(title: str, said: str, specs: Iterable[ActionSpec]) -> str:
    return "\n".join([f"## {title}\n\n{said}\n", *map(_section, specs)])


def _section(spec: ActionSpec) -> str:
    lines = [f"### {spec.name}\n", f"{spec.title}. {spec.documentation}\n", _facts(spec), "**Arguments**\n"]
    lines.append(_arguments(spec.arguments) if spec.arguments.members else "None.\n")
    return "\n".join([*lines, _result(spec)])


def _facts(spec: ActionSpec) -> str:
    meaning = "" if spec.name in ENGINE_SPECS else f" {REPEATING[spec.effect]}"
    facts = [f"Effect class: {code(str(spec.effect))}.{meaning}"]
    if spec.takes_hosts:
        facts.append("Needs `hosts`.")
    if spec.target is not None:
        members = ", ".join(map(code, spec.target.members))
        facts.append(f"Target: {code(f'target.{spec.system}')} may say {members}.")
    return "".join(f"- {fact}\n" for fact in facts)


def _arguments(arguments: ObjectType) -> str:
    rows = [
        [
            code(name),
            say_fully(member.type),
            "yes" if member.required else "",
            "yes" if member.type.holds_secret else "",
            say_default(member.default),
            member.type.description,
        ]
        for name, member in arguments.members.items()
    ]
    return table(["Name", "Type", "Required", "May be secret", "Default", "Description"], rows)


def _result(spec: ActionSpec) -> str:
    if not isinstance(spec.result, ObjectType):
        said = "typed by `returns`" if is_any(spec.result) else say_fully(spec.result)
        return f"**Result:** {said}.\n"
    if not spec.result.members:
        return "**Result:** a map; `returns` types it.\n" if spec.name == "human.task" else "**Result:** nothing.\n"
    rows = [
        [code(name), say_fully(member.type), "yes" if member.type.holds_secret else "", member.type.description]
        for name, member in spec.result.members.items()
    ]
    return f"**Result**\n\n{table(['Member', 'Type', 'Secret', 'Description'], rows)}"


def _anchor(name: str) -> str:
    return name.lower().replace(".", "")


_INTRODUCTION = """\
# Actions

What steps can use without anything being installed beside Orderly. The thousands of actions `aws.SERVICE.OPERATION`
have [a page of their own](aws.md). `orderly new NAME --from-action ACTION` drafts a model from any of them, and
`orderly schema --actions ACTION` lets an editor complete its arguments.
"""

_EFFECTS = """\
## Effects

An action says what repeating it means; it is never guessed from its name. A call that failed without an effect is
tried again as `retry` says, whatever the class. The class says what happens when nobody knows whether the call had
its effect, because the connection was lost, or the process was killed: a request then goes on like this, by itself or
after **Retry**.
"""

_ENGINE = (
    "Run by Orderly itself: no other system is called, and no worker is held while they wait. What they wait for "
    "stands in the records, so a restart in between loses nothing."
)
