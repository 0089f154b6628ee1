"""What is found in the runbooks folders, what is refused, and what an archive holds."""

import io
import tarfile
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import Registry
from connectors.runbook import BadMeta, UnsafeRunbook
from connectors.runbook.content import unpack
from request_models.actions import ActionBroken, ActionCall

META = "{title: Title, effect: idempotent, check_mode: none, arguments: {account: {type: str}}}"


def _play(*tasks: str, more: str = "") -> str:
    lines = ["- hosts: all", "  gather_facts: false", *([f"  {more}"] if more else []), "  tasks:"]
    return "\n".join([*lines, *(f"    - {task}" for task in tasks or ("ansible.builtin.debug: {msg: x}",))]) + "\n"


def test_the_shipped_runbooks_are_all_offered(estate: Any) -> None:
    connector = estate.connector()
    assert connector.problems() == {}
    assert set(connector.names()) >= {"runbook.linux_account", "runbook.linux_account_absent", "runbook.project_folder"}
    assert "runbook.end_run" not in connector.names()


def test_a_users_runbook_comes_before_a_shipped_one_of_its_name(estate: Any) -> None:
    estate.runbook("linux_account", META, _play())
    assert estate.connector().find("runbook.linux_account").spec.title == "Title"


def test_a_broken_runbook_is_reported_and_hides_no_other(estate: Any) -> None:
    estate.runbook("broken", "{title: 5}", _play())
    estate.runbook("torn", "{title: [", _play())
    estate.runbook("good", META, _play())
    connector = estate.connector()
    assert "runbook.good" in connector.names()
    assert set(connector.problems()) == {"runbook.broken", "runbook.torn"}
    with pytest.raises(BadMeta, match=r"broken\.meta\.yml: .*check_mode"):
        connector.find("runbook.broken")


def test_what_was_pinned_runs_although_its_files_changed_or_went(local: Any) -> None:
    meta = META.removesuffix("}") + ", outputs: {said: {type: str}}}"
    local.runbook("kept", meta, _play("{ansible.builtin.debug: {msg: {outputs: {said: 'old {{ account }}'}}}}"))
    before = local.connector().find("runbook.kept")
    local.runbook("kept", "{title: 5}", "torn: [")
    connector = local.connector()
    with pytest.raises(ActionBroken):
        connector.find("runbook.kept")
    with Registry([connector]) as registry:
        pinned = registry.pinned("runbook.kept", before.content)
        assert pinned.spec == before.spec
        call = ActionCall("runbook.kept", {"account": "ada"}, uuid.uuid4(), "request", "step", hosts=("one",))
        result = pinned.run(replace(call, content=before.content)).result
    assert result == {"hosts": {"one": {"said": "old ada", "outcome": "already_so"}}}


def test_a_playbook_without_meta_is_no_action(estate: Any) -> None:
    estate.write("playbooks/loose.yml", _play())
    assert estate.connector().find("runbook.loose") is None


@pytest.mark.parametrize("name", ["hosts", "environment", "ansible_user", "item", "lookup", "orderly_x", "if"])
def test_a_name_that_means_something_else_is_no_argument(estate: Any, name: str) -> None:
    estate.runbook("taken", META.replace("account:", f'"{name}":'), _play())
    with pytest.raises(BadMeta, match=name):
        estate.connector().find("runbook.taken")


SETS = {
    "vars of the play": _play(more="vars: {account: x}"),
    "vars of a task": _play("{ansible.builtin.debug: {msg: x}, vars: {account: x}}"),
    "vars of a block": _play("{block: [{ansible.builtin.debug: {msg: x}}], vars: {account: x}}"),
    "vars in a block": _play("{block: [{block: [{ansible.builtin.debug: {msg: x}, register: account}]}]}"),
    "register": _play("{ansible.builtin.command: x, register: account}"),
    "set_fact": _play("ansible.builtin.set_fact: {account: x}"),
    "set_fact by its short name": _play("set_fact: account=x"),
    "set_fact of any name": _play('ansible.builtin.set_fact: {"{{ name }}": x}'),
    "loop variable": _play("{ansible.builtin.debug: {}, loop: [1], loop_control: {loop_var: account}}"),
    "include_vars": _play("ansible.builtin.include_vars: {file: x.yml, name: account}"),
    "include_vars of any name": _play("ansible.builtin.include_vars: x.yml"),
    "vars_prompt": _play(more="vars_prompt: [{name: account}]"),
    "vars of a role": _play(more="roles: [{role: quiet, vars: {account: x}}]"),
    "parameter of a role": _play(more="roles: [{role: quiet, account: x}]"),
    "role that sets it": _play(more="roles: [loud]"),
    "imported role that sets it": _play("ansible.builtin.import_role: {name: loud}"),
    "dependency that sets it": _play(more="roles: [behind]"),
    "included tasks that set it": _play("ansible.builtin.include_tasks: more.yml"),
    "vars file": _play(more="vars_files: [vars.yml]"),
    "handler": _play(more="handlers: [{ansible.builtin.command: x, register: account}]"),
    "included tasks beside the playbooks": _play("ansible.builtin.include_tasks: ../tasks/aside.yml"),
    "vars file beside the playbooks": _play(more="vars_files: [../shared/vars.yml]"),
    "role with a variables file without a suffix": _play(more="roles: [bare]"),
    "role with tasks in a folder of its own": _play(more="roles: [odd]"),
    "vars under apply": _play("ansible.builtin.include_role: {name: quiet, apply: {vars: {account: x}}}"),
    "vars as a list": _play(more="vars: [{account: x}]"),
    "set_fact by args": _play("{ansible.builtin.set_fact: , args: {account: x}}"),
    "set_fact of a whole template": _play('ansible.builtin.set_fact: "{{ more }}"'),
    "set_fact in the old form": _play("action: ansible.legacy.set_fact account=x"),
    "imported playbook": "- ansible.builtin.import_playbook: other.yml\n",
}


