"""What is due is far from what happens: the target tells users something that is not so."""

import math
from collections.abc import Iterator
from functools import partial

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.lengths import rounded_up, write_length
from flows.review.statistics.holdout import by_time
from flows.review.statistics.intervals import Interval, p_at_least, p_at_most
from flows.review.statistics.survival import kaplan_meier
from flows.review.subject import Subject

NAME = "due_wrong"
_LEAST = 60


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The 95th percentile of the time to fulfil, unfinished ones counted, against what is due; both halves agree."""
    due = subject.due_seconds
    if due is None or subject.plan is None or subject.plan.due.calendar != "always":
        return  # in office hours, time on a clock says nothing
    # What ended otherwise was never going to be fulfilled: taken as unfinished, it would make the others look slower.
    rows = subject.history.rows(
        "SELECT submitted, seconds, coalesce(state = 'fulfilled' AND over, false) FROM req "
        "WHERE current AND submitted IS NOT NULL AND state NOT IN ('cancelled', 'rejected', 'failed') "
        "ORDER BY submitted, id"
    )
    if len(rows) < _LEAST:
        return
    curve = kaplan_meier([row[1] for row in rows], [row[2] for row in rows])
    found = curve.quantile(gate["quantile"])
    # Against "a share of exactly 5% is late", of those of whom it is known at the due time.
    known = [row for row in rows if row[2] or row[1] >= due]
    late = sum(row[1] > due for row in known)
    allowed = 1 - gate["quantile"]
    p = 2 * min(p_at_least(late, len(known), allowed), p_at_most(late, len(known), allowed))
    passes = found is not None and _excludes(found, due, gate["share"]) and _both_halves(rows, due, gate["quantile"])
    if found is not None:
        yield Test(min(1.0, p), passes, partial(_finding, subject, due, found, len(rows), min(1.0, p)))


def _excludes(found: Interval, due: float, share: float) -> bool:
    return found.low > due * (1 + share) or found.high < due * (1 - share)


def _both_halves(rows: list[tuple[int, float, bool]], due: float, q: float) -> bool:
    """Whether both halves in time say the same: a bad month is no reason for another target."""
    sides = set()
    for half in by_time(rows, [row[0] for row in rows]):
        curve = kaplan_meier([row[1] for row in half], [row[2] for row in half])
        finished = 1 - curve.at(due)
        sides.add(finished < q)
    return len(sides) == 1


def _finding(subject: Subject, due: float, found: Interval, count: int, p: float) -> Finding:
    longer = found.estimate > due
    value = rounded_up(found.estimate)
    return subject.finding(
        NAME,
        f"95% are fulfilled within {found.estimate:.0f} s; due are {due:.0f} s.",
        Edit(Operation.SET, "due.within", write_length(value)),
        subject.evidence_of_requests(
            f"By {count} requests, unfinished ones counted, the 95th percentile lies between {found.low:.0f} and "
            f"{found.high:.0f} s.",
            "plan_digest IS NOT DISTINCT FROM ?",
            [subject.digest],
            requests=count,
            p95=found.estimate,
            low=found.low,
            high=found.high,
            due=due,
        ),
        Prediction(
            "ratio of the 95th percentile to what is due, after",
            "",
            found.estimate / value,
            found.low / value,
            found.high / value,
        ),
        risk="A longer target is a promise taken back: look first at what takes the time."
        if longer and not math.isinf(found.high)
        else "A shorter target must be kept in busy months too.",
        p_value=p,
        owner=subject.plan.owners.accountable if subject.plan is not None else None,
    )
