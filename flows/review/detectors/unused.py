"""A branch or an input that nobody uses: the model can do without."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import p_at_most, upper_bound
from flows.review.subject import DAY, Subject

NAME = "unused"
_LEAST = 100


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Steps with a condition among fulfilled requests, and inputs that may be left out; over a whole season."""
    if subject.plan is None:
        return
    first, last = subject.history.one("SELECT min(submitted), max(submitted) FROM req WHERE current")
    season = first is not None and last - first >= gate["season_days"] * DAY
    for kind, name, used, count in (*_steps(subject), *_inputs(subject)):
        if count >= _LEAST:
            p = p_at_most(used, count, gate["ordinary"])
            passes = season and used == 0 and upper_bound(used, count) < gate["bound"]
            yield Test(p, passes, partial(_finding, subject, kind, name, used, count, p))


def _steps(subject: Subject) -> Iterator[tuple[str, str, int, int]]:
    (fulfilled,) = subject.history.one("SELECT count(*) FROM req WHERE current AND state = 'fulfilled'")
    rows = subject.history.rows(
        "SELECT path, count(DISTINCT request) FROM run JOIN req ON id = request "
        "WHERE state = 'fulfilled' AND outcome <> 'skipped' GROUP BY 1"
    )
    used: dict[str, int] = dict(rows)
    for step in subject.steps:
        if step.when is not None:
            yield "steps", step.path, used.get(step.path, 0), fulfilled


def _inputs(subject: Subject) -> Iterator[tuple[str, str, int, int]]:
    if subject.plan is None:
        return
    for name in sorted(subject.plan.optional_inputs):
        if "default" not in subject.input_schemas.get(name, {}):
            count, given = subject.history.one(
                "SELECT count(*), count(*) FILTER (WHERE json_extract_string(inputs, ?) IS NOT NULL) FROM req "
                "WHERE current",
                [f'$."{name}"'],
            )
            yield "inputs", name, given, count


def _finding(subject: Subject, kind: str, name: str, used: int, count: int, p: float) -> Finding:
    what = f"The step {name} was never reached" if kind == "steps" else f"The input {name} was never given"
    return subject.finding(
        NAME,
        f"{what}, in {count} requests.",
        Edit(Operation.REMOVE, f"{kind}.{name}"),
        subject.evidence_of_requests(
            f"0 of {count}; at most {upper_bound(used, count):.2%} would use it.",
            "plan_digest = ?",
            [subject.digest],
            used=used,
            requests=count,
            upper_bound=upper_bound(used, count),
        ),
        Prediction("requests that change", "share", 0.0, 0.0, upper_bound(used, count)),
        risk="It may be there for what happens once in years.",
        p_value=p,
    )
