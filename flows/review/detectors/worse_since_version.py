"""Requests take longer since the last change of the model, like compared with like."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.strata import Comparison, compare
from flows.review.subject import DAY, Subject

NAME = "worse_since_version"
_LEAST = 40
_MOST_VALUES = 6


def look(subject: Subject, gate: Gate) -> Iterator[Test]:
    """The newest version against the one before, within weekday, hour-free, and inputs of few values."""
    versions = subject.history.rows(
        "SELECT model_version, count(*) FROM req WHERE model_version IS NOT NULL AND submitted IS NOT NULL "
        "GROUP BY 1 ORDER BY 1 DESC LIMIT 2"
    )
    if len(versions) < 2 or min(count for _, count in versions) < _LEAST:
        return
    (new, _), (old, _) = versions
    found = _compared(subject, old, new)
    if found is None:
        return
    passes = found.ratio.estimate > gate["ratio"] and found.ratio.low > 1
    yield Test(found.p_value, passes, partial(_finding, subject, old, new, found))


def _compared(subject: Subject, old: int, new: int) -> Comparison | None:
    # Those whose end cannot have been seen yet would all be fast ones: both versions are looked at for as long.
    (patience,) = subject.history.one(
        "SELECT quantile_cont(seconds, 0.99) FROM req WHERE over AND state = 'fulfilled' AND model_version IN (?, ?)",
        [old, new],
    )
    latest = subject.until - int((patience or 0) * 1e6)
    columns = [f"json_extract_string(inputs, '$.\"{name}\"')" for name in _stratified_by(subject)]
    stratum = " || '|' || ".join(
        ["CAST(isodow(make_timestamp(submitted)) >= 6 AS VARCHAR)", *(f"coalesce({one}, '')" for one in columns)]
    )
    rows = subject.history.rows(
        f"SELECT {stratum}, model_version = ?, seconds, submitted // {DAY} FROM req WHERE model_version IN (?, ?) "
        "AND submitted <= ? AND state NOT IN ('cancelled', 'rejected', 'failed') ORDER BY submitted, id",
        [new, old, new, latest],
    )
    if not rows:
        return None
    strata, second, seconds, days = zip(*rows, strict=True)
    return compare(strata, second, seconds, days)


def _stratified_by(subject: Subject) -> list[str]:
    names = [
        name
        for name, schema in subject.input_schemas.items()
        if "'" not in name and '"' not in name and "enum" in schema
    ]
    if subject.plan is None and subject.inputs:
        names = [name for name in sorted(subject.inputs[0][3]) if name.isidentifier()]
    few = []
    for name in names:
        (kinds,) = subject.history.one(
            "SELECT count(DISTINCT json_extract_string(inputs, ?)) FROM req", [f'$."{name}"']
        )
        if 1 < kinds <= _MOST_VALUES:
            few.append(name)
    return few[:3]


def _finding(subject: Subject, old: int, new: int, found: Comparison) -> Finding:
    back = (1 / found.ratio.estimate, 1 / found.ratio.high, 1 / found.ratio.low)
    return subject.finding(
        NAME,
        f"Since version {new}, requests take {found.ratio.estimate:.2f} times as long as with version {old}.",
        Edit(Operation.RETURN, "", old),
        subject.evidence_of_requests(
            f"{found.second} requests of version {new} against {found.first} of version {old}, {found.strata} strata: "
            f"{found.ratio.low:.2f} to {found.ratio.high:.2f} times.",
            "model_version IN (?, ?)",
            [old, new],
            ratio=found.ratio.estimate,
            low=found.ratio.low,
            high=found.ratio.high,
        ),
        Prediction("time to fulfil, times", "", *back, basis=Basis.MODELLED),
        risk="Something else may have changed on that day. A split roll-out would tell.",
        p_value=found.p_value,
        undo=f"Publish version {new} again.",
    )
