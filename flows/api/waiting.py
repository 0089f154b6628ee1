"""Calls that wait for a request to get on: how many there may be, and how long. Each costs a look every half second."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

MOST_WAITING = 200
"""Calls at a time, in this process; one more does not wait."""

LONGEST_WAIT = 60
"""Seconds; front-ends and what stands between give up about then."""

LOOK_EVERY = 0.5
"""Seconds."""

_WAIT = re.compile(r"\s*wait\s*=\s*([0-9]{1,6})\s*", re.ASCII)


class WaitingRoom:
    """Counts who waits. Used by the event loop's thread alone."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._free = most

    @property
    def full(self) -> bool:
        """Whether there is no place."""
        return self._free <= 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place, for as long as it lasts. Whoever finds the room full does not come in."""
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def during(self, stream: AsyncIterator[str]) -> AsyncIterator[str]:
        """The stream, which has a place from its first part until it ends, however it ends."""
        with self.place():
            async for part in stream:
                yield part


def preferred_wait(prefer: str | None) -> int:
    """Seconds that `Prefer: wait=N` asks for (RFC 7240), at most `LONGEST_WAIT`; 0 if it asks for none."""
    for preference in (prefer or "").split(","):
        if found := _WAIT.fullmatch(preference.partition(";")[0]):
            return min(int(found.group(1)), LONGEST_WAIT)
    return 0


async def wait_until(done: Callable[[T], bool], look: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Look until it is done or the time is over; gives what was seen last."""
    deadline = time.monotonic() + seconds
    seen = await look()
    while not done(seen) and time.monotonic() < deadline:
        await asyncio.sleep(min(LOOK_EVERY, max(deadline - time.monotonic(), 0)))
        seen = await look()
    return seen
