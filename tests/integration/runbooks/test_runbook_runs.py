"""Runs on this machine: values, results, errors, hosts that stay done, and no process left."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from request_models.actions import ErrorClass, Outcome
from request_models.json_values import JsonValue, canonical_json
from waiting import wait_until

ECHO_META = """
    title: Echo
    effect: idempotent
    check_mode: none
    arguments:
      value: {type: raw, required: true}
      left_out: {type: str}
      with_default: {type: int, default: 7}
    outputs:
      value: {type: raw, required: true}
      left_out: {type: raw}
      with_default: {type: raw}
    """
ECHO = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Keep it in a fact
          ansible.builtin.set_fact:
            kept: "{{ value }}"
        - name: Give it back
          ansible.builtin.debug:
            msg:
              outputs: {value: "{{ kept }}", left_out: "{{ left_out }}", with_default: "{{ with_default }}"}
    """

SLOW_META = """
    title: Slow
    effect: idempotent
    check_mode: none
    arguments: {marker: {type: str, required: true}}
    """
SLOW = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Start and wait
          ansible.builtin.command:
            argv: [/bin/sh, -c, 'setsid sleep 321 & sleep 321', "{{ marker }}"]
    """


PAYLOADS: list[JsonValue] = [
    "{{ lookup('pipe', 'touch TARGET') }}",
    "{% set x = lookup('pipe', 'touch TARGET') %}",
    "$(touch TARGET)",
    "`touch TARGET`; touch TARGET",
    "-rf",
    "../../x",
    "two\nlines\r\n\ttabs",
    "nul \u0000 within",
    "007",
    "yes",
    "\u2028 😀 é",
    7,
    7.5,
    True,
    None,
    [],
    {"__ansible_vault": "{{ lookup('pipe', 'touch TARGET') }}"},
    {"__ansible_unsafe": "{{ lookup('pipe', 'touch TARGET') }}", "!unsafe": 1},
    {"__ansible_type": "TrustedAsTemplate", "value": "{{ lookup('pipe', 'touch TARGET') }}"},
    {"{{ 1 }}": ["{{ lookup('pipe', 'touch TARGET') }}", {"deep": ["007", False, 1.0, None, "!vault x"]}]},
]


@pytest.mark.parametrize(
    "value",
    [PAYLOADS, {"all": PAYLOADS}, PAYLOADS[0], PAYLOADS[6], PAYLOADS[8], PAYLOADS[16], True],
    ids=["list", "map", "template", "lines", "digits", "vault", "true"],
)
@pytest.mark.timeout(60)
def test_a_value_arrives_exactly_and_nothing_in_it_is_evaluated(local: Any, tmp_path: Path, value: JsonValue) -> None:
    target = tmp_path / "touched"
    value = _with(value, str(target))
    local.inventory["all"]["vars"] = {"value": "of the inventory", "left_out": "of the inventory"}
    local.inventory["all"]["children"]["here"]["hosts"]["one"]["value"] = "of the host"
    local.runbook("echo", ECHO_META, ECHO)

    answer = local.run("echo", {"value": value}, hosts=("one",))

    given = answer.result["hosts"]["one"]
    assert canonical_json(given["value"]) == canonical_json(value)
    assert (given["left_out"], given["with_default"]) == (None, 7)
    assert not target.exists()


def _with(value: JsonValue, target: str) -> JsonValue:
    if isinstance(value, str):
        return value.replace("TARGET", target)
    if isinstance(value, list):
        return [_with(item, target) for item in value]
    if isinstance(value, dict):
        return {key: _with(item, target) for key, item in value.items()}
    return value


def test_a_megabyte_arrives(local: Any) -> None:
    local.runbook("echo", ECHO_META, ECHO)
    value = "{{x}}é" * 170_000
    assert local.run("echo", {"value": value}, hosts=("one",)).result["hosts"]["one"]["value"] == value


def test_the_log_has_a_line_for_each_task_and_host_while_it_runs(local: Any) -> None:
    local.runbook("echo", ECHO_META, ECHO)
    local.run("echo", {"value": 1}, hosts=("here",))
    assert sorted(local.lines) == [
        "TASK Give it back: one: ok",
        "TASK Give it back: two: ok",
        "TASK Keep it in a fact: one: ok",
        "TASK Keep it in a fact: two: ok",
    ]


FAILING_ON_TWO = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Count
          ansible.builtin.shell: echo {{ inventory_hostname }} >> {{ log_file | quote }}
        - name: Look
          ansible.builtin.command: test -e {{ mended | quote }}
          changed_when: false
          when: inventory_hostname == 'two'
        - name: Report
          ansible.builtin.debug: {msg: {outputs: {done: "{{ inventory_hostname }}"}}}
    """
