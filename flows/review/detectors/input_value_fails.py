"""A value of an input with which requests fail: it should not be possible to order it."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import lower_bound, p_more_often, share
from flows.review.statistics.shrinkage import prior_of
from flows.review.subject import Subject
from request_models.json_values import canonical_json

NAME = "input_value_fails"
_MOST_VALUES = 60
_LEAST_OF_A_VALUE = 8
_CLEAR = 0.001
"""A p value with which a value counts as found, so that others are judged without its rows."""


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """For each input its worst value against the rest. The worst of all explains its rows; the next is sought without.

    The worst of several values is bad by chance more easily than one: its p value is as many times as large.
    """
    rows = [(inputs, failed) for _, _, failed, inputs in subject.inputs]
    names = [name for name, schema in subject.input_schemas.items() if not schema.get("writeOnly")]
    first = True
    while True:
        tests = sorted(_tests(rows, names), key=lambda one: (one[0], one[1], canonical_json(one[2])))
        worst = {name: (p, name, value, failed, count) for p, name, value, failed, count in reversed(tests)}
        kinds = Counter(name for _, name, *_ in tests)
        strong = [one for one in worst.values() if _is_strong(one[3], one[4], rows, gate)]
        found = min(strong, default=None, key=lambda one: (one[0] * kinds[one[1]], one[1]))
        rates = [(failed, count) for *_, failed, count in tests]
        for one in sorted(worst.values(), key=lambda one: one[1]) if first else [found] if found else []:
            p, name, value, failed, count = one
            p = min(1.0, p * kinds[name])
            yield Test(p, one == found, partial(_finding, subject, p, name, value, failed, count, rates))
        first = False
        if found is None or found[0] * kinds[found[1]] > _CLEAR:
            return
        rows = [row for row in rows if row[0].get(found[1]) != found[2]]


def _is_strong(failed: int, count: int, rows: list[tuple[dict[str, Any], bool]], gate: Gate) -> bool:
    """Whether so many fail that it matters, and clearly more than of the rest."""
    of_rest = len(rows) - count
    rest = (sum(fails for _, fails in rows) - failed) / of_rest if of_rest else 1.0
    rate = failed / count
    surely = lower_bound(failed, count) > gate["times_the_rest"] * rest
    return failed >= gate["least"] and rate > gate["rate"] and surely


def _tests(rows: list[tuple[dict[str, Any], bool]], names: list[str]) -> Iterator[tuple[float, str, Any, int, int]]:
    total, all_failed = len(rows), sum(failed for _, failed in rows)
    for name in names:
        counts: dict[bytes, list[Any]] = {}
        for inputs, failed in rows:
            value = inputs.get(name)
            if isinstance(value, str | int | float):
                one = counts.setdefault(canonical_json(value), [value, 0, 0])
                one[1] += failed
                one[2] += 1
        if len(counts) > _MOST_VALUES or len(counts) < 2:
            continue
        for value, failed, count in counts.values():
            if count >= _LEAST_OF_A_VALUE:
                yield p_more_often(failed, count, all_failed - failed, total - count), name, value, failed, count


def _finding(
    subject: Subject, p: float, name: str, value: Any, failed: int, count: int, others: list[tuple[int, int]]
) -> Finding:
    allowed = subject.input_schemas[name].get("enum")
    edit = (
        Edit(Operation.SET, f"inputs.{name}.enum", [one for one in allowed if one != value])
        if isinstance(allowed, list | tuple)
        else Edit(Operation.SET, f"inputs.{name}.not", {"enum": [value]})
    )
    rate = prior_of(others).posterior(failed, count)
    exact = share(failed, count)
    return subject.finding(
        NAME,
        f"With {name} = {value!r}, {failed} of {count} requests failed.",
        edit,
        subject.evidence_of_requests(
            f"{failed} of {count} failed ({exact.low:.0%} to {exact.high:.0%}).",
            "plan_digest = ? AND json_extract_string(inputs, ?) = ?",
            [subject.digest, f"$.{name}", str(value) if not isinstance(value, bool) else str(value).lower()],
            failed=failed,
            requests=count,
        ),
        Prediction(
            "requests that fail late and would be refused at once, per hundred with that value",
            "requests",
            100 * rate.estimate,
            100 * rate.low,
            100 * rate.high,
        ),
        risk=f"{count - failed} requests with that value were fulfilled; their requesters could not order it.",
        p_value=p,
        owner=subject.plan.owners.accountable if subject.plan is not None else None,
    )
