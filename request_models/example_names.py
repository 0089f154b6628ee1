"""How examples name steps: `create`, `add[anna]` or `join[anna].add` in loops, `prerequisites.ID`, `verify.N`."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def step_named(name: str) -> str:
    """The path of the step that a name means."""
    return name.rsplit("].", 1)[-1].partition("[")[0]


def names_of(path: str, label: str, key: str = "") -> tuple[str, ...]:
    """The names of a step, the most exact first. `label` is how operators call it, `key` that of its innermost item."""
    return tuple(dict.fromkeys((label, f"{path}[{key}]", path) if key else (label, path)))


def said_of(said: Mapping[str, T], names: Iterable[str]) -> T | None:
    """What is said of a step, by the most exact of its names; None when nothing is."""
    return next((said[name] for name in names if name in said), None)
