"""Parts of plans compared field by field, so that none can be forgotten: one without words of its own is told too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import SequenceMatcher
from typing import Any, TypeVar

from request_models.differences.words import becomes, same
from request_models.plan import Expression

Part = TypeVar("Part")
Words = Callable[[Any, Any], Iterator[str]]
"""From what a field was and what it is to what changed, in words: a line each."""


def changed_fields(was: Any, now: Any, words: Mapping[str, Words], apart: frozenset[str]) -> Iterator[str]:
    """What changed in a part, in the order of its fields. Those of `apart` are told elsewhere."""
    for item in fields(now):
        old, new = getattr(was, item.name), getattr(now, item.name)
        if item.name in apart or same(old, new):
            continue
        told = list(words[item.name](old, new)) if item.name in words else []
        yield from told or [f"has another {item.name.replace('_', ' ')}: {becomes(old, new)}"]


def condition(phrase: str, old: Expression | None, new: Expression | None) -> Iterator[str]:
    """A condition that came, went or changed; `phrase` ends in "if" or the like."""
    if new is None and old is not None:
        gone = f"is no longer {phrase.removeprefix('is ')}" if phrase.startswith("is ") else f"no longer {phrase}"
        yield f"{gone} {' '.join(old.source.split())}"
    elif old is None and new is not None:
        yield f"{phrase} {' '.join(new.source.split())}"
    elif old is not None and new is not None and old.source != new.source:
        yield f"{phrase} {' '.join(new.source.split())}, no longer {' '.join(old.source.split())}"
    else:
        yield f"{phrase} {becomes(old, new)}"


def paired(
    was: Sequence[Part], now: Sequence[Part], name: Callable[[Part], str]
) -> Iterator[tuple[Part | None, Part | None]]:
    """What became what, by name, in the order of now; what is gone comes last, and pairs what was not there with None.

    Of several with one name, those that are the same go together first, then the others in order.
    """
    left: list[Part] = list(was)
    partners: dict[int, Part] = {}

    def named_alike(one: Part, other: Part) -> bool:
        return name(one) == name(other)

    for alike in (same, named_alike):
        for index, part in enumerate(now):
            found = next((at for at, one in enumerate(left) if alike(one, part)), None)
            if index not in partners and found is not None:
                partners[index] = left.pop(found)
    for index, part in enumerate(now):
        yield partners.get(index), part
    yield from ((gone, None) for gone in left)


def moved(before: Sequence[str], after: Sequence[str]) -> set[str]:
    """The fewest that must have moved to come from one order of the same names to the other, or nearly."""
    kept = {
        before[block.a + offset]
        for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        for offset in range(block.size)
    }
    return set(after) - kept
