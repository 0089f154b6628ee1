"""Events of a run as lines and reports, and the limit of a run."""

from typing import Any

import pytest

from connectors.runbook.events import Events
from connectors.runbook.run import limit


def _events(*masks: str) -> tuple[Events, list[str]]:
    lines: list[str] = []
    return Events(lines.append, list(masks)), lines


def _result(kind: str, **data: Any) -> dict[str, Any]:
    return {"event": f"runner_on_{kind}", "event_data": {"host": "h", "task": "T", "task_action": "command", **data}}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (_result("ok", res={"changed": True}), "TASK T: h: changed"),
        (_result("ok", res={"changed": False}), "TASK T: h: ok"),
        (_result("skipped", res={}), "TASK T: h: skipped"),
        (_result("failed", res={"msg": "no"}), "TASK T: h: failed: no"),
        (_result("failed", res={"msg": "no"}, ignore_errors=True), "TASK T: h: failed, ignored: no"),
        (_result("unreachable", res={"msg": "gone"}), "TASK T: h: unreachable: gone"),
        (
            _result("failed", res={"msg": "non-zero return code", "stderr": "disk full\n"}),
            "TASK T: h: failed: disk full",
        ),
        (
            _result("failed", res={"censored": "hidden", "msg": "secret"}),
            "TASK T: h: failed: hidden, because the task has no_log",
        ),
        (
            _result(
                "failed",
                res={
                    "msg": "One or more items failed",
                    "results": [{"failed": True, "item": "a", "msg": "x"}, {"failed": False, "item": "b"}],
                },
            ),
            "TASK T: h: failed: a: x",
        ),
        (_result("ok", task="two\nlines\x1b[31m", res={}), "TASK two lines [31m: h: ok"),
        (_result("failed", res={}), "TASK T: h: failed: the host gave no reason"),
    ],
)
def test_each_result_is_one_plain_line(event: dict[str, Any], line: str) -> None:
    events, lines = _events()
    assert events.take(event) is False
    assert lines == [line]


def test_secrets_are_taken_out_of_lines_and_long_ones_are_cut() -> None:
    events, lines = _events("hunter22")
    events.take(_result("failed", res={"msg": "bad hunter22 " + "x" * 10_000}))
    assert "hunter22" not in lines[0]
    assert lines[0].startswith("TASK T: h: failed: bad ******** xxx")
    assert len(lines[0]) < 2100


def test_a_host_is_started_by_a_task_sent_there_and_reached_when_it_has_ended() -> None:
    events, _ = _events()
    events.take(_result("start", task_action="ansible.builtin.assert"))
    assert events.host("h").started is False
    events.take(_result("start"))
    assert (events.host("h").started, events.host("h").reached) == (True, False)
    events.take(_result("ok", res={"changed": True}))
    assert (events.host("h").reached, events.host("h").changed) == (True, 1)


def test_a_limit_leaves_out_what_is_done() -> None:
    assert limit(("web", "db-1.example.org"), ("db-1.example.org",)) == "web:db-1.example.org:!db-1.example.org"


@pytest.mark.parametrize(
    "names", [(), ("",), ("a:b",), ("!a",), ("&a",), ("@file",), ("~x",), ("*",), ("a,b",), ("a\n",)]
)
def test_a_limit_is_never_empty_and_holds_only_plain_names(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"no group or host|no name"):
        limit(names, ())
