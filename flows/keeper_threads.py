"""What the keeper does beside its loops: work that other systems may make slow, each kind in threads of its own.

The threads are daemons: what they do is on record step by step, so the keeper ends when it is told to, whatever they
wait for, and what was begun is taken up again.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from flows.records.errors import RecordsUnavailable

_logger = logging.getLogger(__name__)


class Aside:
    """Looks for things to do, and does each in a thread of its own, `most` at once. Use as a context manager.

    `due` gives the ids of what is to be done, of so many at most; `do` does one. Two that do the same do no harm.
    """

    def __init__(
        self, name: str, due: Callable[[int], list[str]], do: Callable[[str], None], *, every: float, most: int
    ) -> None:
        self._name = name
        self._due = due
        self._do = do
        self._every = every
        self._most = most
        self._under_way: set[str] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name=f"orderly-{name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Begin nothing more."""
        self._over.set()
        self._thread.join(self._every + 1.0)

    def _look(self) -> None:
        while not self._over.is_set():
            try:
                self._begin(self._due(self._most * 2))
            except RecordsUnavailable as error:
                _logger.warning("%s: %s", self._name, error)
            except Exception:
                _logger.exception("%s failed; going on", self._name)
            self._over.wait(self._every)

    def _begin(self, found: list[str]) -> None:
        for one in found:
            with self._lock:
                if one in self._under_way:
                    continue
                if len(self._under_way) >= self._most:
                    return
                self._under_way.add(one)
            threading.Thread(target=self._work, args=(one,), name=f"orderly-{self._name}-{one}", daemon=True).start()

    def _work(self, one: str) -> None:
        try:
            self._do(one)
        except Exception:
            _logger.exception("%s of %s failed; it is tried again", self._name, one)
        finally:
            with self._lock:
                self._under_way.discard(one)