@pytest.mark.parametrize("playbook", SETS.values(), ids=SETS.keys())
def test_an_argument_that_the_runbook_sets_too_is_refused(estate: Any, playbook: str) -> None:
    estate.write("roles/quiet/tasks/main.yml", "- {ansible.builtin.debug: {msg: x}}")
    estate.write("roles/loud/vars/main.yml", "account: x")
    estate.write("roles/behind/meta/main.yml", "dependencies: [{role: loud}]")
    estate.write("roles/bare/vars/main", "account: x")
    estate.write("roles/odd/tasks/main.yml", "- ansible.builtin.include_tasks: ../steps/more.yml")
    estate.write("roles/odd/steps/more.yml", "- {ansible.builtin.command: x, register: account}")
    estate.write("tasks/aside.yml", "- {ansible.builtin.command: x, register: account}")
    estate.write("shared/vars.yml", "account: x")
    estate.write("playbooks/more.yml", "- {ansible.builtin.command: x, register: account}")
    estate.write("playbooks/vars.yml", "account: x")
    estate.write("playbooks/other.yml", _play("ansible.builtin.set_fact: {account: x}"))
    estate.runbook("sets", META, playbook)
    with pytest.raises(UnsafeRunbook):
        estate.connector().find("runbook.sets")


def test_the_refusal_names_the_line_that_sets_the_argument(estate: Any) -> None:
    estate.write(
        "roles/loud/tasks/main.yml", "- ansible.builtin.debug: {msg: x}\n- ansible.builtin.set_fact:\n    account: x"
    )
    estate.runbook("sets", META, _play(more="roles: [loud]"))
    with pytest.raises(UnsafeRunbook, match=r"roles/loud/tasks/main\.yml:2: sets 'account' by set_fact"):
        estate.connector().find("runbook.sets")


@pytest.mark.parametrize("playbook", ["just text", "[just, texts]"])
def test_what_is_no_playbook_is_refused(estate: Any, playbook: str) -> None:
    estate.runbook("none", META, playbook)
    with pytest.raises(UnsafeRunbook, match="is no playbook"):
        estate.connector().find("runbook.none")


def test_data_of_a_role_that_only_looks_like_yaml_is_no_matter(estate: Any) -> None:
    estate.write("roles/quiet/tasks/main.yml", "- {ansible.builtin.debug: {msg: x}}")
    estate.write("roles/quiet/files/two.yml", "---\naccount: x\n---\naccount: y\n")
    estate.write("roles/quiet/templates/text.yml", "{% if x %}\naccount: {{ account }}\n{% endif %}\n")
    estate.runbook("quiet", META, _play(more="roles: [quiet]"))
    assert estate.connector().find("runbook.quiet") is not None


@pytest.mark.parametrize(
    "task",
    [
        "ansible.builtin.include_role: {name: '{{ which }}'}",
        "ansible.builtin.include_tasks: '{{ which }}.yml'",
        "ansible.builtin.import_role: {name: nowhere}",
        "ansible.builtin.include_tasks: ../../../../etc/passwd",
    ],
)
def test_content_that_is_not_known_before_the_run_is_refused(estate: Any, task: str) -> None:
    estate.runbook("unknown", META, _play(task))
    with pytest.raises(UnsafeRunbook):
        estate.connector().find("runbook.unknown")