FAILING_META = """
    title: Fails on one
    effect: idempotent
    check_mode: none
    arguments: {log_file: {type: path, required: true}, mended: {type: path, required: true}}
    outputs: {done: {type: str, required: true}}
    """


def test_a_failed_task_is_permanent_and_the_next_attempt_goes_only_to_hosts_not_done(
    local: Any, tmp_path: Path
) -> None:
    local.runbook("half", FAILING_META, FAILING_ON_TWO)
    arguments = {"log_file": str(tmp_path / "log"), "mended": str(tmp_path / "mended")}

    failed = local.fail("half", arguments, hosts=("here",))

    assert (failed.error_class, failed.code) == (ErrorClass.PERMANENT, "failed")
    assert str(failed).startswith("task 'Look' failed on two: ")
    assert list(failed.progress["hosts"]) == ["one"]

    (tmp_path / "mended").touch()
    answer = local.run("half", arguments, hosts=("here",), progress=failed.progress, attempt=2)

    assert sorted((tmp_path / "log").read_text().split()) == ["one", "two", "two"]
    assert {name: host["done"] for name, host in answer.result["hosts"].items()} == {"one": "one", "two": "two"}
    assert answer.outcome is Outcome.MADE


def test_a_retry_runs_the_content_it_was_accepted_with(local: Any) -> None:
    local.runbook("echo", ECHO_META, ECHO)
    connector = local.connector()
    accepted = connector.content(connector.find("runbook.echo").spec.content_digest)
    now = ECHO_META.replace("value: {type: raw, required: true}", "value: {type: int}")
    local.runbook("echo", now, ECHO.replace("{{ kept }}", "changed"))

    answer = local.run("echo", {"value": "text"}, hosts=("one",), content=accepted)

    assert answer.result["hosts"]["one"]["value"] == "text"


def test_a_host_or_group_that_is_not_in_the_inventory_stops_the_run_before_its_first_task(local: Any) -> None:
    local.runbook("echo", ECHO_META, ECHO)
    failed = local.fail("echo", {"value": 1}, hosts=("here", "their"))
    assert (failed.error_class, failed.code) == (ErrorClass.REJECTED, "no_such_host")
    assert "their" in str(failed)
    assert local.lines == []


@pytest.mark.parametrize("name", ["all:!one", "@/etc/shadow", "", "one,two", "~.*", "-i", "one\n"])
def test_a_host_name_that_means_more_to_ansible_is_refused(local: Any, name: str) -> None:
    local.runbook("echo", ECHO_META, ECHO)
    failed = local.fail("echo", {"value": 1}, hosts=(name,))
    assert (failed.error_class, failed.code) == (ErrorClass.REJECTED, "no_such_host")
    assert not local.runs.exists() or not any(local.runs.iterdir())


def test_arguments_that_do_not_fit_are_rejected_and_nothing_is_started(local: Any) -> None:
    local.runbook("half", FAILING_META, FAILING_ON_TWO)
    failed = local.fail("half", {"log_file": 5, "more": 1}, hosts=("here",))
    assert (failed.error_class, failed.code) == (ErrorClass.REJECTED, "arguments")
    assert "/log_file" in str(failed)
    assert "/mended" in str(failed)
    assert "/more" in str(failed)


