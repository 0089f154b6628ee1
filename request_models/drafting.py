"""First drafts of models: from a template for each kind of request, or from the interface of an action.

A draft compiles, or the compiler says what is to be filled in; comments in it teach.
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Literal, get_args

from request_models.actions import ActionBroken, ActionCatalogue, ActionSpec, EffectClass
from request_models.errors import RequestModelsError
from request_models.json_schema import to_json_schema
from request_models.json_values import JsonValue
from request_models.value_types import BooleanType, IntegerType, Member, NumberType, ObjectType, StringType

Kind = Literal["resource", "access", "service-action", "information", "feedback"]
KINDS: tuple[str, ...] = get_args(Kind)
"""The kinds of requests there are templates for."""

_MODEL = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_KNOWN: Mapping[str, str] = {"owner": "user.id", "made_by": "request.id"}
"""Arguments of runbooks that the request itself answers."""
_UNDONE_BY: Mapping[str, tuple[str, ...]] = {
    "create": ("delete",),
    "put": ("delete",),
    "add": ("remove", "delete"),
    "attach": ("detach",),
    "associate": ("disassociate",),
    "register": ("deregister",),
    "enable": ("disable",),
    "disable": ("enable",),
    "start": ("stop",),
    "stop": ("start",),
    "allocate": ("release",),
    "authorize": ("revoke",),
    "run": ("terminate",),
    "import": ("delete",),
    "tag": ("untag",),
    "subscribe": ("unsubscribe",),
}


class BadModelName(RequestModelsError):
    """A name that no model can have."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is no name of a model: letters, digits and single hyphens, 63 characters at most, as in "
            "`project-bucket`."
        )


def draft_from_template(model: str, kind: Kind) -> str:
    """The template of a kind of request, under the name of the model. Raises BadModelName."""
    text = files("request_models").joinpath("templates", f"{kind}.yaml").read_text(encoding="utf-8")
    return text.replace("model: MODEL\n", f"model: {_quoted(_checked(model))}\n", 1)


def draft_from_action(model: str, spec: ActionSpec, actions: ActionCatalogue, *, kind: Kind, hosts: str = "") -> str:
    """A model of one step that calls an action: an input for each argument it must be given, and its undo.

    `hosts` is the group it runs on, for actions that take hosts. Raises BadModelName.
    """
    lines = [
        f"# Drafted from the interface of {spec.name}: look through every line before you publish it.",
        "# `orderly check` says what is wrong with file and line, and what to write instead.",
        f"model: {_quoted(_checked(model))}",
        f"title: {_quoted(spec.title or model)}   # what people see when they order",
        f"kind: {kind}",
        f"service: {_quoted(model)}   # the service of yours that this belongs to",
        "owners: {accountable: platform-owner}   # exactly one person or role is accountable",
    ]
    if spec.target is not None and spec.system is not None and spec.target.members:
        named = ", ".join(spec.target.members)
        lines.append(f"# target: {{{spec.system}: {{...}}}}   # where it acts, unless the settings say it: {named}")
    lines += _inputs(spec)
    lines += ["due: {within: PT1H}   # by when a request must be fulfilled", "steps:", *_step(spec, actions, hosts)]
    lines += _outputs(spec)
    return "\n".join(lines) + "\n"


def _checked(model: str) -> str:
    if _MODEL.fullmatch(model) is None or len(model) > 63:
        raise BadModelName(model)
    return model


def _answered(spec: ActionSpec) -> dict[str, str]:
    """Arguments of a runbook that must be given and that the request itself answers, with what they read."""
    if spec.content_digest is None:
        return {}
    members = spec.arguments.members
    return {name: source for name, source in _KNOWN.items() if name in members and members[name].required}


def _asked(spec: ActionSpec) -> dict[str, str]:
    """The inputs of the draft: each argument that must be given and nothing else answers, with the input's name."""
    names: dict[str, str] = {}
    for argument, member in spec.arguments.members.items():
        if member.required and argument not in _answered(spec):
            name = _identifier(argument)
            while name in names.values():
                name = f"{name}_2"
            names[argument] = name
    return names


def _inputs(spec: ActionSpec) -> Iterator[str]:
    asked = _asked(spec)
    if not asked:
        return
    yield "inputs:   # the form; each is JSON Schema"
    for argument, name in asked.items():
        yield f"  {name}:"
        for key, value in _input_schema(spec.arguments.members[argument], argument).items():
            yield f"    {key}: {_flow(value)}"


