"""The names that an expression can read where the cursor is; the type of each is found out when it is asked for."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from request_models.editing.catalogue import Knowledge
from request_models.editing.entries import Entry
from request_models.errors import RequestModelsError
from request_models.expression_syntax import has_template, parse_expression, whole_expression
from request_models.inference import infer
from request_models.json_schema import from_json_schema, in_scope
from request_models.scope_types import PERSON, REQUEST, STEP_STATE
from request_models.type_algebra import broad_type_of, item_of, member_of, type_of
from request_models.type_scopes import TypeScope
from request_models.value_types import (
    AnyType,
    ArrayType,
    LazyType,
    Member,
    ObjectType,
    StringType,
    ValueType,
)
from request_models.yaml_source import Path

GROUPS = ("steps", "parallel", "else")
"""Keys of a step under which there are steps."""
_CHAIN = re.compile(r"(?P<chain>[A-Za-z_]\w*(?:\.\w+|\[[0-9]+\]|\['[^'\n]*'\]|\[\"[^\"\n]*\"\])*)\.(?P<part>\w*)\Z")
_LINK = re.compile(r"\.(\w+)|\[([0-9]+)\]|\['([^'\n]*)'\]|\[\"([^\"\n]*)\"\]")
_ANSWERED = frozenset({"expect", "otherwise", "until", "fails", "undo"})


@dataclass(frozen=True)
class Step:
    """A step as it is written. `loops` are the groups and steps around it, itself included, that have `for_each`."""

    id: str
    entry: Entry
    loops: tuple[Path, ...]


def steps_of(root: Entry) -> Iterator[Step]:
    """Every step of a model, those within groups after their group, in the order written."""
    listed = root.find(("steps",))
    if listed is not None:
        yield from _steps(listed, ())


def _steps(listed: Entry, loops: tuple[Path, ...]) -> Iterator[Step]:
    for entry in listed.items or ():
        if entry.members is None:
            continue
        inside = (*loops, entry.path) if "for_each" in entry.members else loops
        yield Step(entry.word("id"), entry, inside)
        for group in GROUPS:
            if group in entry.members:
                yield from _steps(entry.members[group], inside)


def names_at(root: Entry, path: Path, knowledge: Knowledge) -> Mapping[str, ValueType]:
    """What is in scope of an expression at a path. Types are lazy: an action is looked up when its result is read."""
    return _Scope(root, path, knowledge).names()


def type_of_chain(chain: str, names: Mapping[str, ValueType]) -> ValueType | None:
    """The type of `steps.create.result.Tags[0]`; None when there is no such thing."""
    root = re.match(r"\w+", chain)
    found = names.get(root[0]) if root else None
    for link in _LINK.finditer(chain, root.end() if root else 0):
        if found is None:
            return None
        name = next((part for part in (link[1], link[3], link[4]) if part is not None), None)
        member = None if name is None else member_of(found, name)
        found = item_of(found) if name is None else member.type if member is not None else None
    return found


def chain_before(expression: str) -> tuple[str, str] | None:
    """The chain that ends at the cursor and the part after its last dot; None when no dot is being completed."""
    match = _CHAIN.search(expression)
    return None if match is None else (match["chain"], match["part"])


class _Scope:
    def __init__(self, root: Entry, path: Path, knowledge: Knowledge) -> None:
        self._root = root
        self._path = path
        self._knowledge = knowledge
        self._steps = tuple(steps_of(root))
        self._current = next((step for step in reversed(self._steps) if _within(path, step.entry.path)), None)
        self._open: set[Path] = set()

    def names(self) -> Mapping[str, ValueType]:
        """By name."""
        found: dict[str, ValueType] = {
            "inputs": self._inputs(),
            "values": self._members_of(("values",), self._type_of_value),
            "requester": PERSON,
            "user": PERSON,
            "request": REQUEST,
            "settings": broad_type_of(dict(self._knowledge.settings)),
            "steps": ObjectType(members=dict(self._visible())),
        }
        if self._root.find(("prerequisites",)) is not None:
            found["facts"] = ObjectType(members=dict(self._facts()))
        found |= self._own()
        return found

    # parts of the model

    def _inputs(self) -> ObjectType:
        return self._members_of(("inputs",), self._type_of_input)

    def _members_of(self, path: Path, typed: Callable[[Entry], ValueType]) -> ObjectType:
        entry = self._root.find(path)
        children = (entry.members or {}) if entry is not None else {}
        return ObjectType(
            members={name: _lazily(child, typed) for name, child in children.items() if child.keyed and name}
        )

    def _type_of_input(self, entry: Entry) -> ValueType:
        schema = entry.value()
        if not isinstance(schema, dict):
            return AnyType()
        plain = {key: value for key, value in schema.items() if key not in {"required", "secret", "when", "choices"}}
        try:
            return in_scope(from_json_schema(plain))
        except RequestModelsError:
            return AnyType()

    def _facts(self) -> Iterator[tuple[str, Member]]:
        listed = self._root.find(("prerequisites",))
        for entry in (listed.items or ()) if listed is not None else ():
            if identifier := entry.word("id"):
                yield identifier, _lazily(entry, self._result)

    def _visible(self) -> Iterator[tuple[str, Member]]:
        """Steps whose results can be read: those before, and of loops that are over only the loop itself."""
        around = () if self._current is None else self._current.loops
        for step in self._steps:
            if self._current is not None and step.entry.path == self._current.entry.path:
                return
            if not step.id or _within(self._path, step.entry.path):
                continue
            outer = step.loops[:-1] if "for_each" in (step.entry.members or {}) else step.loops
            if all(loop in around for loop in outer):
                yield step.id, _lazily(step.entry, self._step)

    def _step(self, entry: Entry) -> ValueType:
        if "for_each" in (entry.members or {}):
            one = ObjectType(members={"item": Member(type=self._item(entry), required=True), **self._answer(entry)})
            return _map({"state": STEP_STATE, "items": ArrayType(items=one)})
        return ObjectType(members=self._answer(entry))

    def _answer(self, entry: Entry) -> dict[str, Member]:
        members = entry.members or {}
        state = {"state": Member(type=STEP_STATE, required=True)}
        if "steps" in members:
            inner = {step.id: _lazily(step.entry, self._step) for step in _steps(members["steps"], ()) if step.id}
            return {**state, "steps": Member(type=ObjectType(members=inner), required=True)}
        return {**state, "result": _lazily(entry, self._result), "args": _lazily(entry, self._arguments)}

    def _result(self, entry: Entry) -> ValueType:
        returns = entry.find(("returns",))
        if returns is not None:
            return self._type_of_input(returns)
        spec = self._knowledge.spec(entry.word("uses"))
        return AnyType() if spec is None else spec.result

    def _arguments(self, entry: Entry) -> ValueType:
        """The arguments that are written, with the types that the action gives them."""
        spec = self._knowledge.spec(entry.word("uses"))
        written = entry.find(("with",))
        names = list((written.members or {}) if written is not None else {})
        known = {name: None if spec is None else member_of(spec.arguments, name) for name in names}
        return _map({name: AnyType() if member is None else member.type for name, member in known.items()})

    # names that exist in some places only

    def _own(self) -> dict[str, ValueType]:
        found: dict[str, ValueType] = {}
        entry, below = self._acting()
        if entry is not None and below and below[0] in _ANSWERED:
            found |= {"args": self._arguments(entry), "result": self._result(entry)}
        if below and below[0] == "select" and entry is not None:
            found["result"] = self._result(entry)
        if self._current is not None and self._current.loops:
            loop = self._root.find(self._current.loops[-1])
            if loop is not None and self._path[len(loop.path) :][:1] != ("for_each",):
                found["item"] = self._item(loop)
        return found

    def _acting(self) -> tuple[Entry | None, Path]:
        """What has `uses` around the place, and the path below it: of an undo, the step that it undoes."""
        if self._current is not None:
            return self._current.entry, self._path[len(self._current.entry.path) :]
        for length in range(len(self._path), 0, -1):
            entry = self._root.find(self._path[:length])
            if entry is not None and "uses" in (entry.members or {}):
                return entry, self._path[length:]
        return None, ()

    def _item(self, loop: Entry) -> ValueType:
        source = loop.word("for_each")
        found = self._type_of_source(_whole(source) or source)
        return item_of(found) or AnyType()

    # values

    def _type_of_value(self, entry: Entry) -> ValueType:
        if entry.path in self._open:
            return AnyType()  # a value that reads itself, which the checks tell
        self._open.add(entry.path)
        try:
            return self._typed(entry)
        finally:
            self._open.discard(entry.path)

    def _typed(self, entry: Entry) -> ValueType:
        if entry.members is not None:
            return _map({name: self._typed(child) for name, child in entry.members.items() if child.keyed})
        if entry.items is not None:
            kinds = [self._typed(child) for child in entry.items]
            return ArrayType(items=kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else AnyType())
        text = entry.text or ""
        if (source := _whole(text)) is not None:
            return self._type_of_source(source)
        return StringType() if has_template(text) else type_of(entry.value())

    def _type_of_source(self, source: str) -> ValueType:
        names = {
            "inputs": self._inputs(),
            "values": self._members_of(("values",), self._type_of_value),
            "requester": PERSON,
            "user": PERSON,
            "request": REQUEST,
            "steps": ObjectType(members=dict(self._visible())),
        }
        try:
            return infer(parse_expression(source), TypeScope(names)).type
        except RequestModelsError:
            return AnyType()


def _whole(text: str) -> str | None:
    """The expression that is the whole text; None for other texts, and while it is still being typed."""
    try:
        return whole_expression(text)
    except RequestModelsError:
        return None


def _lazily(entry: Entry, typed: Callable[[Entry], ValueType]) -> Member:
    name = "/".join(map(str, entry.path))
    return Member(type=LazyType(name=f"{typed.__name__}/{name}", resolve=lambda: typed(entry)), required=True)


def _map(members: Mapping[str, ValueType]) -> ObjectType:
    return ObjectType(members={name: Member(type=kind, required=True) for name, kind in members.items()})


def _within(path: Path, other: Path) -> bool:
    return path[: len(other)] == other