def test_what_a_roles_argument_spec_refuses_is_rejected(local: Any) -> None:
    local.write(
        "roles/picky/meta/argument_specs.yml",
        """
        argument_specs: {main: {options: {picky_size: {type: int, choices: [1, 2]}}}}
        """,
    )
    local.write("roles/picky/tasks/main.yml", "- {name: Nothing, ansible.builtin.debug: {msg: done}}")
    local.runbook(
        "pick",
        "{title: Pick, effect: idempotent, check_mode: none, arguments: {size: {type: int}}}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.import_role: {name: picky}
              vars: {picky_size: "{{ size }}"}
        """,
    )
    failed = local.fail("pick", {"size": 3}, hosts=("one",))
    assert (failed.error_class, failed.code) == (ErrorClass.REJECTED, "arguments")
    assert "picky_size" in str(failed)


def test_a_playbook_that_ansible_cannot_read_fails_with_its_words(local: Any) -> None:
    meta = ECHO_META.partition("outputs:")[0]
    local.runbook("echo", meta, "- {hosts: all, tasks: [{nothing.of.that_name: {}}]}")
    failed = local.fail("echo", {"value": 1}, hosts=("one",))
    assert (failed.error_class, failed.code) == (ErrorClass.PERMANENT, "not_started")
    assert "nothing.of.that_name" in str(failed)


def test_a_single_runbook_gives_one_result_for_the_run(local: Any) -> None:
    local.runbook(
        "one",
        "{title: One, effect: read-only, check_mode: honest, single: true, outputs: {hosts: {type: int}}}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.debug: {msg: {outputs: {hosts: "{{ ansible_play_hosts | length }}"}}}
              run_once: true
        """,
    )
    answer = local.run("one", {}, hosts=("here",))
    assert (answer.outcome, answer.result) == (Outcome.READ, {"hosts": 2})


def test_a_runbook_without_hosts_acts_from_here(local: Any) -> None:
    local.runbook(
        "here",
        "{title: Here, effect: read-only, check_mode: honest, hosts: false, single: true, outputs: {cwd: {type: str}}}",
        """
        - hosts: localhost
          gather_facts: false
          tasks:
            - ansible.builtin.command: pwd
              register: said
              changed_when: false
            - ansible.builtin.debug: {msg: {outputs: {cwd: "{{ said.stdout }}"}}}
        """,
    )
    answer = local.run("here", {}, hosts=())
    assert answer.result["cwd"].startswith(str(local.runs))


def test_an_output_that_is_not_what_the_meta_says_fails(local: Any) -> None:
    local.runbook("echo", ECHO_META.replace("left_out: {type: raw}", "left_out: {type: str, required: true}"), ECHO)
    failed = local.fail("echo", {"value": 1}, hosts=("one",))
    assert (failed.error_class, failed.code) == (ErrorClass.PERMANENT, "wrong_output")


# nothing survives


def test_a_timeout_is_an_unknown_outcome_and_leaves_no_process(
    local: Any, processes: Callable[[str], list[int]]
) -> None:
    local.runbook("slow", SLOW_META, SLOW)
    began = time.monotonic()
    failed = local.fail("slow", {"marker": "marker-of-timeout"}, hosts=("here",), timeout=4)
    assert (failed.error_class, failed.code) == (ErrorClass.UNKNOWN, "timeout")
    assert time.monotonic() - began < 30
    assert processes("marker-of-timeout") == []
    assert list(local.runs.iterdir()) == []


def test_a_cancelled_run_leaves_no_process(local: Any, processes: Callable[[str], list[int]]) -> None:
    local.runbook("slow", SLOW_META, SLOW)
    cancelled = threading.Event()
    watcher = threading.Thread(target=lambda: _when_started(processes, cancelled.set))
    watcher.start()
    failed = local.fail("slow", {"marker": "marker-of-cancel"}, hosts=("here",), cancelled=cancelled.is_set)
    watcher.join()
    assert (failed.error_class, failed.code) == (ErrorClass.UNKNOWN, "cancelled")
    assert processes("marker-of-cancel") == []


def _when_started(processes: Callable[[str], list[int]], then: Callable[[], None]) -> None:
    wait_until("both hosts' commands run", lambda: len(processes("marker-of-cancel")) >= 2, deadline=30)
    then()


