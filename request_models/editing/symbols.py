"""The parts of a model, for an editor's outline, and where a name is written that another part reads."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from request_models.editing.entries import Entry, Span
from request_models.editing.hover import word_at
from request_models.editing.outline import outline
from request_models.editing.places import Role, locate
from request_models.editing.scope import GROUPS, steps_of

_NAMED = ("inputs", "values", "outputs")
_LISTED = ("prerequisites", "steps", "verify", "approvals")


@dataclass(frozen=True)
class Symbol:
    """A part of a model: `span` is all of it, `name_span` its name. `kind` is the section it stands in."""

    name: str
    kind: str
    detail: str
    span: Span
    name_span: Span
    children: tuple["Symbol", ...] = field(default=())


def symbols(text: str) -> tuple[Symbol, ...]:
    """The sections of a model with what is in them, steps within groups below their group."""
    root = outline(text)
    found = []
    for key, entry in (root.members or {}).items():
        if not entry.keyed or entry.key is None:
            continue
        inner: tuple[Symbol, ...] = ()
        if key in _NAMED:
            inner = tuple(_named(entry, key))
        elif key in _LISTED:
            inner = tuple(_listed(entry, key))
        detail = "" if inner else (entry.text or "")[:60]
        found.append(Symbol(key, "section", detail, entry.whole, entry.key, inner))
    return tuple(found)


def definition(text: str, offset: int) -> Span | None:
    """Where the name at an offset is written: an input, a value, a step, a fact; None when it names nothing here."""
    place = locate(text, offset)
    if place is None or place.role is not Role.VALUE:
        return None
    root = outline(text)
    if place.path[-1:] == ("covered_by",):
        return _step(root, place.name.strip())
    word = word_at(place) if place.expression is not None else None
    if word is None:
        return None
    section, _, rest = word.chain.partition(".")
    name = rest.partition(".")[0].partition("[")[0]
    match section:
        case "inputs" | "values":
            found = root.find((section, name))
            return found.key if found is not None else None
        case "steps":
            return _step(root, name)
        case "facts":
            listed = root.find(("prerequisites",))
            facts = (listed.items or []) if listed is not None else []
            return next((_id(entry) for entry in facts if entry.word("id") == name), None)
        case _:
            return None


def _step(root: Entry, identifier: str) -> Span | None:
    return next((_id(step.entry) for step in steps_of(root) if step.id and step.id == identifier), None)


def _id(entry: Entry) -> Span:
    written = entry.find(("id",))
    return entry.span if written is None else written.span


def _named(entry: Entry, kind: str) -> Iterator[Symbol]:
    for name, child in (entry.members or {}).items():
        if name and child.key is not None:
            detail = child.word("type") or (child.text or "")[:60]
            yield Symbol(name, kind, detail, child.whole, child.key)


def _listed(entry: Entry, kind: str) -> Iterator[Symbol]:
    for number, item in enumerate(entry.items or [], start=1):
        if item.members is None:
            continue
        inner = tuple(
            symbol for group in GROUPS if group in item.members for symbol in _listed(item.members[group], kind)
        )
        name = item.word("id") or ("parallel" if "parallel" in item.members else f"{kind} {number}")
        yield Symbol(name, kind, item.word("uses"), item.span, _id(item), inner)
