"""Work by hand that comes back under the same name: it belongs into the model."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.labels import normalised
from flows.review.statistics.intervals import lower_bound, p_at_least, share
from flows.review.subject import Subject

NAME = "ad_hoc_recurs"
_LEAST = 60


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The share of requests with a touch of one label; numbers, case and punctuation make no other label."""
    if subject.current < _LEAST:
        return
    requests: dict[str, set[str]] = {}
    teams: dict[str, str] = {}
    for request, label, team in subject.history.rows(
        "SELECT request, label, team FROM touches JOIN req ON id = request WHERE current AND label IS NOT NULL "
        "AND kind NOT IN ('skip', 'complete', 'retry', 'undo', 'clean_up') ORDER BY request, label, team"
    ):
        normal = normalised(label)
        if normal:
            requests.setdefault(normal, set()).add(request)
            teams.setdefault(normal, team or "")
    for label, found in sorted(requests.items()):
        count = len(found)
        p = p_at_least(count, subject.current, gate["ordinary"])
        passes = lower_bound(count, subject.current) > gate["share"]
        yield Test(p, passes, partial(_finding, subject, label, teams[label], sorted(found), p))


def _finding(subject: Subject, label: str, team: str, found: list[str], p: float) -> Finding:
    of = subject.current
    exact = share(len(found), of)
    team = team or (
        subject.plan.owners.responsible[0] if subject.plan is not None and subject.plan.owners.responsible else ""
    )
    said = label.replace("_", " ")
    step = {
        "id": label,
        "uses": "human.task",
        "with": {"team": team or "support", "instructions": f"{said[:1].upper()}{said[1:]}.", "within": "P1D"},
        "undo": {"none": "What a person did, a person undoes."},
    }
    return subject.finding(
        NAME,
        f"{len(found)} of {of} requests needed the same thing by hand: {said}.",
        Edit(Operation.APPEND, "steps", step),  # type: ignore[arg-type]
        subject.evidence_of_requests(
            f"{exact.low:.0%} to {exact.high:.0%} of the requests.",
            "plan_digest IS NOT DISTINCT FROM ? AND id IN (SELECT request FROM touches WHERE label IS NOT NULL)",
            [subject.digest],
            requests=of,
            with_label=len(found),
        ),
        Prediction("work by hand that is in the model", "share", exact.estimate, exact.low, exact.high, Basis.MODELLED),
        risk="The step is a draft: a task for everybody. Give it the condition for which it is, or automate it.",
        p_value=p,
    )
