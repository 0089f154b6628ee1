"""What was found on the older part is confirmed on the newer: nothing is judged by the data it was found in."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def by_time(rows: Sequence[T], moments: Sequence[int], older: float = 0.5) -> tuple[list[T], list[T]]:
    """Rows split by their moments into an older part, of that share, and a newer one; one moment stays together."""
    if not rows:
        return [], []
    ordered = sorted(moments)
    cut = ordered[min(len(ordered) - 1, int(len(ordered) * older))]
    return (
        [row for row, moment in zip(rows, moments, strict=True) if moment < cut],
        [row for row, moment in zip(rows, moments, strict=True) if moment >= cut],
    )
