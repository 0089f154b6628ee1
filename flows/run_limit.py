"""The longest a request may run at a stretch: nothing runs for ever, what does goes on hold for a person."""

from datetime import datetime, timedelta

from flows.actors import KEEPER
from flows.records.records import Records, Transaction
from flows.records.rows import Claim
from flows.records.states import RequestState
from request_models.durations import say_duration

_RUNS = frozenset({RequestState.IN_PROGRESS, RequestState.UNDOING})


def hold_what_runs_too_long(records: Records, now: datetime, longest: timedelta) -> None:
    """Put requests on hold that one process has run for longer than that; it hears of it and stops what it calls.

    While a request waits, nothing of it runs: the next stretch counts from its beginning.
    """
    for claim in records.read(lambda tx: tx.claims.live_since(now - longest)):
        records.run(lambda tx, claim=claim: _hold(tx, claim, longest))  # type: ignore[misc] # bound at once


def _hold(tx: Transaction, claim: Claim, longest: timedelta) -> None:
    request = tx.requests.get_for_update(claim.request_id)
    current = tx.claims.get(claim.request_id)
    if request is None or request.state not in _RUNS or current is None or current.released:
        return
    if current.epoch != claim.epoch:
        return
    why = (
        f"It has run for longer than {say_duration(longest.total_seconds())} at a stretch, which the settings do not "
        "allow (`keeper.longest_run_seconds`). What it called last was told to stop. Look at the step that was under "
        "way, then retry or undo."
    )
    tx.requests.move(request.id, RequestState.ON_HOLD, actor=KEEPER, why=why)
