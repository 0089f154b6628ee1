"""Time that passes only when somebody waits, and then at once."""

import threading
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """A clock that is moved by hand. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = datetime(2030, 1, 7, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The moment it shows, aware."""
        with self._lock:
            return self._now

    def set(self, moment: datetime) -> None:
        """Show this moment."""
        with self._lock:
            self._now = moment

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass."""
        with self._lock:
            self._now += timedelta(seconds=max(seconds, 0.0))

    def wait_until(self, moment: datetime) -> None:
        """Let time pass until then; nothing passes when that is over."""
        with self._lock:
            self._now = max(self._now, moment)


class VirtualStop(threading.Event):
    """An event that nobody waits for: the clock goes on instead."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Let `timeout` seconds pass, if it is not set; without one, none. Gives whether it is set."""
        if not self.is_set() and timeout is not None:
            self._clock.wait(timeout)
        return self.is_set()
