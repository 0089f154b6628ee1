"""Runs over a real sshd on the loopback address."""

import getpass
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from request_models.actions import ErrorClass, Outcome
from waiting import wait_until

pytestmark = [pytest.mark.needs("sshd", "ssh"), pytest.mark.timeout(120)]

WRITE_META = """
    title: Write
    effect: idempotent
    check_mode: honest
    arguments: {path: {type: path, required: true}, text: {type: str, required: true}}
    outputs: {path: {type: str, required: true}, user: {type: str, required: true}}
    """
WRITE = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Who is there
          ansible.builtin.command: id -un
          changed_when: false
          register: who
        - name: Write
          ansible.builtin.copy: {dest: "{{ path }}", content: "{{ text }}", mode: "0600"}
        - name: Report
          ansible.builtin.debug: {msg: {outputs: {path: "{{ path }}", user: "{{ who.stdout }}"}}}
    """


def test_a_runbook_acts_over_ssh_and_acting_again_changes_nothing(over_ssh: Any, sshd: Any, tmp_path: Any) -> None:
    over_ssh.runbook("write", WRITE_META, WRITE)
    arguments = {"path": str(tmp_path / "written"), "text": "{{ 6 * 7 }} $HOME\n"}

    first = over_ssh.run("write", arguments, hosts=("servers",), settings=sshd.settings)
    again = over_ssh.run("write", arguments, hosts=("servers",), settings=sshd.settings)

    assert (tmp_path / "written").read_text() == "{{ 6 * 7 }} $HOME\n"
    assert first.result["hosts"]["near"] == {
        "path": str(tmp_path / "written"),
        "user": getpass.getuser(),
        "outcome": "made",
    }
    assert (first.outcome, again.outcome) == (Outcome.MADE, Outcome.ALREADY_SO)


def test_modules_come_through_the_connection_and_leave_no_file_on_the_host(over_ssh: Any, sshd: Any) -> None:
    over_ssh.inventory["all"]["vars"] = {"ansible_remote_tmp": str(over_ssh.folder / "remote_tmp")}
    over_ssh.runbook(
        "ask",
        "{title: Ask, effect: read-only, check_mode: honest}",
        "[{hosts: all, gather_facts: false, tasks: [{ansible.builtin.stat: {path: /}}]}]",
    )
    over_ssh.run("ask", {}, hosts=("near",), settings=sshd.settings)
    assert not (over_ssh.folder / "remote_tmp").exists()


def test_an_unreachable_host_is_transient_with_sshs_own_words(over_ssh: Any, sshd: Any, tmp_path: Any) -> None:
    over_ssh.runbook("write", WRITE_META, WRITE)
    gone = {**sshd.host, "ansible_port": 9}
    over_ssh.inventory["all"]["children"]["servers"]["hosts"]["gone"] = gone
    arguments = {"path": str(tmp_path / "written"), "text": "x"}

    failed = over_ssh.fail("write", arguments, hosts=("servers",), settings=sshd.settings)

    assert (failed.error_class, failed.code) == (ErrorClass.TRANSIENT, "unreachable")
    assert "gone" in str(failed)
    assert "Connection refused" in str(failed)
    assert list(failed.progress["hosts"]) == ["near"]

    gone["ansible_port"] = sshd.port
    mended = over_ssh.run(
        "write", arguments, hosts=("servers",), settings=sshd.settings, progress=failed.progress, attempt=2
    )
    assert sorted(mended.result["hosts"]) == ["gone", "near"]
    assert mended.result["hosts"]["gone"]["outcome"] == "already_so"


def test_a_host_whose_key_is_not_known_is_not_talked_to(over_ssh: Any, sshd: Any, tmp_path: Any) -> None:
    over_ssh.runbook("write", WRITE_META, WRITE)
    (tmp_path / "nobody").touch()
    ssh = {**sshd.settings["ssh"], "known_hosts_file": str(tmp_path / "nobody")}
    failed = over_ssh.fail("write", {"path": "/x", "text": "x"}, hosts=("near",), settings={"ssh": ssh})
    assert (failed.error_class, failed.code) == (ErrorClass.TRANSIENT, "unreachable")
    assert "key verification failed" in str(failed)


def test_a_failing_task_gives_the_hosts_own_message(over_ssh: Any, sshd: Any) -> None:
    over_ssh.runbook("write", WRITE_META, WRITE)
    failed = over_ssh.fail(
        "write", {"path": "/no/such/folder/file", "text": "x"}, hosts=("near",), settings=sshd.settings
    )
    assert (failed.error_class, failed.code) == (ErrorClass.PERMANENT, "failed")
    assert str(failed).startswith("task 'Write' failed on near: Destination directory /no/such/folder does not exist")


def test_a_connection_lost_in_the_middle_leaves_the_outcome_unknown(over_ssh: Any, sshd: Any) -> None:
    over_ssh.runbook(
        "cut",
        "{title: Cut, effect: idempotent, check_mode: none}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - name: Arrive
              ansible.builtin.command: id -un
            - name: Kill the connection
              ansible.builtin.shell: |
                pid=$$
                while [ "$(cat /proc/$pid/comm)" != sshd ]; do pid=$(awk '/^PPid/ {print $2}' /proc/$pid/status); done
                kill -9 $pid
        """,
    )
    failed = over_ssh.fail("cut", {}, hosts=("near",), settings=sshd.settings)
    assert (failed.error_class, failed.code) == (ErrorClass.UNKNOWN, "unreachable")


def test_a_timeout_ends_what_runs_on_the_host_too(
    over_ssh: Any, sshd: Any, processes: Callable[[str], list[int]]
) -> None:
    over_ssh.runbook(
        "slow",
        "{title: Slow, effect: idempotent, check_mode: none, arguments: {marker: {type: str, required: true}}}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - name: Hang
              ansible.builtin.command:
                argv: [/bin/sh, -c, 'trap "" HUP TERM; sleep 322 & sleep 322', "{{ marker }}"]
        """,
    )
    failed = over_ssh.fail("slow", {"marker": "marker-over-ssh"}, hosts=("near",), settings=sshd.settings, timeout=6)
    assert (failed.error_class, failed.code) == (ErrorClass.UNKNOWN, "timeout")
    assert [pid for text in ("marker-over-ssh", "sleep\x00322") for pid in processes(text)] == []


def test_no_connection_is_kept_after_a_run(over_ssh: Any, sshd: Any, processes: Callable[[str], list[int]]) -> None:
    over_ssh.runbook("write", WRITE_META, WRITE)
    over_ssh.run("write", {"path": str(over_ssh.folder / "x"), "text": "x"}, hosts=("near",), settings=sshd.settings)
    assert processes(str(over_ssh.runs)) == []


def test_a_server_frozen_before_it_answers_is_unreachable(over_ssh: Any, sshd: Any) -> None:
    over_ssh.runbook("write", WRITE_META, WRITE)
    os.kill(sshd.server.pid, signal.SIGSTOP)
    try:
        ssh = {**sshd.settings["ssh"], "connect_seconds": 2}
        failed = over_ssh.fail("write", {"path": "/x", "text": "x"}, hosts=("near",), settings={"ssh": ssh})
    finally:
        os.kill(sshd.server.pid, signal.SIGCONT)
    assert (failed.error_class, failed.code) == (ErrorClass.TRANSIENT, "unreachable")
    wait_until(
        "the server is back",
        lambda: over_ssh.run(
            "write", {"path": str(over_ssh.folder / "x"), "text": "x"}, hosts=("near",), settings=sshd.settings
        ),
        deadline=30,
    )