SPEC = """
argument_specs:
  main:
    options:
      sized_size: {type: int, required: true, aliases: [sized_width]}
      sized_unit: {type: str, choices: [m, km]}
      sized_note: {type: str}
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{}", "requires: sized_size"),
        ("{sized_size: 1, sized_untt: x}", "does not know: sized_untt"),
        ("{sized_size: 1, sized_unit: mile}", "'sized_unit', which must be one of m, km"),
        ("{sized_size: 1, sized_unit: null}", "'sized_unit', which must not be null"),
        ("{sized_size: '1'}", "'sized_size', which must be a whole number, not text"),
        ("{sized_size: 1, sized_note: 2026-01-31}", "'sized_note', which is no JSON .*: write it in quotes"),
        # Ansible's check of a role lets an alias pass, or does not see it, and the role finds no such variable.
        ("{sized_width: 1}", "'sized_width', another name of 'sized_size'"),
    ],
)
def test_a_role_that_gets_what_its_spec_does_not_say_is_refused(estate: Any, given: str, said: str) -> None:
    estate.write("roles/sized/meta/argument_specs.yml", SPEC)
    estate.write("roles/sized/tasks/main.yml", "- ansible.builtin.debug: {msg: x}")
    estate.runbook("size", META, _play(f"{{ansible.builtin.import_role: {{name: sized}}, vars: {given}}}"))
    with pytest.raises(UnsafeRunbook, match=said):
        estate.connector().find("runbook.size")
    estate.runbook("size", META, _play(more=f"roles: [{{role: sized, vars: {given}}}]"))
    with pytest.raises(UnsafeRunbook, match=said):
        estate.connector().find("runbook.size")


def test_an_argument_of_the_roles_own_name_is_given_to_it(estate: Any) -> None:
    estate.write("roles/sized/meta/argument_specs.yml", SPEC)
    estate.write("roles/sized/tasks/main.yml", "- ansible.builtin.debug: {msg: x}")
    meta = META.replace("account", "sized_size")
    estate.runbook("size", meta.replace("type: str", "type: int, required: true"), _play(more="roles: [sized]"))
    assert estate.connector().find("runbook.size") is not None


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("{type: str, required: true}", "of another type: it must be a whole number"),
        ("{type: int}", "null when a step leaves it out"),
    ],
)
def test_an_argument_that_does_not_fit_the_role_it_is_given_to_is_refused(
    estate: Any, argument: str, said: str
) -> None:
    estate.write("roles/sized/meta/argument_specs.yml", SPEC)
    estate.write("roles/sized/tasks/main.yml", "- ansible.builtin.debug: {msg: x}")
    meta = META.replace("account: {type: str}", f"sized_size: {argument}")
    estate.runbook("size", meta, _play(more="roles: [sized]"))
    with pytest.raises(UnsafeRunbook, match=said):
        estate.connector().find("runbook.size")


def _members(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def test_an_archive_holds_all_that_the_run_reads(estate: Any, tmp_path: Path) -> None:
    estate.write("roles/outer/meta/main.yml", "dependencies: [{role: inner}]")
    estate.write("roles/outer/tasks/main.yml", "- ansible.builtin.include_role: {name: called}")
    estate.write("roles/outer/templates/deep/x.j2", "x")
    estate.write("roles/inner/tasks/main.yml", "- ansible.builtin.debug: {msg: x}")
    estate.write("roles/called/tasks/main.yml", "- ansible.builtin.debug: {msg: x}")
    estate.write("roles/unused/tasks/main.yml", "- ansible.builtin.debug: {msg: x}")
    estate.write("playbooks/parts/more.yml", "- ansible.builtin.debug: {msg: x}")
    estate.write("plugins/filter/own.py", "class FilterModule: pass")
    estate.runbook("whole", META, _play("ansible.builtin.import_tasks: parts/more.yml", more="roles: [outer]"))

    members = _members(estate.connector().find("runbook.whole").content)

    assert members == [
        "playbooks/parts/more.yml",
        "playbooks/whole.meta.yml",
        "playbooks/whole.yml",
        "plugins/filter/own.py",
        "roles/called/tasks/main.yml",
        "roles/inner/tasks/main.yml",
        "roles/outer/meta/main.yml",
        "roles/outer/tasks/main.yml",
        "roles/outer/templates/deep/x.j2",
    ]


def test_a_digest_is_of_the_files_alone(estate: Any, tmp_path: Path) -> None:
    for copy in ("first", "second"):
        other = type(estate)(tmp_path / copy)
        other.write("roles/outer/tasks/main.yml", "- ansible.builtin.debug: {msg: x}")
        other.runbook("same", META, _play(more="roles: [outer]"))
    digests = {
        type(estate)(tmp_path / copy).connector().find("runbook.same").spec.content_digest
        for copy in ("first", "second")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("path", ["playbooks/changes.yml", "playbooks/changes.meta.yml", "roles/outer/files/x"])
def test_a_digest_changes_with_any_file_it_covers(estate: Any, path: str) -> None:
    estate.write("roles/outer/files/x", "x")
    estate.runbook("changes", META, _play(more="roles: [outer]"))
    connector = estate.connector()
    before = connector.find("runbook.changes").spec.content_digest
    with (estate.folder / "content" / "runbooks" / path).open("a") as file:
        file.write("\n")
    after = connector.find("runbook.changes").spec.content_digest
    assert before != after
    assert connector.content(before) is not None
    assert connector.content(after) != connector.content(before)


def test_an_archive_that_leads_out_of_its_folder_is_not_unpacked(tmp_path: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    with pytest.raises(tarfile.TarError):
        unpack(written.getvalue(), tmp_path / "project")
    assert not (tmp_path / "outside").exists()
