"""A secret argument is nowhere but where the playbook uses it."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from waiting import wait_until

CANARY = "canary-7f3a9c-{{ 1 }}-swordfish"
META = """
    title: Use a secret
    effect: idempotent
    check_mode: none
    arguments:
      password: {type: str, required: true, no_log: true}
      login: {type: dict, options: {name: {type: str}, token: {type: str, no_log: true}}}
      plain: {type: str, required: true}
      proof: {type: path, required: true}
      gate: {type: path, required: true}
    outputs:
      new_key: {type: str, required: true, no_log: true}
    """
PLAYBOOK = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Use it, as told
          ansible.builtin.copy: {dest: "{{ proof }}", content: "{{ password }}|{{ login.token }}", mode: "0600"}
          no_log: true
        - name: Use it without no_log, which nobody should
          ansible.builtin.debug: {msg: "{{ password }} and {{ login }}"}
        - name: Show everything
          ansible.builtin.debug: {var: hostvars}
        - name: Hand it to a program's input
          ansible.builtin.command: {argv: [grep, -c, canary], stdin: "{{ password }}"}
          changed_when: false
          register: counted
        - name: Wait to be looked at
          ansible.builtin.wait_for: {path: "{{ gate }}", timeout: 30, sleep: 1}
        - name: Fail with it
          ansible.builtin.command: {argv: [sh, -c, "cat >&2; false"], stdin: "{{ password }}"}
          ignore_errors: true
        - name: Report
          ansible.builtin.debug: {msg: {outputs: {new_key: "{{ 'born-' ~ 'on-the-host-' ~ counted.stdout }}"}}}
    """


def _arguments(folder: Path) -> dict[str, Any]:
    return {
        "password": CANARY,
        "login": {"name": "anna", "token": "token-" + CANARY},
        "plain": "plain-and-visible",
        "proof": str(folder / "proof"),
        "gate": str(folder / "gate"),
    }


@pytest.fixture
def seen(local: Any, tmp_path: Path) -> list[str]:
    """Where the canary is while a run with it waits, and in all that was written or logged."""
    local.runbook("use", META, PLAYBOOK)
    found: list[str] = []

    def look() -> None:
        wait_until("the run waits", lambda: any("Hand it" in line for line in local.lines), deadline=40)
        for text in ("swordfish", "plain-and-visible"):
            found.extend(_in_processes(text))
            found.extend(_in_files(local.runs, text))
        (tmp_path / "gate").touch()

    watcher = threading.Thread(target=look)
    watcher.start()
    local.answer = None
    try:
        local.answer = local.run("use", _arguments(tmp_path), hosts=("one",))
    finally:
        watcher.join()
    return found


def _in_processes(text: str) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        for part in ("cmdline", "environ"):
            try:
                if process.name.isdigit() and text.encode() in (process / part).read_bytes():
                    found.append(f"{process.name}/{part}")
            except OSError:
                continue
    return [place for place in found if not place.startswith(f"{os.getpid()}/")]


def _in_files(folder: Path, text: str) -> list[str]:
    return [str(file) for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


@pytest.mark.timeout(90)
def test_no_argument_is_in_a_file_or_process_no_secret_in_a_line_and_both_arrive_exactly(
    local: Any, seen: list[str], tmp_path: Path
) -> None:
    assert seen == []
    assert [line for line in local.lines if "swordfish" in line] == []
    assert (tmp_path / "proof").read_text() == f"{CANARY}|token-{CANARY}"
    assert local.answer.result["hosts"]["one"]["new_key"] == "born-on-the-host-1"


def test_a_secret_in_a_failing_hosts_message_is_taken_out(local: Any, tmp_path: Path) -> None:
    local.runbook(
        "tell",
        "{title: Tell, effect: idempotent, check_mode: none, arguments: {password: {type: str, no_log: true}}}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - name: Refuse {{ password }}
              ansible.builtin.fail: {msg: "the password {{ password }} is too short"}
        """,
    )
    failed = local.fail("tell", {"password": CANARY}, hosts=("one",))
    assert "swordfish" not in str(failed)
    assert "the password ******** is too short" in str(failed)
    assert [line for line in local.lines if "swordfish" in line] == []


def test_an_output_that_is_secret_is_in_no_file_of_the_run(local: Any, tmp_path: Path) -> None:
    local.runbook(
        "make",
        "{title: Make, effect: idempotent, check_mode: none, outputs: {key: {type: str, no_log: true}}, "
        "arguments: {gate: {type: path, required: true}}}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - name: Report
              ansible.builtin.debug: {msg: {outputs: {key: "{{ 'sword' ~ 'fish' }}"}}}
            - name: Wait to be looked at
              ansible.builtin.wait_for: {path: "{{ gate }}", timeout: 30, sleep: 1}
        """,
    )
    found: list[str] = []

    def log(line: str) -> None:
        found.extend([line] if "swordfish" in line else [])
        found.extend(_in_files(local.runs, "swordfish"))
        (tmp_path / "gate").touch()

    answer = local.run("make", {"gate": str(tmp_path / "gate")}, hosts=("one",), log=log)
    assert answer.result["hosts"]["one"]["key"] == "swordfish"
    assert found == []


def test_the_engines_environment_does_not_reach_the_run(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERLY_DATABASE_PASSWORD", "swordfish")
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "no_such_callback")
    local.runbook(
        "look",
        "{title: Look, effect: read-only, check_mode: none, single: true, outputs: {said: {type: str}}}",
        """
        - hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.command: env
              register: said
              changed_when: false
            - ansible.builtin.debug: {msg: {outputs: {said: "{{ said.stdout }}"}}}
        """,
    )
    files: list[str] = []
    answer = local.run("look", {}, hosts=("one",), log=lambda line: files.extend(_in_files(local.runs, "swordfish")))
    assert "swordfish" not in answer.result["said"]
    assert files == []
