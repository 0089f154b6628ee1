"""What stands where the cursor is: an action, an argument, a key of the language, or a name in an expression."""

import re
from dataclasses import dataclass

from request_models.editing.catalogue import Knowledge
from request_models.editing.completion import members_of, type_within
from request_models.editing.entries import Span
from request_models.editing.places import Place, Role, locate
from request_models.editing.scope import names_at, type_of_chain
from request_models.editing.words import plain, say_action, say_argument, say_name
from request_models.expression_filters import FILTERS
from request_models.expression_tests import TESTS
from request_models.yaml_source import Path

_TAIL = re.compile(r"[A-Za-z_]\w*(?:\.\w+|\[[0-9]+\]|\['[^'\n]*'\]|\[\"[^\"\n]*\"\])*\.?\Z")
_WORD = re.compile(r"\w*")


@dataclass(frozen=True)
class Hover:
    """Markdown about what stands at a span of the text."""

    text: str
    span: Span


@dataclass(frozen=True)
class Word:
    """A chain of names in an expression up to the word at the cursor; `before` is what stands before the chain."""

    chain: str
    before: str
    span: Span


def hover(text: str, offset: int, knowledge: Knowledge) -> Hover | None:
    """What stands at an offset, in characters; None where nothing is known of it."""
    place = locate(text, offset)
    if place is None:
        return None
    if place.expression is not None:
        return _hover_expression(place, knowledge)
    said = _said(place, knowledge)
    return Hover(said, place.span) if said else None


def word_at(place: Place) -> Word | None:
    """The chain at the cursor of an expression."""
    before = place.expression or ""
    behind = _WORD.match(place.rest)
    whole = before + (behind[0] if behind else "")
    match = _TAIL.search(whole)
    if match is None or match[0].endswith("."):
        return None
    offset = place.span.start + len(place.typed)
    start = offset - (len(before) - match.start())
    return Word(match[0], whole[: match.start()], Span(start, start + len(match[0])))


def _hover_expression(place: Place, knowledge: Knowledge) -> Hover | None:
    word = word_at(place)
    if word is None:
        return None
    before = word.before.rstrip()
    function = FILTERS.get(word.chain) if before.endswith("|") else None
    if re.search(r"\bis(?:\s+not)?\Z", before):
        function = TESTS.get(word.chain)
    if function is not None:
        shown = f"{function.name}({', '.join(function.parameters)})" if function.parameters else function.name
        return Hover(f"**`{shown}`**\n\n{plain(function.documentation)}", word.span)
    kind = type_of_chain(word.chain, names_at(place.root, place.path, knowledge))
    return None if kind is None else Hover(say_name(word.chain, kind), word.span)


def _said(place: Place, knowledge: Knowledge) -> str:
    path: Path = (*place.path, place.name.strip()) if place.role is Role.KEY else place.path
    if (within := place.arguments) is not None:
        return _say_argument(place, within, knowledge)
    if place.role is Role.VALUE and path[-1:] == ("uses",):
        spec = knowledge.spec(place.name.strip())
        return "" if spec is None else say_action(spec, knowledge)
    return plain(knowledge.language.description(path)) if place.role is Role.KEY else ""


def _say_argument(place: Place, within: tuple[Path, Path], knowledge: Knowledge) -> str:
    step, inner = within
    entry = place.root.find(step)
    name = "" if entry is None else entry.word("uses")
    spec = knowledge.spec(name)
    if place.role is Role.KEY:
        owner, key = inner, place.name.strip()
    elif inner and isinstance(inner[-1], str):
        owner, key = inner[:-1], inner[-1]
    else:
        return ""
    member = members_of(type_within(spec, owner)).get(key)
    if member is None:
        return ""
    return say_argument(key, member, knowledge.actions.argument_documentation(name, (*owner, key)))
