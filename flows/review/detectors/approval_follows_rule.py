"""Within a simple rule on the inputs an approval is always given: only the rest needs to be asked."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import Any

from flows.review.decisions import GRANTED
from flows.review.findings import Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.holdout import by_time
from flows.review.statistics.intervals import p_at_most, share, upper_bound
from flows.review.subject import Subject

NAME = "approval_follows_rule"
_LEAST = 100
_LEAST_COVERED = 0.2
_MOST_VALUES = 12
_SAMPLE = 3_000
"""Decisions at most: rules are tried one by one."""

Row = tuple[dict[str, Any], bool]
Part = tuple[str, str, Any]
"""An input, `==` or `<=`, and a value."""


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The rule is found on the older half of the decisions and judged on the newer."""
    for approval in subject.plan.approvals if subject.plan is not None else ():
        if approval.when is not None:
            continue
        rows = subject.history.rows(
            f"SELECT inputs, decision NOT IN ({GRANTED}), decided FROM approvals JOIN req ON req.id = request "
            "WHERE current AND approval = ? AND decided IS NOT NULL AND decision <> 'delegate' "
            f"ORDER BY hash(request), request, approver LIMIT {_SAMPLE}",
            [approval.id],
        )
        rows.sort(key=lambda row: row[2])
        known = [(json.loads(inputs or "{}"), refused) for inputs, refused, _ in rows]
        older, newer = by_time(known, [moment for _, _, moment in rows])
        if len(rows) < _LEAST or not any(refused for _, refused in known):
            continue  # never refused is another finding
        rule = _rule(older, subject)
        if rule is None:
            continue
        inside = [refused for inputs, refused in newer if _holds(rule, inputs)]
        p = p_at_most(sum(inside), len(inside), gate["ordinary"])
        passes = bool(inside) and upper_bound(sum(inside), len(inside)) < gate["bound"]
        yield Test(p, passes, partial(_finding, subject, approval.id, rule, inside, len(newer), p))


def _rule(rows: list[Row], subject: Subject) -> tuple[Part, ...] | None:
    """The rule of one or two parts that covers most grants without a refusal; the shorter of two alike."""
    parts = list(_parts(rows, subject))
    best: tuple[int, int, tuple[Part, ...]] | None = None
    for rule in (*((part,) for part in parts), *combinations(parts, 2)):
        covered = [refused for inputs, refused in rows if _holds(rule, inputs)]
        if any(covered) or len(covered) < max(_LEAST_COVERED * len(rows), 20):
            continue
        if best is None or (len(covered), -len(rule)) > (best[0], best[1]):
            best = (len(covered), -len(rule), rule)
    return None if best is None else best[2]


def _parts(rows: list[Row], subject: Subject) -> Iterator[Part]:
    for name, schema in sorted(subject.input_schemas.items()):
        if schema.get("writeOnly"):
            continue
        values = [inputs[name] for inputs, _ in rows if name in inputs and isinstance(inputs[name], str | int | float)]
        kinds = sorted(set(map(json.dumps, values)))
        if 1 < len(kinds) <= _MOST_VALUES:
            yield from ((name, "==", json.loads(kind)) for kind in kinds)
        numbers = sorted(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
        refused = [
            inputs[name] for inputs, no in rows if no and isinstance(inputs.get(name), int | float) and name in inputs
        ]
        if numbers and refused and schema.get("type") in {"integer", "number"}:
            below = [value for value in numbers if value < min(refused)]
            if below:
                yield name, "<=", max(below)


def _holds(rule: tuple[Part, ...], inputs: dict[str, Any]) -> bool:
    return all(
        name in inputs and (inputs[name] == value if sign == "==" else inputs[name] <= value)
        for name, sign, value in rule
    )


def _finding(subject: Subject, approval: str, rule: tuple[Part, ...], inside: list[bool], of: int, p: float) -> Finding:
    said = " and ".join(f"inputs.{name} {sign} {_literal(value)}" for name, sign, value in rule)
    covered = share(len(inside), of)
    return subject.finding(
        NAME,
        f"Where {said}, {approval} was refused {sum(inside)} of {len(inside)} times.",
        Edit(Operation.SET, f"approvals.{approval}.when", f"not ({said})"),
        subject.evidence_of_requests(
            f"Found on the older half, judged on the newer: to {upper_bound(sum(inside), len(inside)):.1%} refused.",
            "plan_digest = ? AND id IN (SELECT request FROM approvals WHERE approval = ?)",
            [subject.digest, approval],
            covered=len(inside),
            refused=sum(inside),
            decisions=of,
        ),
        Prediction("requests that wait for no decision", "share", covered.estimate, covered.low, covered.high),
        risk="Who knows the rule may keep to it on purpose.",
        p_value=p,
        owner=subject.plan.owners.accountable if subject.plan is not None else None,
    )


def _literal(value: Any) -> str:
    """As the expression language writes it."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)
