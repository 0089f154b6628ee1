"""What happened to a request, told from the records: its moves, the attempts of its steps, and what people did.

It is there also when Prefect is down or its runs were deleted; secrets never reached the records in clear.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from flows.records.records import Transaction
from flows.records.rows import AttemptRow, RequestRow
from flows.records.states import AttemptOutcome, RequestState


@dataclass(frozen=True)
class Line:
    """One line; `level` is info, warning or error."""

    at: datetime
    level: str
    step: str
    item: str
    text: str


def log_lines(tx: Transaction, request: RequestRow) -> list[Line]:
    """All lines of a request, oldest first."""
    lines = [*_moves(tx, request), *_attempts(tx, request), *_touches(tx, request)]
    return sorted(lines, key=lambda line: line.at)


def _moves(tx: Transaction, request: RequestRow) -> Iterator[Line]:
    for event in tx.audit.of(request.id):
        level = "warning" if event.to_state in {RequestState.ON_HOLD, RequestState.FAILED} else "info"
        what = event.event if event.to_state is None or event.to_state == event.from_state else event.to_state.value
        yield Line(event.at, level, "", "", f"{what}: {event.why}" if event.why else what)


def _attempts(tx: Transaction, request: RequestRow) -> Iterator[Line]:
    for row in tx.steps.attempts(request.id):
        yield Line(row.started, "info", row.path, row.item_key, f"attempt {row.attempt} of {row.action} began")
        if row.ended is not None:
            yield _ended(row, row.ended)


def _ended(row: AttemptRow, ended: datetime) -> Line:
    bad = row.error_class is not None or row.outcome in {AttemptOutcome.FAILED, AttemptOutcome.UNKNOWN}
    outcome = row.outcome.value if row.outcome else "ended"
    error = " ".join(part for part in (row.error_class, row.error_code) if part)
    text = (
        f"attempt {row.attempt}: {outcome}{f' ({error})' if error else ''}{f': {row.message}' if row.message else ''}"
    )
    return Line(ended, "error" if bad else "info", row.path, row.item_key, text)


def _touches(tx: Transaction, request: RequestRow) -> Iterator[Line]:
    for touch in tx.touches.of(request.id):
        yield Line(touch.ended, "info", touch.path, touch.item_key, f"{touch.actor}: {touch.kind.value}: {touch.why}")
