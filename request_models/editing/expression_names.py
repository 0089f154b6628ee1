"""What may be written in an expression: names by their types, functions, and filters and tests behind `|` and `is`."""

import re
from collections.abc import Iterator, Mapping

from request_models.editing.catalogue import Knowledge
from request_models.editing.entries import Span
from request_models.editing.items import Completion, Item, ItemKind, fitting
from request_models.editing.places import Place
from request_models.editing.scope import chain_before, names_at, type_of_chain
from request_models.editing.words import plain, say_name
from request_models.expression_filters import ALL_FILTERS
from request_models.expression_functions import Function
from request_models.expression_syntax import CALLS
from request_models.expression_tests import ALL_TESTS
from request_models.type_algebra import member_of, options, say_type
from request_models.value_types import ObjectType, ValueType

_WORD = re.compile(r"[A-Za-z_]?\w*\Z")
_FILTER = re.compile(r"\|\s*\w*\Z")
_TEST = re.compile(r"\bis\s+(?:not\s+)?\w*\Z")
_QUOTE = re.compile(r"'[^']*'|\"[^\"]*\"")
_WORDS = ("omit", "true", "false", "none")
_BEHIND = re.compile(r"\w*")


def complete_expression(place: Place, knowledge: Knowledge) -> Completion:
    """What may stand where an expression is being typed."""
    before = place.expression or ""
    if _within_text(before):
        return Completion()
    word = _WORD.search(before)
    typed = word[0] if word else ""
    span = _word_span(place, typed)
    if _FILTER.search(before):
        return fitting((_function(one, span) for one in ALL_FILTERS), typed)
    if _TEST.search(before):
        return fitting((_function(one, span) for one in ALL_TESTS), typed)
    names = names_at(place.root, place.path, knowledge)
    chain = chain_before(before)
    if chain is None:
        return Completion() if typed[:1].isdigit() else fitting(_roots(names, span), typed)
    kind = type_of_chain(chain[0], names)
    return Completion() if kind is None else fitting(_members(kind, chain[0], span), chain[1])


def _within_text(before: str) -> bool:
    """Whether the cursor is within quotes of the expression itself."""
    return any(quote in _QUOTE.sub("", before) for quote in "'\"")


def _word_span(place: Place, typed: str) -> Span:
    behind = _BEHIND.match(place.rest)
    offset = place.span.start + len(place.typed)
    return Span(offset - len(typed), offset + (behind.end() if behind else 0))


def _roots(names: Mapping[str, ValueType], span: Span) -> Iterator[Item]:
    for name, kind in names.items():
        yield Item(name, ItemKind.NAME, name, span, say_type(kind), say_name(name, kind))
    for call in sorted(CALLS):
        yield Item(call, ItemKind.FUNCTION, f"{call}(", span, "a function", rank=1)
    for word in _WORDS:
        yield Item(word, ItemKind.VALUE, word, span, rank=2)


def _members(kind: ValueType, chain: str, span: Span) -> Iterator[Item]:
    seen: set[str] = set()
    for option in options(kind):
        for name in option.members if isinstance(option, ObjectType) else ():
            member = member_of(kind, name)
            if name in seen or member is None or not name.isidentifier():
                continue
            seen.add(name)
            yield Item(name, ItemKind.NAME, name, span, say_type(member.type), say_name(f"{chain}.{name}", member.type))


def _function(function: Function, span: Span) -> Item:
    parameters = ", ".join(function.parameters)
    detail = f"{function.name}({parameters})" if parameters else function.name
    return Item(function.name, ItemKind.FUNCTION, function.name, span, detail, plain(function.documentation))
