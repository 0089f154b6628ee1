"""Records that tell of each commit, right before it and right after: for what ends a process at such a moment."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, TypeVar

from sqlalchemy import Engine

from flows.records.records import Records, Transaction

T = TypeVar("T")
Moment: TypeAlias = Literal["before", "after"]


class WatchedRecords(Records):
    """`watch` is told when, and what is written: the name of the function that writes it. Reads are not told of."""

    watch: Callable[[Moment, str], None] = staticmethod(lambda _when, _what: None)
    _written = threading.local()

    def _once(self, engine: Engine, work: Callable[[Transaction], T]) -> T:
        self._written.what = work.__qualname__.split(".<locals>")[0]
        return super()._once(engine, work)

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Transaction]:
        if engine is self._reading:
            with super()._begun(engine) as transaction:
                yield transaction
            return
        what = str(getattr(self._written, "what", "a transaction"))
        with super()._begun(engine) as transaction:
            yield transaction
            self.watch("before", what)
        self.watch("after", what)
