"""The detectors, one a module: each looks at one model and yields the tests it made.

A test is yielded wherever there is enough to make it, whatever came of it: the family counts them all.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

from flows.review.findings import Test
from flows.review.gates import Gate
from flows.review.subject import Subject

NAMES = (
    "retry_futile",
    "retry_helps",
    "step_changes_nothing",
    "timeout_missing",
    "approval_never_refused",
    "due_wrong",
    "input_value_fails",
    "input_has_default",
    "unused",
    "worse_since_version",
    "approval_waits",
    "could_run_in_parallel",
    "ad_hoc_recurs",
    "not_followed",
    "undo_missing",
    "check_too_late",
    "queue",
    "supplier_breaches",
    "two_models",
    "approval_follows_rule",
    "wait_hurts_satisfaction",
)

Detector = Callable[[Subject, Gate], Iterator[Test]]


def detectors() -> Mapping[str, Detector]:
    """Every detector by its name."""
    return {name: import_module(f"flows.review.detectors.{name}").look for name in NAMES}
