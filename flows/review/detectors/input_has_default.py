"""An input that nearly everybody fills in alike: it can have that as its default."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.holdout import by_time
from flows.review.statistics.intervals import lower_bound, p_at_least, share
from flows.review.subject import Subject
from request_models.json_values import canonical_json

NAME = "input_has_default"
_LEAST = 60


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Inputs that must be given: the share of their most frequent value, over all and in each half of the time."""
    required = cast(list[str], subject.plan.inputs.get("required", [])) if subject.plan is not None else []
    for name, schema in subject.input_schemas.items():
        if "default" in schema or schema.get("writeOnly") or name not in required:
            continue
        given = [(moment, inputs[name]) for _, moment, _, inputs in subject.inputs if name in inputs]
        if len(given) < _LEAST:
            continue
        counts = Counter(canonical_json(value) for _, value in given)
        key, count = min(counts.items(), key=lambda one: (-one[1], one[0]))
        value = next(value for _, value in given if canonical_json(value) == key)
        halves = by_time([canonical_json(value) == key for _, value in given], [moment for moment, _ in given])
        steady = all(half and sum(half) / len(half) > gate["bound"] for half in halves)
        passes = lower_bound(count, len(given)) > gate["bound"] and steady
        p = p_at_least(count, len(given), gate["ordinary"])
        yield Test(p, passes, partial(_finding, subject, name, value, count, len(given), p))


def _finding(subject: Subject, name: str, value: Any, count: int, of: int, p: float) -> Finding:
    found = share(count, of)
    return subject.finding(
        NAME,
        f"{count} of {of} gave {value!r} for {name}.",
        Edit(Operation.SET, f"inputs.{name}.default", value),
        subject.evidence_of_requests(
            f"{count} of {of} ({found.low:.1%} to {found.high:.1%}), in each half of the time.",
            "plan_digest = ?",
            [subject.digest],
            same=count,
            requests=of,
        ),
        Prediction("orders that need not fill it in", "share", found.estimate, found.low, found.high, Basis.MECHANICAL),
        risk="Who means something else and does not look gets the default.",
        p_value=p,
    )
