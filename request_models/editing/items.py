"""One thing that may be written, and which of many fit what was typed."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from request_models.editing.entries import Span

MOST_ITEMS = 1_000
"""How many items an answer has at most; there are more when `Completion.complete` is false."""


class ItemKind(StrEnum):
    """What an item is; editors show a sign for it."""

    ACTION = "action"
    SYSTEM = "system"
    ARGUMENT = "argument"
    KEY = "key"
    VALUE = "value"
    NAME = "name"
    FUNCTION = "function"


@dataclass(frozen=True)
class Item:
    """One thing that may be written: `insert` replaces `span`. `documentation` is Markdown.

    `rank` puts items in order, the lowest first; `action` names the action whose documentation is still to be found.
    """

    label: str
    kind: ItemKind
    insert: str
    span: Span
    detail: str = ""
    documentation: str = ""
    rank: int = 0
    action: str = ""


@dataclass(frozen=True)
class Completion:
    """Items in order; `complete` is false where further typing may bring others."""

    items: tuple[Item, ...] = ()
    complete: bool = True


def fitting(items: Iterable[Item], typed: str) -> Completion:
    """The items whose label has the typed characters in their order, those that begin with them first."""
    typed = typed.lower()
    scored = [(_score(item.label.lower(), typed), item) for item in items]
    kept = sorted(
        ((score, item) for score, item in scored if score is not None),
        key=lambda pair: (pair[1].rank, pair[0]),
    )
    return Completion(tuple(item for _, item in kept[:MOST_ITEMS]), complete=len(kept) <= MOST_ITEMS)


def _score(label: str, typed: str) -> int | None:
    """0 for a beginning, 1 for a part, 2 for characters in order; None when it does not fit."""
    if label.startswith(typed):
        return 0
    if typed in label:
        return 1
    rest = iter(label)
    return 2 if all(character in rest for character in typed) else None
