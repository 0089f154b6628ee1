"""What the review finds of planted defects, what it leaves alone, and that it says the same again."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bench.histories.making import make
from bench.histories.model import actions, plan_of
from bench.histories.scoring import findings_of, is_right
from bench.histories.world import World, planted
from flows.errors import SettingsError
from flows.review.detectors import NAMES, detectors
from flows.review.findings import Edit, Operation, finding_from_json
from flows.review.gates import gates_with, shipped
from flows.review.reviewing import UnknownReviewModel, review
from flows.review.trying import try_edit
from flows.review.warehouse import Warehouse
from request_models.compiler import compile_model
from request_models.loading import load_model
from request_models.rewriting import OPERATIONS

SURE = [
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
]
"""Of these a planted defect of twice the threshold shows in every such history."""


@pytest.mark.parametrize(
    "detector", [*SURE[:5], *(pytest.param(name, marks=pytest.mark.slow, id=name) for name in SURE[5:])]
)
def test_a_plain_defect_is_found_with_its_exact_edit(detector: str) -> None:
    size = {name: value for name, value in shipped().detectors[detector].twice.items() if name != "n"}
    world = planted(detector, dict(size))
    found = findings_of(make(world, 700, 11), shipped())
    assert any(is_right(detector, world, one) for one in found), [(one.detector, one.edit) for one in found]


@pytest.mark.parametrize(
    "world",
    [World(), World(versions=True, mix_shift=True), World(versions=True, weekends=True), World(refusal=0.03)],
    ids=["plain", "mix-shift", "weekends", "refusals"],
)
def test_nothing_is_found_where_nothing_is_wrong(world: World) -> None:
    assert findings_of(make(world, 400, 5), shipped()) == ()


def test_every_detector_of_the_gates_is_there() -> None:
    assert set(NAMES) == set(shipped().detectors) == set(detectors())


def test_the_same_history_gives_the_same_findings_whatever_the_order_of_its_rows() -> None:
    made = make(planted("retry_futile", {"recovery": 0.0}), 400, 3)
    first = [one.to_json() for one in findings_of(made, shipped())]
    for rows in made.tables.values():
        rows.reverse()
    assert [one.to_json() for one in findings_of(made, shipped())] == first != []


def test_a_finding_is_read_back_as_it_was_written() -> None:
    for one in findings_of(make(planted("not_followed", {"share": 0.18}), 500, 3), shipped()):
        assert finding_from_json(one.to_json()) == one


def test_the_rows_of_evidence_can_be_asked_for(tmp_path: Path) -> None:
    make(planted("input_value_fails", {"rate": 0.8}), 500, 3).write(tmp_path)
    with Warehouse.open(tmp_path) as history:
        found = review(history, shipped()).findings
        assert found
        for one in found:
            rows = history.rows(one.evidence.rows)
            assert rows
            assert len(one.evidence.example) == 3


def test_gates_are_settings() -> None:
    made = make(planted("retry_futile", {"recovery": 0.0}), 400, 3)
    stricter = gates_with({"retry_futile": {"least": 100_000}})
    assert "retry_futile" not in {one.detector for one in findings_of(made, stricter)}
    for wrong in ({"retry_futil": {"least": 1.0}}, {"retry_futile": {"most": 1.0}}):
        with pytest.raises(SettingsError, match=r"review\.gates"):
            gates_with(wrong)


def test_the_numbers_of_gates_stand_in_their_words() -> None:
    for name, gate in shipped().detectors.items():
        for number, value in gate.numbers.items():
            if number in {"bound", "least", "ratio", "rate"} and f"{value:g}" not in gate.gate:
                assert f"{value:.1%}" in gate.gate or f"{value:.0%}" in gate.gate, (name, number)


@pytest.mark.parametrize(
    "rows",
    ["", '{"id": "r1"}\n', '{"id": "r1", "model": "x", "inputs": [1], "state": "?"}\n'],
    ids=["empty", "bare", "odd"],
)
def test_histories_that_tell_nothing_give_no_finding(tmp_path: Path, rows: str) -> None:
    (tmp_path / "requests.jsonl").write_text(rows)
    with Warehouse.open(tmp_path) as history:
        found = review(history, shipped())
        assert found.findings == ()
        assert set(found.silent) == set(found.requests)
        with pytest.raises(UnknownReviewModel, match="no request of 'nope'"):
            review(history, shipped(), ["nope"])


def test_edits_compile_and_change_nothing_else() -> None:
    tried = 0
    for detector in (
        "retry_futile",
        "timeout_missing",
        "could_run_in_parallel",
        "check_too_late",
    ):
        size = shipped().detectors[detector].twice
        made = make(planted(detector, dict(size)), 500, 4)
        source, _ = load_model("bench.yaml", made.text)
        assert source is not None
        for one in findings_of(made, shipped()):
            if one.edit.operation.mechanical and one.detector == detector:
                found = try_edit(one.edit, source, one.plan_digest, lambda given: compile_model(given, actions()), None)
                # prerequisites may be a part of the language that this version does not run yet
                assert [one for one in found.problems if "not yet runnable" not in one] == []
                assert found.text is not None
                assert plan_of(found.text).digest != one.plan_digest
                kept = [line for line in made.text.splitlines() if "#" in line and detector.split("_")[0] not in line]
                assert all(line.split("#")[1] in found.text for line in kept)
                tried += 1
    assert tried == 4


def test_an_edit_that_does_not_compile_is_not_ready() -> None:
    source, _ = load_model("bench.yaml", make(World(), 1, 1).text)
    assert source is not None
    found = try_edit(
        Edit(Operation.REMOVE, "steps.make"), source, None, lambda given: compile_model(given, actions()), None
    )
    assert not found.ready
    assert "make" in found.problems[0]
    gone = try_edit(
        Edit(Operation.SET, "steps.no.timeout", "PT1S"),
        source,
        "other",
        lambda given: compile_model(given, actions()),
        None,
    )
    assert len(gone.problems) == 2


def test_every_mechanical_operation_can_be_done() -> None:
    assert {one.value for one in Operation if one.mechanical} == set(OPERATIONS)
    assert YAML(typ="safe").load(make(World(), 1, 1).text)["model"] == "bench"


def test_a_step_that_is_named_elsewhere_is_not_taken_out_unseen() -> None:
    made = make(planted("step_changes_nothing", {"unchanged": 1.0}), 400, 4)
    source, _ = load_model("bench.yaml", made.text)
    assert source is not None
    (one,) = findings_of(made, shipped())
    found = try_edit(one.edit, source, one.plan_digest, lambda given: compile_model(given, actions()), None)
    assert found.problems == ("line 8: there is no step `tidy`",)  # the supplier's part