ENGINE = """
import sys, uuid
from pathlib import Path
from connectors.registry import ConnectorContext
from connectors.runbook import connector
from request_models.actions import ActionCall
folder = Path(sys.argv[1])
context = ConnectorContext(folder / "state", (folder / "content",), "dev")
call = ActionCall("runbook.slow", {"marker": sys.argv[2]}, uuid.uuid4(), "r", "s", hosts=("here",))
connector({"inventory": [str(folder / "hosts.yml")]}, context).find("runbook.slow").run(call)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_engine_leaves_no_process(
    local: Any, processes: Callable[[str], list[int]], number: signal.Signals
) -> None:
    local.runbook("slow", SLOW_META, SLOW)
    local.connector()
    marker = f"marker-of-{number.name}"
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, str(local.folder), marker], cwd=Path(__file__).parents[3])
    try:
        wait_until("both hosts' commands run", lambda: len(processes(f"{marker}")) >= 3, deadline=40)
        engine.send_signal(number)
        engine.wait(10)
        folder = next(local.runs.iterdir())
        wait_until("all its processes are gone", lambda: processes(folder.name) == [] == processes(marker), deadline=15)
    finally:
        if engine.poll() is None:
            engine.kill()
            engine.wait()
    wait_until("its supervisor has removed its folder", lambda: not list(local.runs.iterdir()), deadline=15)


def test_a_killed_supervisor_is_an_unknown_outcome_and_leaves_no_process(
    local: Any, processes: Callable[[str], list[int]]
) -> None:
    local.runbook("slow", SLOW_META, SLOW)

    def kill() -> None:
        wait_until("both hosts' commands run", lambda: len(processes("marker-of-supervisor")) >= 2, deadline=30)
        pid_file = next(local.runs.glob("*/supervisor.pid"))
        os.kill(int(pid_file.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    failed = local.fail("slow", {"marker": "marker-of-supervisor"}, hosts=("here",))
    killer.join()
    assert (failed.error_class, failed.code) == (ErrorClass.UNKNOWN, "ended_early")
    assert processes("marker-of-supervisor") == []


def test_a_runbook_without_outputs_tells_by_its_changes_what_it_did(local: Any, tmp_path: Path) -> None:
    local.runbook(
        "touch",
        "{title: Touch, effect: idempotent, check_mode: honest, arguments: {path: {type: path, required: true}}}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.file: {path: "{{ path }}", state: directory, mode: "0700"}
        """,
    )
    first = local.run("touch", {"path": str(tmp_path / "made")}, hosts=("one",))
    again = local.run("touch", {"path": str(tmp_path / "made")}, hosts=("one",))
    assert (first.outcome, first.result) == (Outcome.MADE, {"hosts": {"one": {"outcome": "made"}}})
    assert again.outcome is Outcome.ALREADY_SO


def test_a_rescued_failure_is_none(local: Any) -> None:
    local.runbook(
        "rescue",
        "{title: Rescue, effect: read-only, check_mode: honest}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - block: [{ansible.builtin.command: "false"}]
              rescue: [{ansible.builtin.debug: {msg: well}}]
        """,
    )
    assert local.run("rescue", {}, hosts=("one",)).outcome is Outcome.READ


def test_a_running_ones_folder_is_not_swept_away(local: Any) -> None:
    seen: list[bool] = []

    def look(line: str) -> None:
        local.connector()
        seen.append(any(local.runs.iterdir()))

    local.runbook("echo", ECHO_META, ECHO)
    local.run("echo", {"value": 1}, hosts=("one",), log=look)
    assert seen == [True, True]


def test_signal_handlers_stay_as_they_were(local: Any) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    local.runbook("echo", ECHO_META, ECHO)
    local.run("echo", {"value": 1}, hosts=("one",))
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_run_in_a_thread_works_as_in_the_main_one(local: Any) -> None:
    local.runbook("echo", ECHO_META, ECHO)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(local.run("echo", {"value": 1}, hosts=("one",))))
    thread.start()
    thread.join()
    assert answers[0].result["hosts"]["one"]["value"] == 1


def test_a_log_that_fails_ends_the_run_and_leaves_no_process(local: Any, processes: Callable[[str], list[int]]) -> None:
    class ClaimIsLost(Exception):
        pass

    def log(line: str) -> None:
        raise ClaimIsLost

    local.runbook("echo", ECHO_META, ECHO)
    with pytest.raises(ClaimIsLost):
        local.run("echo", {"value": 1}, hosts=("one",), log=log)
    assert processes(str(local.runs)) == []
    assert list(local.runs.iterdir()) == []
