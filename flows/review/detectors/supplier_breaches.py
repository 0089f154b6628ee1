"""A supplier that is late more often than was agreed: a matter for the supplier, not for the model."""

from collections.abc import Iterator
from functools import partial

from flows.review.findings import Basis, Edit, Finding, Operation, Prediction, Test
from flows.review.gates import Gate
from flows.review.statistics.intervals import lower_bound, p_at_least, share
from flows.review.subject import Subject

NAME = "supplier_breaches"
_LEAST = 40


def look(subject: Subject, _gate: Gate) -> Iterator[Test]:
    """Each supplier's steps, from the first attempt to the end; clocks stop as in the model."""
    for supplier in subject.plan.suppliers if subject.plan is not None else ():
        if supplier.within_seconds is None:
            continue
        names = ", ".join("?" for _ in supplier.steps) or "NULL"
        done, late = subject.history.one(
            f"SELECT count(*), count(*) FILTER (WHERE (ended - started) / 1e6 > ?) FROM run WHERE path IN ({names}) "
            "AND started IS NOT NULL AND ended IS NOT NULL",
            [supplier.within_seconds, *supplier.steps],
        )
        if done >= _LEAST:
            p = p_at_least(late, done, max(supplier.allowance, 0.001))
            passes = lower_bound(late, done) > supplier.allowance
            yield Test(p, passes, partial(_finding, subject, supplier.name, supplier.allowance, done, late, p))


def _finding(subject: Subject, supplier: str, allowance: float, done: int, late: int, p: float) -> Finding:
    exact = share(late, done)
    return subject.finding(
        NAME,
        f"{supplier} was late {late} of {done} times; {allowance:.0%} were agreed to.",
        Edit(Operation.NONE, f"suppliers.{supplier}"),
        subject.evidence(
            f"{exact.low:.0%} to {exact.high:.0%} late.",
            "supplier = ?",
            [supplier],
            done=done,
            late=late,
            allowance=allowance,
        ),
        Prediction("breaches, fewer", basis=Basis.HYPOTHESIS),
        risk="None: it is for the supplier review.",
        p_value=p,
    )
