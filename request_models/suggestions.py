"""What was meant by a misspelt name, in bounded time however many names there are."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_COMPARED = 100
"""With how many names one is compared at most: those alike in length and in their first letter come first."""


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The name most like this one, None when none of them is like it."""
    known = list(names)
    if len(known) > MOST_COMPARED:
        known = sorted(known, key=lambda other: (other[:1] != name[:1], abs(len(other) - len(name))))[:MOST_COMPARED]
    found = get_close_matches(name, known, n=1, cutoff=cutoff)
    return found[0] if found else None
