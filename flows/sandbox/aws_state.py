"""Everything that moto's backends hold, as flat facts: what exists at the target, whatever was asked to get there."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum

from moto.core.base_backend import BackendDict

_DEEPEST = 14
_SHIPPED = frozenset({"amis", "instance_types", "managed_policies", "aws_managed_policies"})
"""What moto brings along: thousands of entries that no request made."""

Path = tuple[str, ...]


def aws_state() -> dict[str, str]:
    """Path -> value, a path being `SERVICE/REGION/COLLECTION/KEY/...`: only what is kept in collections.

    Moments are left out, and so is what says how moto is set up. The endpoint's lock must be held.
    """
    facts: dict[str, str] = {}
    for backends in list(BackendDict._instances):  # type: ignore[misc]  # noqa: SLF001 - moto has no other list of them
        for _, region, backend in backends.iter_backends():
            place = (backends.service_name, region)
            facts |= {"/".join(path): value for path, value in _facts(backend, place, (), kept=False)}
    return facts


def _facts(value: object, path: Path, above: tuple[int, ...], *, kept: bool) -> Iterator[tuple[Path, str]]:
    """The facts of one value. What refers back to something above it has none; `kept`: it is in a collection."""
    if isinstance(value, bool | int | str | bytes | Enum) or value is None:
        if kept:
            yield path, value.hex() if isinstance(value, bytes) else str(value)
        return
    if isinstance(value, float | dt.datetime) or id(value) in above or len(above) > _DEEPEST:
        return
    collection = isinstance(value, Mapping | Sequence | AbstractSet)
    for name, part in _parts(value):
        if name not in _SHIPPED:
            yield from _facts(part, (*path, name), (*above, id(value)), kept=kept or collection)


def _parts(value: object) -> list[tuple[str, object]]:
    match value:
        case Mapping():
            return [(str(key), part) for key, part in list(value.items())]
        case AbstractSet():
            return [(str(number), part) for number, part in enumerate(sorted(value, key=str))]
        case Sequence():
            return [(str(number), part) for number, part in enumerate(value)]
        case _ if type(value).__module__.startswith("moto."):
            return list(getattr(value, "__dict__", {}).items())
        case _:
            return []
