"""A history is read as it is documented; what is wrong with it is said, and what is told twice counts once."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from flows.review.history import HistoryError
from flows.review.warehouse import Warehouse

_REQUEST = {"id": "r1", "model": "disk", "state": "fulfilled", "submitted": 1_000_000, "ended": 3_000_000}
_STEP = {"request": "r1", "path": "make", "attempt": 1, "started": 1_500_000, "ended": 2_000_000, "outcome": "made"}


def write(folder: Path, **tables: Sequence[Mapping[str, object]]) -> Path:
    for name, rows in tables.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_json_lines_and_parquet_hold_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "lines", tmp_path / "parquet"
    first.mkdir()
    write(
        first,
        requests=[{**_REQUEST, "inputs": {"size": [1, "ü"]}}],
        steps=[_STEP],
        plans=[{"digest": "d", "plan": {"a": 1}}],
    )
    with Warehouse.open(first) as lines:
        counts = lines.write(second)
        again = tmp_path / "again"
        lines.write(again, lines=True)
        told = lines.rows("SELECT * FROM requests")
    assert counts["requests"] == counts["steps"] == 1
    with Warehouse.open(second) as parquet:
        assert parquet.rows("SELECT * FROM requests") == told
        assert json.loads(parquet.one("SELECT inputs FROM requests")[0]) == {"size": [1, "ü"]}
    with Warehouse.open(again) as lines:
        assert lines.rows("SELECT * FROM requests") == told
    assert json.loads((again / "plans.jsonl").read_text())["plan"] == {"a": 1}


def test_what_is_written_twice_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    rows = [{**_REQUEST, "id": f"r{number}"} for number in range(500)]
    (tmp_path / "a").mkdir()
    write(tmp_path / "a", requests=rows)
    for name in ("b", "c"):
        with Warehouse.open(tmp_path / "a") as warehouse:
            warehouse.write(tmp_path / name)
    assert (tmp_path / "b" / "requests.parquet").read_bytes() == (tmp_path / "c" / "requests.parquet").read_bytes()


def test_absent_tables_and_columns_are_empty(tmp_path: Path) -> None:
    write(tmp_path, requests=[{"id": "r1"}], steps=[])
    with Warehouse.open(tmp_path) as warehouse:
        assert warehouse.one("SELECT model FROM requests") == (None,)
        assert warehouse.one("SELECT count(*) FROM steps") == (0,)
        assert warehouse.one("SELECT count(*) FROM approvals") == (0,)


def test_rows_told_twice_count_once_and_are_said(tmp_path: Path) -> None:
    write(
        tmp_path,
        requests=[_REQUEST, _REQUEST, {**_REQUEST, "ended": None, "state": "in_progress"}],
        steps=[_STEP, _STEP],
    )
    with Warehouse.open(tmp_path) as warehouse:
        assert warehouse.rows("SELECT id, ended, state FROM requests") == [("r1", 3_000_000, "fulfilled")]
        assert [(doubt.rows, doubt.what.split("`")[1]) for doubt in warehouse.doubts] == [(2, "requests"), (1, "steps")]


def test_clocks_that_disagree_make_durations_unknown_not_negative(tmp_path: Path) -> None:
    write(tmp_path, requests=[_REQUEST], steps=[{**_STEP, "started": 2_000_001}])
    with Warehouse.open(tmp_path) as warehouse:
        assert warehouse.one("SELECT started, ended FROM steps") == (None, 2_000_000)
        assert [doubt.rows for doubt in warehouse.doubts] == [1]


def test_steps_of_no_request_are_set_aside(tmp_path: Path) -> None:
    write(tmp_path, requests=[_REQUEST], steps=[_STEP, {**_STEP, "request": "other"}])
    with Warehouse.open(tmp_path) as warehouse:
        assert warehouse.one("SELECT count(*) FROM steps") == (1,)
        assert [doubt.rows for doubt in warehouse.doubts] == [1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": "r1", "submitted": "yesterday"}\n', "cannot be read"),
        ('{"id": "r1"', "cannot be read"),
        ('{"model": "disk"}\n', "1 rows lack one of id"),
    ],
    ids=["no-number", "cut-off", "no-id"],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "requests.jsonl").write_text(content)
    with pytest.raises(HistoryError, match=said) as raised:
        Warehouse.open(tmp_path)
    assert "requests.jsonl" in str(raised.value)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "requests.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(HistoryError, match=r"requests\.parquet cannot be read"):
        Warehouse.open(tmp_path)


def test_a_folder_without_a_history_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="orderly history export"):
        Warehouse.open(tmp_path)
    with pytest.raises(HistoryError, match="There is no folder"):
        Warehouse.open(tmp_path / "nowhere")


def test_two_files_of_one_table_are_refused(tmp_path: Path) -> None:
    write(tmp_path, requests=[_REQUEST])
    (tmp_path / "requests.parquet").touch()
    with pytest.raises(HistoryError, match="remove one of them"):
        Warehouse.open(tmp_path)
