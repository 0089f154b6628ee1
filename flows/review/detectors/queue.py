"""Work waits for its turn, and the more comes in an hour the longer: there is too little room for it."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import Interval, quantile
from flows.review.statistics.strata import rank_correlation
from flows.review.subject import Subject

NAME = "queue"
_LEAST = 60
_HOUR = 3_600_000_000


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The longest wait for a first attempt of each request, against the arrivals of its hour."""
    due = subject.due_seconds
    if not due:
        return
    rows = subject.history.rows(
        f"""
        WITH waits AS (
            SELECT request, max((att.started - att.queued) / 1e6) AS wait FROM att
            WHERE attempt = 1 AND att.started >= att.queued GROUP BY request
        ), hours AS (SELECT submitted // {_HOUR} AS hour, count(*) AS arrivals FROM req GROUP BY 1)
        SELECT wait, arrivals FROM waits JOIN req ON id = request JOIN hours ON hour = submitted // {_HOUR}
        WHERE current ORDER BY submitted, id
        """
    )
    waits = [wait for wait, _ in rows]
    if len(waits) < _LEAST or len({arrivals for _, arrivals in rows}) < 2:
        return
    found = quantile(waits, gate["quantile"])
    linked = rank_correlation(["all"] * len(rows), [-wait for wait in waits], [float(count) for _, count in rows])
    if found is None or linked is None:
        return
    passes = found.low > gate["share"] * due and linked[0] < -0.2
    yield Test(linked[1], passes, partial(_finding, subject, found, -linked[0], len(rows), linked[1]))


def _finding(subject: Subject, found: Interval, rho: float, count: int, p: float) -> Finding:
    due = subject.due_seconds or 1.0
    return subject.finding(
        NAME,
        f"One request in ten waits {found.estimate / due:.0%} of what is due for its turn, more in busy hours.",
        Edit(Operation.NONE, "settings.worker.limit"),
        subject.evidence(
            f"{count} requests; the 90th percentile of the wait is {found.low:.0f} to {found.high:.0f} s; it "
            f"follows the arrivals of the hour (rank correlation {rho:.2f}).",
            "attempt = 1",
            [],
            requests=count,
            p90=found.estimate,
            correlation=rho,
        ),
        Prediction("wait for a turn, less", basis=Basis.MODELLED),
        risk="More at a time is more load for the systems behind.",
        p_value=p,
    )
