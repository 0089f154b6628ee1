"""One value of an input makes it another kind of request: it takes many times as long."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.strata import Comparison, compare
from flows.review.subject import DAY, Subject

NAME = "two_models"
_MOST_VALUES = 4


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """Each value of inputs with few values against the others, within the values of the next input of few."""
    times = {
        row[0]: (row[1], row[2])
        for row in subject.history.rows(
            f"SELECT id, seconds, submitted // {DAY} FROM req WHERE current AND state = 'fulfilled'"
        )
    }
    rows = [(*times[key], inputs) for key, _, _, inputs in subject.inputs if key in times]
    few = [
        name for name, schema in subject.input_schemas.items() if "enum" in schema or schema.get("type") == "boolean"
    ]
    few = [name for name in few if 1 < len({str(inputs.get(name)) for _, _, inputs in rows}) <= _MOST_VALUES]
    for name in few:
        others = [other for other in few if other != name][:2]
        for value in sorted({str(inputs.get(name)) for _, _, inputs in rows}):
            second = [str(inputs.get(name)) == value for _, _, inputs in rows]
            if min(sum(second), len(second) - sum(second)) < gate["least"]:
                continue
            strata = ["|".join(str(inputs.get(other)) for other in others) for _, _, inputs in rows]
            found = compare(strata, second, [row[0] for row in rows], [row[1] for row in rows])
            if found is not None:
                passes = found.ratio.estimate > gate["ratio"] and found.ratio.low > gate["ratio"] * 0.8
                original = next(inputs.get(name) for _, _, inputs in rows if str(inputs.get(name)) == value)
                yield Test(found.p_value, passes, partial(_finding, subject, name, original, found))


def _finding(subject: Subject, name: str, value: Any, found: Comparison) -> Finding:
    return subject.finding(
        NAME,
        f"With {name} = {value!r}, requests take {found.ratio.estimate:.1f} times as long as the others.",
        Edit(Operation.SPLIT, f"inputs.{name}", value),
        subject.evidence_of_requests(
            f"{found.second} against {found.first} requests, in {found.strata} strata: {found.ratio.low:.1f} to "
            f"{found.ratio.high:.1f} times.",
            "plan_digest = ? AND state = 'fulfilled'",
            [subject.digest],
            ratio=found.ratio.estimate,
            low=found.ratio.low,
            high=found.ratio.high,
        ),
        Prediction("due times that are kept and mean something", basis=Basis.HYPOTHESIS),
        risk="Two models are more to look after than one.",
        p_value=found.p_value,
        undo="Retire the new model, and publish the old one again.",
    )
