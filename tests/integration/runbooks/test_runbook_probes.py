"""What a run that nobody saw the end of did: by a playbook that looks, or by check mode."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.runbook.errors import BadMeta
from request_models.actions import Action, ActionCall, EffectClass, ErrorClass, Finding, Outcome, Presence
from request_models.json_values import JsonValue

NOTE_META = """
    title: Note
    effect: has-probe
    check_mode: {check_mode}
    probe: {probe}
    arguments:
      path: {{type: str, required: true}}
      text: {{type: str, required: true}}
    outputs:
      path: {{type: str, required: true}}
    """
NOTE = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Look
          ansible.builtin.stat:
            path: "{{ path }}-{{ inventory_hostname }}"
          register: there
        - name: Write
          ansible.builtin.copy:
            dest: "{{ path }}-{{ inventory_hostname }}"
            content: "{{ text }}"
            mode: "0600"
        - name: Say
          ansible.builtin.debug:
            msg:
              outputs:
                path: "{{ path }}"
                outcome: "{{ 'changed' if there.stat.exists else 'made' }}"
                before: "{{ {'size': there.stat.size} if there.stat.exists else none }}"
    """
LOOK_META = """
    title: Look
    effect: read-only
    check_mode: honest
    arguments:
      path: {type: str, required: true}
    outputs:
      presence: {type: str, required: true, choices: [ours, absent, foreign, cannot_tell]}
      path: {type: str, required: true}
    """
