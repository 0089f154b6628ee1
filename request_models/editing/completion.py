"""What may be written where the cursor is."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from request_models.actions import ActionSpec
from request_models.editing.catalogue import Knowledge
from request_models.editing.expression_names import complete_expression
from request_models.editing.items import Completion, Item, ItemKind, fitting
from request_models.editing.language import Schema
from request_models.editing.places import Place, Role, locate
from request_models.editing.scope import steps_of
from request_models.editing.words import plain, say_action, say_argument
from request_models.type_algebra import item_of, member_of, options, say_type
from request_models.value_types import ArrayType, BooleanType, IntegerType, Member, ObjectType, StringType, ValueType
from request_models.yaml_source import Path

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def complete(text: str, offset: int, knowledge: Knowledge) -> Completion:
    """What may be written at an offset, in characters, of a model that need not be whole."""
    place = locate(text, offset)
    return Completion() if place is None else _Completing(place, knowledge).completion()


def describe(item: Item, knowledge: Knowledge) -> Item:
    """The item with what takes longer to find: the documentation of an action."""
    spec = knowledge.spec(item.action)
    return item if spec is None else replace(item, documentation=say_action(spec, knowledge))


def type_within(spec: ActionSpec | None, path: Path) -> ValueType | None:
    """The type of what stands at a path within the arguments of an action."""
    found: ValueType | None = None if spec is None else spec.arguments
    for part in path:
        if found is None:
            return None
        if isinstance(part, int):
            found = item_of(found)
        else:
            member = member_of(found, part)
            found = None if member is None else member.type
    return found


def members_of(kind: ValueType | None) -> dict[str, Member]:
    """The named members that a value of the type may have."""
    found: dict[str, Member] = {}
    for option in options(kind) if kind is not None else ():
        if isinstance(option, ObjectType):
            found |= {name: option.members[name] for name in option.members if name not in found}
    return found


class _Completing:
    """Completes at one place."""

    def __init__(self, place: Place, knowledge: Knowledge) -> None:
        self._place = place
        self._around = knowledge

    def completion(self) -> Completion:
        place = self._place
        if place.expression is not None:
            return complete_expression(place, self._around)
        if place.style in {"|", ">"}:
            return Completion()
        if (within := place.arguments) is not None:
            return self._fitting(self._arguments(*within))
        last = next((part for part in reversed(place.path) if isinstance(part, str)), "")
        if place.role is Role.VALUE:
            match last:
                case "uses":
                    return self._actions()
                case "hosts":
                    return self._fitting(self._value(name, "a group") for name in self._around.actions.host_groups())
                case "covered_by":
                    return self._fitting(self._value(name, "a step") for name in self._steps_before())
                case _:
                    pass  # a key of the language or a member of a target
        if "target" in place.path:
            return self._fitting(self._target())
        return self._fitting(self._language())

    def _fitting(self, items: Iterable[Item]) -> Completion:
        return fitting(items, self._place.typed)

    # actions

    def _actions(self) -> Completion:
        names = list(dict.fromkeys(self._names()))
        found = fitting((self._action(name) for name in names), self._place.typed)
        # Behind the next dot there are others.
        return replace(found, complete=False)

    def _names(self) -> Iterator[str]:
        """Of the level that is being typed; the system may be left out: `s3.cr`, `linux_acc`."""
        typed, actions = self._place.typed, self._around
        prefix = typed[: typed.rfind(".") + 1]
        yield from actions.names_below(prefix)
        for system in actions.names_below("") if not prefix or typed.count(".") == 1 else ():
            if system != prefix:
                below = actions.names_below(f"{system}{prefix}")
                # Before anything is typed the hundreds of services of AWS would hide all else.
                yield from below if typed else (name for name in below if not name.endswith("."))

    def _action(self, name: str) -> Item:
        if name.endswith("."):
            return Item(name.rstrip("."), ItemKind.SYSTEM, name, self._place.span, "actions", rank=1)
        return Item(name, ItemKind.ACTION, name, self._place.span, action=name)

    # arguments

    def _arguments(self, step: Path, inner: Path) -> Iterator[Item]:
        name = self._uses(step)
        kind = type_within(self._around.spec(name), inner)
        if kind is None:
            return
        if self._place.role is Role.VALUE:
            yield from self._values_of(kind)
        if not self._takes_keys():
            return
        for key, member in members_of(kind).items():
            documentation = self._around.actions.argument_documentation(name, (*inner, key))
            nested = any(isinstance(option, ObjectType | ArrayType) for option in options(member.type))
            yield Item(
                key,
                ItemKind.ARGUMENT,
                self._key(key, nested=nested),
                self._place.span,
                f"{'required, ' if member.required else ''}{say_type(member.type)}",
                say_argument(key, member, documentation),
                rank=0 if member.required else 1,
            )

    def _uses(self, step: Path) -> str:
        entry = self._place.root.find(step)
        return "" if entry is None else entry.word("uses")

    def _values_of(self, kind: ValueType) -> Iterator[Item]:
        for option in options(kind):
            match option:
                case StringType(enum=tuple() as texts):
                    yield from (self._value(text) for text in texts)
                case IntegerType(enum=tuple() as numbers):
                    yield from (self._value(str(number), plain_word=True) for number in numbers)
                case BooleanType():
                    yield from (self._value(word, plain_word=True) for word in ("true", "false"))
                case _:
                    pass  # there are too many to list

    # the language

    def _language(self) -> Iterator[Item]:
        place, language = self._place, self._around.language
        if place.role is Role.VALUE:
            yield from (self._value(value, plain_word=True) for value in language.values(place.path))
        if not self._takes_keys():
            return
        required = language.required(place.path)
        for key, schema in language.keys(place.path).items():
            yield self._language_key(key, schema, required=key in required)

    def _language_key(self, key: str, schema: Schema, *, required: bool) -> Item:
        path = (*self._place.path, key)
        nested = self._around.language.is_map(path) or self._around.language.is_list(path)
        text = plain(str(schema.get("description") or self._around.language.description(path)))
        detail = "required" if required else ""
        rank = 0 if required else 1
        return Item(key, ItemKind.KEY, self._key(key, nested=nested), self._place.span, detail, text, rank=rank)

    def _target(self) -> Iterator[Item]:
        place = self._place
        index = place.path.index("target")
        below = place.path[index + 1 :]
        systems = self._systems(place.path[:index])
        if not below:
            if self._takes_keys():
                for system in systems:
                    yield Item(system, ItemKind.KEY, self._key(system, nested=True), place.span, "a system")
            return
        members = members_of(systems.get(str(below[0])))
        if len(below) == 1 and self._takes_keys():
            for name, member in members.items():
                words = say_argument(name, member)
                insert = self._key(name, nested=False)
                yield Item(name, ItemKind.ARGUMENT, insert, place.span, say_type(member.type), words)
        elif len(below) == 2 and place.role is Role.VALUE and below[1] in members:
            yield from self._values_of(members[str(below[1])].type)

    def _systems(self, owner: Path) -> Mapping[str, ObjectType]:
        """The targets of the systems that the step acts on; at the top of the model, of all its steps."""
        names = [self._uses(owner)] if owner else [step.entry.word("uses") for step in steps_of(self._place.root)]
        firsts: dict[str, str] = {}
        for name in filter(None, names):
            firsts.setdefault(name.partition(".")[0], name)
        specs = [spec for name in firsts.values() if (spec := self._around.spec(name)) is not None]
        return {spec.system: spec.target for spec in specs if spec.system is not None and spec.target is not None}

    def _steps_before(self) -> Iterator[str]:
        for step in steps_of(self._place.root):
            if self._place.path[: len(step.entry.path)] == step.entry.path and "uses" in (step.entry.members or {}):
                return
            if step.id and "uses" in (step.entry.members or {}):
                yield step.id

    # how it is written

    def _takes_keys(self) -> bool:
        """Whether a key can stand here: not beside another key on its line, and not within quotes."""
        place = self._place
        return place.role is Role.KEY or (place.own_line and not place.style)

    def _key(self, key: str, *, nested: bool) -> str:
        written = _written(key, plain_word=False)
        if self._place.role is Role.KEY and self._place.entry.keyed:
            return written
        return f"{written}:" if nested and not self._place.in_flow else f"{written}: "

    def _value(self, value: str, detail: str = "", *, plain_word: bool = False) -> Item:
        insert = value if self._place.style else _written(value, plain_word=plain_word)
        return Item(value, ItemKind.VALUE, insert, self._place.span, detail)


def _written(text: str, *, plain_word: bool) -> str:
    """The text in YAML; `plain_word` for what is meant as YAML reads it: true, 3."""
    if plain_word or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS):
        return text
    return json.dumps(text, ensure_ascii=False)
