"""In which order locks are given: who may have theirs now, who waits for whom, and who would wait for ever. No effects.

A request asks for all its locks at once and gets all of them or none, so that none is held while another is waited for.
First come, first served: whoever came later and wants a lock in common waits behind, also while that lock is free, so
that many small requests cannot starve one that needs several locks. A request that another ordered works on behalf of
that one: it does not wait for what those it works for hold, and stands where the first of them stood.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

Turn = tuple[int, int]
"""Whose turn it is: the ticket of the family, then the request's own."""


@dataclass(frozen=True)
class Standing:
    """A request in the queue: the locks it wants, or has. `family` are those it works for, the nearest first."""

    request_id: str
    names: frozenset[str]
    turn: Turn
    held: bool
    family: tuple[str, ...] = ()


class LockOrder:
    """All that stand in the queue at one moment."""

    def __init__(self, standings: Iterable[Standing]) -> None:
        self._all = {one.request_id: one for one in sorted(standings, key=lambda one: one.turn)}
        self._holding: defaultdict[str, list[Standing]] = defaultdict(list)
        self._waiting: defaultdict[str, list[Standing]] = defaultdict(list)
        for one in self._all.values():
            for name in one.names:
                (self._holding if one.held else self._waiting)[name].append(one)

    def granted(self, names: Iterable[str]) -> list[str]:
        """Who gets its locks now, of those that wait for one of these, in their order; they hold them from here on."""
        wanted = frozenset(names)
        waiting = [one for one in self._all.values() if not one.held and one.names & wanted]
        granted = [one for one in waiting if self._grant(one)]
        return [one.request_id for one in granted]

    def before(self, request_id: str) -> dict[str, Standing]:
        """For each lock that a waiting request has to wait for, the first that has it, or is to have it, before."""
        one = self._all[request_id]
        found = {name: next(self._in_the_way(one, name), None) for name in sorted(one.names)}
        return {name: other for name, other in found.items() if other is not None}

    def circle(self, request_id: str) -> tuple[str, ...]:
        """Those that wait for each other in a circle through a waiting request, itself first; empty if it will do."""
        start = self._all[request_id]
        path_to: dict[str, tuple[str, ...]] = {start.request_id: (start.request_id,)}
        to_look_at = [start]
        for one in to_look_at:
            for other in self._waited_for(one):
                if other.request_id == request_id:
                    return path_to[one.request_id]
                if other.request_id not in path_to:
                    path_to[other.request_id] = (*path_to[one.request_id], other.request_id)
                    to_look_at.append(other)
        return ()

    def _grant(self, one: Standing) -> bool:
        if any(True for name in one.names for _ in self._in_the_way(one, name)):
            return False
        holds = replace(one, held=True)
        self._all[one.request_id] = holds
        for name in one.names:
            self._waiting[name].remove(one)
            self._holding[name].append(holds)
        return True

    def _in_the_way(self, one: Standing, name: str) -> Iterator[Standing]:
        """Who has a lock, or comes first for it, before a request that waits."""
        held = [other for other in self._holding[name] if other.request_id != one.request_id]
        yield from (other for other in held if other.request_id not in one.family)
        through = [other.request_id for other in held if other.request_id in one.family]
        for other in self._waiting[name]:
            if other.turn >= one.turn:
                return
            # Whoever waits for those this one works for would wait for this one too: it is not waited for.
            if all(holder in other.family for holder in through):
                yield other

    def _waited_for(self, one: Standing) -> Iterator[Standing]:
        """The waiting requests that have to get on before a waiting request can."""
        blocking = {other.request_id for name in one.names for other in self._in_the_way(one, name)}
        for other in self._all.values():
            if not other.held and (other.request_id in blocking or blocking & set(other.family)):
                yield other
