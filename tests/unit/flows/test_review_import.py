"""Another tool's log becomes a history by a mapping; what does not fit is said with its place."""

import os
import zipfile
from pathlib import Path

import pytest

from flows.review.history import HistoryError
from flows.review.importing import SHIPPED, import_log, read_mapping
from flows.review.warehouse import Warehouse

_HEADER = (
    "number,incident_state,sys_mod_count,caller_id,opened_at,sys_updated_by,sys_updated_at,contact_type,location,"
    "category,subcategory,impact,urgency,priority,assignment_group,closed_at\n"
)


def _event(number: str, state: str, count: int, by: str, at: str, group: str) -> str:
    known = "Caller 1,29/2/2016 01:16" if number == "INC1" else "?,1/3/2016 10:00"
    rest = "Phone,L1,Category 55,S1,2,2,3" if number == "INC1" else "Email,?,Category 40,?,2,2,3"
    closed = "5/3/2016 12:00" if number == "INC1" else "?"
    return f"{number},{state},{count},{known},{by},{at},{rest},{group},{closed}\n"


_LOG = _HEADER + (
    _event("INC1", "New", 0, "By 1", "29/2/2016 01:23", "Group 56")
    + _event("INC1", "Active", 1, "By 2", "29/2/2016 02:23", "Group 56")
    + _event("INC1", "Active", 2, "By 2", "29/2/2016 02:23", "Group 70")
    + _event("INC1", "Resolved", 3, "By 2", "29/2/2016 08:53", "Group 70")
    + _event("INC1", "Closed", 4, "By 9", "5/3/2016 12:00", "Group 70")
    + _event("INC2", "New", 0, "By 1", "1/3/2016 10:00", "Group 1")
)


def minutes(first: int, second: int) -> float:
    return (second - first) / 60e6


def test_an_audit_log_becomes_requests_steps_and_touches(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(_LOG)
    counts = import_log(read_mapping("servicenow-incidents"), log, tmp_path / "history")
    assert counts["requests"] == 2
    with Warehouse.open(tmp_path / "history") as history:
        one, two = history.each("SELECT * FROM requests ORDER BY id")
        assert (one["model"], one["state"], one["channel"]) == ("Category 55", "fulfilled", "phone")
        assert minutes(one["submitted"], one["ended"]) == 457
        assert (two["state"], two["ended"], two["requester"], two["closed_at"]) == ("scheduled", None, None, None)
        steps = history.rows("SELECT path, (ended - started) / 60e6 FROM steps WHERE request = 'INC1' ORDER BY started")
        assert steps == [("new", 60.0), ("active", 390.0)]
        assert history.rows("SELECT kind, actor, team FROM touches") == [("hand_over", "By 2", "Group 70")]


def test_a_moment_that_no_format_fits_is_named_with_its_row(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(_LOG.replace("1/3/2016 10:00,By 1", "tomorrow,By 1"))
    with pytest.raises(HistoryError, match="row 6: opened_at is 'tomorrow'"):
        import_log(read_mapping("servicenow-incidents"), log, tmp_path / "history")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("number,opened_at\nINC1,29/2/2016 01:16\n")
    with pytest.raises(HistoryError, match="has no column assignment_group"):
        import_log(read_mapping("servicenow-incidents"), log, tmp_path / "history")


def test_a_mapping_names_columns_and_is_never_sql(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("id,\"x') FROM raw; DROP TABLE raw; --\",at\n1,o'clock,2026-01-01\n")
    mapping = tmp_path / "map.yaml"
    mapping.write_text(
        "format: orderly-history-map/1\nsource: hostile\nmoments: ['%Y-%m-%d']\nid: id\nat: at\n"
        'requests:\n  model: {column: "x\') FROM raw; DROP TABLE raw; --", values: {"o\'clock": "it\'s"}}\n'
        "  submitted: at\n"
    )
    import_log(read_mapping(str(mapping)), log, tmp_path / "history")
    with Warehouse.open(tmp_path / "history") as history:
        assert history.rows("SELECT model FROM requests") == [("it's",)]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("format: orderly-history-map/1\n", "requests: Field required"),
        ("[", "is not YAML"),
        (
            "format: orderly-history-map/1\nsource: s\nmoments: ['%Y']\nid: id\nat: at\nrequests: {colour: at}\n",
            "fills colour",
        ),
    ],
    ids=["incomplete", "no-yaml", "unknown-column"],
)
def test_a_wrong_mapping_is_told(tmp_path: Path, mapping: str, said: str) -> None:
    file, log = tmp_path / "map.yaml", tmp_path / "log.csv"
    file.write_text(mapping)
    log.write_text("id,at\n")
    with pytest.raises(HistoryError, match=said):
        import_log(read_mapping(str(file)), log, tmp_path / "history")


def test_a_mapping_that_is_not_there_says_which_are_shipped() -> None:
    with pytest.raises(HistoryError, match="glpi-tickets, jira-service-management, servicenow-incidents"):
        read_mapping("remedy")


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.yaml")))
def test_every_shipped_mapping_can_be_read(name: str) -> None:
    assert read_mapping(name).source


def test_a_jira_export_is_read(tmp_path: Path) -> None:
    log = tmp_path / "jira.csv"
    log.write_text(
        "Issue key,Issue Type,Status,Priority,Reporter,Created,Resolved\n"
        "HELP-1,Access,Done,Low,ann,01/Mar/26 9:05 AM,02/Mar/26 9:05 AM\n"
        "HELP-2,Access,Waiting for approval,Low,ben,2026-03-01 09:05,\n"
    )
    import_log(read_mapping("jira-service-management"), log, tmp_path / "history")
    with Warehouse.open(tmp_path / "history") as history:
        rows = history.rows("SELECT id, state, (ended - submitted) / 3600e6 FROM requests ORDER BY id")
    assert rows == [("HELP-1", "fulfilled", 24.0), ("HELP-2", "awaiting_approval", None)]


@pytest.mark.skipif("ORDERLY_TEST_UCI498" not in os.environ, reason="ORDERLY_TEST_UCI498 names no data set")
def test_the_real_audit_log_is_read_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(os.environ["ORDERLY_TEST_UCI498"]) as archive:
        archive.extract("incident_event_log.csv", tmp_path)
    counts = import_log(read_mapping("servicenow-incidents"), tmp_path / "incident_event_log.csv", tmp_path / "history")
    assert (counts["requests"], counts["steps"]) == (24_918, 38_784)
