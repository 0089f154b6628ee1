"""Steps that follow each other although neither needs the other: together they take as long as the longer one."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import mean_above
from flows.review.statistics.resampling import mean_interval, seed_of
from flows.review.subject import Subject
from request_models.dependence import dependents
from request_models.expressions import references
from request_models.plan import Expression, ListOf, MapOf, Node, Plan, Step, Text

NAME = "could_run_in_parallel"
_LEAST = 50


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Neighbours at the top of the model, as many as go together."""
    if subject.plan is None:
        return
    for steps in _runs(subject.plan):
        rows = _times(subject, steps)
        if len(rows) < _LEAST:
            continue
        saved = [(sum(times) - max(times)) / max(total, 1e-6) for total, times in rows]
        low, p = mean_above(saved, gate["ordinary"])
        yield Test(p, low > gate["saving"], partial(_finding, subject, steps, rows, saved, p))


def _times(subject: Subject, steps: list[str]) -> list[tuple[float, list[float]]]:
    sums = ", ".join("sum(run.seconds) FILTER (WHERE path = ?)" for _ in steps)
    rows = subject.history.rows(
        f"SELECT request, any_value(req.seconds), {sums} FROM run JOIN req ON id = request "
        "WHERE state = 'fulfilled' AND current GROUP BY request ORDER BY request",
        list(steps),
    )
    return [(row[1], list(row[2:])) for row in rows if all(value is not None for value in row[2:])]


def _runs(plan: Plan) -> Iterator[list[str]]:
    """Longest runs of neighbours of which none needs another."""
    run: list[Step] = []
    for block in plan.blocks:
        if isinstance(block, Step) and _may_move(block) and all(_independent(plan, one, block) for one in run):
            run.append(block)
            continue
        if len(run) > 1:
            yield [one.path for one in run]
        run = [block] if isinstance(block, Step) and _may_move(block) else []
    if len(run) > 1:
        yield [one.path for one in run]


def _may_move(step: Step) -> bool:
    return step.uses.partition(".")[0] not in {"human", "wait", "request"} and step.loop is None


def _independent(plan: Plan, first: Step, second: Step) -> bool:
    if second.path in dependents(plan, [f"steps.{first.path}"]):
        return False
    for one, other in ((first, second), (second, first)):
        if one.undo is not None and one.undo.covered_by == other.path:
            return False
    # Two steps about one thing (a bucket, an account) have an order that nobody wrote down.
    return not (_things(first) & _things(second))


def _things(step: Step) -> frozenset[str]:
    return frozenset(name for name in _reads(step.arguments) if name.startswith("values."))


def _reads(node: Node) -> Iterator[str]:
    match node:
        case Expression() | Text():
            yield from node.reads or references(node)
        case ListOf(items=items):
            for item in items:
                yield from _reads(item)
        case MapOf(members=members):
            for member in members.values():
                yield from _reads(member)
        case _:
            return


def _finding(
    subject: Subject, steps: list[str], rows: list[tuple[float, list[float]]], shares: list[float], p: float
) -> Finding:
    seconds = [sum(times) - max(times) for _, times in rows]
    saved = mean_interval(seconds, seed_of(NAME, steps, len(rows)))
    share = sum(shares) / len(shares)
    order = ", ".join(f"{first} before {second}" for first, second in pairwise(steps))
    return subject.finding(
        NAME,
        f"{', '.join(steps)} need nothing of each other; at the same time they would take {share:.0%} off a request.",
        Edit(Operation.PARALLEL, "steps", list(steps)),
        subject.evidence(
            f"{len(rows)} fulfilled requests did them one after the other ({order}).",
            f"path IN ({', '.join('?' for _ in steps)})",
            steps,
            requests=len(rows),
            saving_share=share,
        ),
        Prediction("time of a request, less", "seconds", saved.estimate, saved.low, saved.high),
        risk="If one fails, the others have been done already. Systems may have an order that the model does not tell.",
        p_value=p,
    )