def _input_schema(member: Member, argument: str) -> dict[str, JsonValue]:
    schema = to_json_schema(member.type)
    secret = schema.pop("writeOnly", False) is True
    description = " ".join(str(schema.pop("description", "")).split())
    if "required" in schema:  # an input's own `required` says whether it must be given; a map's members stand within
        schema = {"anyOf": [schema]}
    title = argument.replace("_", " ")
    named: dict[str, JsonValue] = {"title": title[:1].upper() + title[1:]}
    if description:
        named["description"] = description if len(description) <= 160 else f"{description[:159]}…"
    return {**schema, **named, **({"secret": True} if secret else {})}


def _step(spec: ActionSpec, actions: ActionCatalogue, hosts: str) -> Iterator[str]:
    asked = _asked(spec)
    yield f"  - id: {_identifier(spec.name.rpartition('.')[2])}"
    yield f"    uses: {_quoted(spec.name)}"
    if spec.takes_hosts:
        yield f"    hosts: {_quoted(hosts)}" if hosts else "    # hosts: GROUP   # a group of the inventory"
    given = {argument: f"inputs.{name}" for argument, name in asked.items()}
    given |= _answered(spec)
    if given:
        yield "    with:"
        yield from (f'      {_quoted(argument)}: "{{{{ {source} }}}}"' for argument, source in given.items())
    optional = [name for name, member in spec.arguments.members.items() if not member.required]
    if optional:
        more = f" and {len(optional) - 12} more" if len(optional) > 12 else ""
        yield f"    # It may also be given: {', '.join(optional[:12])}{more}."
    if spec.effect is not EffectClass.NOT_REPEATABLE:
        yield "    retry: {attempts: 4, delay: PT2S, factor: 2}"
    yield "    timeout: PT5M"
    yield from _undo(spec, actions, set(given))


def _undo(spec: ActionSpec, actions: ActionCatalogue, given: set[str]) -> Iterator[str]:
    if spec.effect is EffectClass.READ_ONLY:
        yield "    # It only reads, so there is nothing to undo."
        return
    undo = next(undoing(spec, actions), None)
    if undo is None:
        yield "    # TO FILL IN: how to take it back. One of"
        yield "    # undo: {uses: ACTION, with: {...}}"
        yield "    # undo: {none: WHY}"
        return
    needed = [name for name, member in undo.arguments.members.items() if member.required]
    if set(needed) <= given:
        yield "    undo:   # only what this request made is undone; see whether this takes all of it back"
        yield f"      uses: {_quoted(undo.name)}"
        if needed:
            yield "      with:"
        yield from (f'        {_quoted(name)}: "{{{{ args.{name} }}}}"' for name in needed)
        return
    unknown = ", ".join(name for name in needed if name not in given)
    yield f"    # TO FILL IN: {undo.name} probably takes it back. It needs {unknown}, no argument of this step;"
    yield "    # in an undo, `args` are the step's arguments, and `result` its answer where `result is defined`."
    yield f"    # undo: {{uses: {undo.name}, with: {{{', '.join(f'{name}: ...' for name in needed)}}}}}"


def undoing(spec: ActionSpec, actions: ActionCatalogue) -> Iterator[ActionSpec]:
    """Actions whose name says that they take this one back, the likeliest first."""
    system, _, operation = spec.name.rpartition(".")
    verb, _, rest = operation.partition("_")
    names = [f"{operation}_absent", *(f"{opposite}_{rest}" for opposite in _UNDONE_BY.get(verb, ()))]
    for name in names:
        try:
            found = actions.spec(f"{system}.{name}")
        except ActionBroken:
            continue
        if found is not None and found.effect is not EffectClass.READ_ONLY:
            yield found


def _outputs(spec: ActionSpec) -> Iterator[str]:
    step = _identifier(spec.name.rpartition(".")[2])
    result = spec.result
    simple = (StringType, IntegerType, NumberType, BooleanType)
    shown = [
        name
        for name, member in (result.members.items() if isinstance(result, ObjectType) else ())
        if name.isidentifier() and not member.type.secret and (isinstance(member.type, simple) or name == "hosts")
    ]
    if shown:
        yield "outputs:   # what the requester gets"
        named = {_identifier(name): name for name in shown}
        for name, read in list(named.items())[:6]:
            yield f'  {name}: {{value: "{{{{ steps.{step}.result.{read} }}}}"}}'


def _identifier(name: str) -> str:
    """A name as the language writes names: DBInstanceIdentifier becomes db_instance_identifier."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    plain = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")[:60]
    return plain if plain[:1].isalpha() else f"a_{plain}"


def _flow(value: JsonValue) -> str:
    """A value on one line of YAML; texts are quoted wherever they could be read as something else."""
    match value:
        case str():
            return _quoted(value)
        case dict():
            return f"{{{', '.join(f'{_quoted(key)}: {_flow(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(_flow(item) for item in value)}]"
        case _:
            return json.dumps(value)


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in json.dumps(text, ensure_ascii=False))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
