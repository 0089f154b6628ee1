"""Who waits longer is less satisfied: where it is worth making it shorter."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.strata import rank_correlation
from flows.review.subject import Subject

NAME = "wait_hurts_satisfaction"


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The rank correlation of time to fulfil and rating, among requests that went the same way."""
    rows = subject.history.rows(
        "SELECT coalesce(requester_group, '') || '|' || state, seconds, rating FROM req JOIN feedback ON request = id "
        "WHERE current AND over AND rating IS NOT NULL ORDER BY id"
    )
    (asked,) = subject.history.one("SELECT count(*) FROM req JOIN feedback ON request = id WHERE current AND over")
    if len(rows) < gate["least"]:
        return
    found = rank_correlation([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    if found is None:
        return
    rho, p, compared = found
    passes = rho < gate["ordinary"] and compared >= gate["least"]
    yield Test(p, passes, partial(_finding, subject, rho, compared, asked - len(rows), p))


def _finding(subject: Subject, rho: float, compared: int, silent: int, p: float) -> Finding:
    return subject.finding(
        NAME,
        f"The longer a request takes, the lower it is rated (rank correlation {rho:.2f}).",
        Edit(Operation.NONE, "due.within"),
        subject.evidence_of_requests(
            f"{compared} answers; {silent} who were asked did not answer, and may think otherwise.",
            "id IN (SELECT request FROM feedback WHERE rating IS NOT NULL)",
            [],
            answers=compared,
            silent=silent,
            correlation=rho,
        ),
        Prediction("satisfaction", basis=Basis.HYPOTHESIS),
        risk="None: it says where to look.",
        p_value=p,
    )
