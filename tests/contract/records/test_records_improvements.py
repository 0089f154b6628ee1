"""The register of improvements, in each database."""

import pytest

from flows.records.errors import NotFound
from flows.records.improvement_states import ImprovementState
from flows.records.records import Records
from request_models.json_values import JsonValue

FINDING: dict[str, JsonValue] = {
    "id": "f1",
    "model": "disk",
    "detector": "due_wrong",
    "owner": "ann",
    "edit": {"value": ["ü", None]},
}


def test_a_finding_found_again_is_one_improvement(records: Records) -> None:
    records.run(lambda tx: tx.improvements.put(FINDING))
    records.run(lambda tx: tx.improvements.put_all([{**FINDING, "edit": None}, {**FINDING, "id": "f2", "owner": None}]))
    known = records.read(lambda tx: tx.improvements.all())
    assert [(one.id, one.state, one.owner) for one in known] == [
        ("f1", ImprovementState.PROPOSED, "ann"),
        ("f2", ImprovementState.PROPOSED, None),
    ]
    assert known[0].finding["edit"] is None


def test_the_last_decision_counts_and_all_are_kept(records: Records) -> None:
    records.run(lambda tx: tx.improvements.put(FINDING))
    records.run(lambda tx: tx.improvements.decide("f1", ImprovementState.REJECTED, "ann", "not now"))
    records.run(lambda tx: tx.improvements.decide("f1", ImprovementState.ACCEPTED, "ben", "now"))
    one = records.read(lambda tx: tx.improvements.get("f1"))
    assert (one.state, one.actor, one.reason) == (ImprovementState.ACCEPTED, "ben", "now")
    assert [row["reason"] for row in records.read(lambda tx: tx.improvements.decisions())] == ["not now", "now"]


def test_what_is_not_registered_cannot_be_decided(records: Records) -> None:
    with pytest.raises(NotFound):
        records.run(lambda tx: tx.improvements.decide("nope", ImprovementState.ACCEPTED, "ann", ""))


def test_the_same_history_is_the_same_review(records: Records) -> None:
    def number(history: str) -> int:
        return records.run(lambda tx: tx.improvements.review_number(history))

    assert [number("a"), number("b"), number("a"), number("c")] == [1, 2, 1, 3]
