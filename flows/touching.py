"""Recording that a person did something to a request by hand, so that it does not count as fulfilled without one."""

from dataclasses import dataclass

from flows.records.records import Transaction
from flows.records.rows import RequestRow, StepRow, Touch
from flows.records.states import StepState, TouchKind


@dataclass(frozen=True)
class Remark:
    """What a person says of what it does: why, how many minutes of work it was, and a label to sort it by."""

    why: str = ""
    minutes: float | None = None
    label: str | None = None


def touch_hold(
    tx: Transaction,
    request: RequestRow,
    kind: TouchKind,
    actor: str,
    remark: Remark | str,
    step: tuple[str, str] | None = None,
) -> None:
    """Record what a person did to a request on hold. Call it before the request moves on.

    Without a step it is about the one that failed last; `step` is its path and the key of its item.
    """
    said = Remark(remark) if isinstance(remark, str) else remark
    path, item_key = step or _failed_last(tx.steps.all(request.id))
    tx.touches.add(
        Touch(
            request_id=request.id,
            path=path,
            item_key=item_key,
            kind=kind,
            actor=actor,
            team=request.hold_team,
            started=request.state_since,
            ended=tx.now(),
            minutes=said.minutes,
            label=said.label,
            why=said.why,
        )
    )


def _failed_last(rows: list[StepRow]) -> tuple[str, str]:
    failed = [row for row in rows if row.state is StepState.FAILED]
    last = max(failed, key=lambda row: row.ended or row.started, default=None)
    return ("", "") if last is None else (last.path, last.item_key)