LOOK = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Find the mark
          ansible.builtin.command:
            argv:
              - /bin/sh
              - -c
              - 'grep -q ours "$0" 2>/dev/null && echo ours || { test -e "$0" && echo foreign || echo absent; }'
              - "{{ path }}-{{ inventory_hostname }}"
          register: mark
          changed_when: false
        - name: Say
          ansible.builtin.debug:
            msg:
              outputs: {presence: "{{ mark.stdout }}", path: "{{ path }}"}
    """


@pytest.fixture
def by_playbook(local: Any) -> Action:
    local.runbook("note", NOTE_META.format(check_mode="none", probe="look"), NOTE)
    local.runbook("look", LOOK_META, LOOK)
    return found(local)


@pytest.fixture
def by_check_mode(local: Any) -> Action:
    local.runbook("note", NOTE_META.format(check_mode="honest", probe="check_mode"), NOTE)
    return found(local)


def found(local: Any) -> Action:
    action: Action | None = local.connector().find("runbook.note")
    assert action is not None
    return action


def call_of(action: Any, arguments: Mapping[str, JsonValue], **more: Any) -> ActionCall:
    call = ActionCall("runbook.note", arguments, uuid.uuid4(), "r", "s", hosts=("here",), timeout_seconds=60, **more)
    return replace(call, pre_read=action.read_before(call)) if action.spec.reads_before else call


def test_a_playbook_tells_absent_ours_foreign_and_half_done(by_playbook: Any, tmp_path: Path) -> None:
    note = tmp_path / "note"
    call = call_of(by_playbook, {"path": str(note), "text": "ours"})
    assert by_playbook.spec.effect is EffectClass.HAS_PROBE
    assert not by_playbook.spec.reads_before
    assert by_playbook.probe(call).presence is Presence.ABSENT

    made = by_playbook.run(call)
    ours: Finding = by_playbook.probe(call)
    assert ours.presence is Presence.OURS
    assert ours.answer == made

    (tmp_path / "note-one").unlink()
    assert by_playbook.probe(call).presence is Presence.CANNOT_TELL, "one host has it, the other has not"
    (tmp_path / "note-one").write_text("somebody else's")
    assert by_playbook.probe(call).presence is Presence.FOREIGN


def test_the_probe_travels_with_the_runbook(by_playbook: Any, local: Any, tmp_path: Path) -> None:
    """A request that was accepted with it can still look, whatever became of the files since."""
    content = by_playbook.content
    local.write("playbooks/look.yml", "- hosts: all\n  tasks: [{ansible.builtin.fail: {}}]\n")
    pinned = local.connector().pinned("runbook.note", content)
    call = call_of(pinned, {"path": str(tmp_path / "note"), "text": "ours"}, content=content)
    assert pinned.probe(call).presence is Presence.ABSENT


def test_check_mode_knows_what_the_run_was_to_change(by_check_mode: Any, tmp_path: Path) -> None:
    (tmp_path / "note-one").write_text("what was there")
    call = call_of(by_check_mode, {"path": str(tmp_path / "note"), "text": "new"})
    assert (tmp_path / "note-one").read_text() == "what was there", "a read before the call changes nothing"
    assert by_check_mode.probe(call).presence is Presence.ABSENT

    changed = by_check_mode.run(call)
    assert changed.outcome is Outcome.MADE
    ours: Finding = by_check_mode.probe(call)
    assert ours.presence is Presence.OURS
    assert ours.answer == changed, "with the outcome of each host, and what it was before"
    assert isinstance(changed.before, dict)
    assert changed.before["one"] == {"size": 14}

    (tmp_path / "note-two").unlink()
    assert by_check_mode.probe(call).presence is Presence.CANNOT_TELL


def test_a_repeated_run_says_what_the_first_one_did(local: Any, tmp_path: Path) -> None:
    local.runbook(
        "note", NOTE_META.format(check_mode="honest", probe="check_mode").replace("has-probe", "idempotent"), NOTE
    )
    action: Any = found(local)
    (tmp_path / "note-one").write_text("what was there")
    call = call_of(action, {"path": str(tmp_path / "note"), "text": "new"})
    first = action.run(call)
    assert first.result["hosts"]["one"]["outcome"] == "changed"
    assert action.run(replace(call, resent=True)) == first


def test_without_a_record_check_mode_cannot_tell(by_check_mode: Any, tmp_path: Path) -> None:
    call = replace(call_of(by_check_mode, {"path": str(tmp_path / "note"), "text": "new"}), pre_read=None)
    assert by_check_mode.probe(call).presence is Presence.CANNOT_TELL


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        (NOTE_META.format(check_mode="none", probe="check_mode"), "needs check_mode: honest"),
        (NOTE_META.format(check_mode="none", probe="nobody"), "there is no playbook 'nobody'"),
        (NOTE_META.format(check_mode="none", probe="acts"), "'acts' is not read-only"),
        (NOTE_META.format(check_mode="none", probe="mute"), "'mute' gives no output 'presence'"),
        (NOTE_META.format(check_mode="none", probe="asks"), "'asks' takes more, which this does not"),
        (NOTE_META.format(check_mode="none", probe="look").replace("has-probe", "idempotent"), "probe goes with"),
        ("{title: Note, effect: has-probe, check_mode: none}", "probe goes with"),
    ],
)
def test_a_probe_that_does_not_fit_is_refused(local: Any, meta: str, why: str) -> None:
    local.runbook("look", LOOK_META, LOOK)
    local.runbook("acts", LOOK_META.replace("read-only", "idempotent"), LOOK)
    local.runbook("mute", LOOK_META.replace("presence", "presents"), LOOK)
    local.runbook(
        "asks",
        LOOK_META.replace("path: {type: str, required: true}\n    outputs", "more: {type: str}\n    outputs"),
        LOOK,
    )
    local.runbook("note", meta, NOTE)
    with pytest.raises(BadMeta, match=why):
        local.connector().find("runbook.note")


def test_a_run_that_failed_after_a_change_is_not_proved_to_have_done_nothing(local: Any, tmp_path: Path) -> None:
    fails = NOTE.replace(
        "- name: Say", "- name: Give up\n          ansible.builtin.fail: {msg: no}\n        - name: Say"
    )
    local.runbook(
        "note",
        "{title: Note, effect: idempotent, check_mode: none, arguments: {path: {type: str}, text: {type: str}}}",
        fails,
    )
    arguments = {"path": str(tmp_path / "note"), "text": "x"}
    first = local.fail("note", arguments, hosts=("here",))
    assert (first.error_class, first.partly) == (ErrorClass.PERMANENT, True)
    again = local.fail("note", arguments, hosts=("here",))
    assert (again.error_class, again.partly) == (ErrorClass.PERMANENT, False), "nothing was changed by this run"
