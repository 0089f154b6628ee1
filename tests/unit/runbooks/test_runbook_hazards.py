"""What becomes of arguments in a runbook's own tasks; the runbooks are real, and nothing is run."""

from pathlib import Path
from textwrap import indent

import pytest

from connectors.registry import ConnectorContext, Registry
from connectors.runbook import connector
from request_models.actions import Hazard
from request_models.compiler import compile_model, load_model

META = """\
title: Title
effect: idempotent
check_mode: none
arguments:
  text: {type: str}
  names: {type: list, elements: str}
  login: {type: str, no_log: true}
  keep: {type: str}
"""
READ_ALL = "  vars: {all_of_them: '{{ keep }} text names login'}\n"
"""So that no argument is unread: what is in these is not looked at twice."""


class Content:
    """A content folder with one runbook, `known`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str) -> None:
        file = self.folder / "content" / "runbooks" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def playbook(self, tasks: str, *, play: str = "", meta: str = META) -> None:
        self.write("playbooks/known.meta.yml", meta)
        text = f"- hosts: all\n{READ_ALL}{indent(play, '  ')}  tasks:\n{indent(tasks, '    ')}\n"
        self.write("playbooks/known.yml", text)

    def hazards(self) -> dict[str, tuple[Hazard, ...]]:
        made = connector({}, ConnectorContext(self.folder / "state", (self.folder / "content",), "dev"))
        action = made.find("runbook.known")
        assert action is not None
        return dict(action.spec.hazards)

    def found(self) -> set[str]:
        """Each hazard as `ARGUMENT KIND`."""
        return {f"{name} {hazard.kind}" for name, hazards in self.hazards().items() for hazard in hazards}


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return Content(tmp_path)


DANGEROUS = {
    "shell": ("- ansible.builtin.shell: echo {{ text }}", {"text command"}),
    "shell by cmd": ("- ansible.builtin.shell: {cmd: 'echo {{ text }}'}", {"text command"}),
    "short name": ("- shell: echo {{ text }}", {"text command"}),
    "legacy name": ("- ansible.legacy.shell: echo {{ text }}", {"text command"}),
    "old form": ("- action: shell echo {{ text }}", {"text command"}),
    "old form, a map": ("- local_action: {module: shell, cmd: 'echo {{ text }}'}", {"text command"}),
    "cmd under args": ("- shell:\n  args: {cmd: 'echo {{ text }}'}", {"text command"}),
    "raw": ("- ansible.builtin.raw: echo {{ text }}", {"text command"}),
    "script": ("- ansible.builtin.script: run.sh {{ text }}", {"text command"}),
    "cron": ("- ansible.builtin.cron: {name: x, job: 'echo {{ text }}'}", {"text command"}),
    "query": ("- community.postgresql.postgresql_query: {query: \"select '{{ text | quote }}'\"}", {"text command"}),
    "pipe": ("- ansible.builtin.debug: {msg: \"{{ lookup('pipe', 'host ' ~ text) }}\"}", {"text command"}),
    "in a block": ("- block: [{block: [{shell: 'echo {{ text }}'}]}]", {"text command"}),
    "in a rescue": ("- {block: [{debug: {}}], rescue: [{shell: 'echo {{ text }}'}]}", {"text command"}),
    "in quotes": ("- shell: 'echo \"{{ text }}\"'", {"text command"}),
    "quoted twice": ("- shell: 'echo \"{{ text | quote }}\"'", {"text command"}),
    "quoted, then changed": ("- shell: echo {{ text | quote | replace('a', 'b') }}", {"text command"}),
    "quoted in one branch": ("- shell: echo {{ text | quote if x else text }}", {"text command"}),
    "as a default": ("- shell: echo {{ other | default(text) }}", {"text command"}),
    "by concatenation": ("- shell: \"{{ 'echo ' ~ text }}\"", {"text command"}),
    "by a format": ("- shell: \"{{ 'echo %s' | format(text) }}\"", {"text command"}),
    "by a method": ("- shell: \"{{ 'echo {}'.format(text) }}\"", {"text command"}),
    "by vars": ("- shell: echo {{ vars['text'] }}", {"text command"}),
    "by lookup": ("- shell: echo {{ lookup('ansible.builtin.vars', 'text') }}", {"text command"}),
    "by hostvars": ("- shell: echo {{ hostvars[inventory_hostname].text }}", {"text command"}),
    "in a loop of the template": ("- shell: '{% for n in names %}echo {{ n }};{% endfor %}'", {"names command"}),
    "set in the template": ("- shell: '{% set n = text %}echo {{ n }}'", {"text command"}),
    "from vars": ("- {shell: 'echo {{ x }}', vars: {x: 'a {{ y }}', y: '{{ text }}'}}", {"text command"}),
    "from set_fact": ("- set_fact: {x: '{{ text }}'}\n- shell: echo {{ x }}", {"text command"}),
    "from set_fact in a free form": ("- set_fact: x={{ text }}\n- shell: echo {{ x }}", {"text command"}),
    "loop": ("- {shell: 'echo {{ item }}', loop: '{{ names }}'}", {"names command"}),
    "old loop": ("- {shell: 'echo {{ item.0 }}', with_nested: ['{{ names }}', [1]]}", {"names command"}),
    "named loop": (
        "- {shell: 'echo {{ n }}', loop: '{{ names }}', loop_control: {loop_var: n}}",
        {"names command"},
    ),
    "command": ("- ansible.builtin.command: touch {{ text }}", {"text split", "text expanded"}),
    "command, quoted": ("- ansible.builtin.command: touch {{ text | quote }}", {"text expanded"}),
    "argv": ("- ansible.builtin.command: {argv: [touch, '{{ text }}']}", {"text expanded"}),
    "argv as one": ("- ansible.builtin.command: {argv: '{{ names }}'}", {"names expanded"}),
    "command without expansion": (
        "- {ansible.builtin.command: 'touch {{ text }}', args: {expand_argument_vars: false}}",
        {"text split"},
    ),
    "expect": ("- ansible.builtin.expect: {command: 'passwd {{ text }}', responses: {}}", {"text split"}),
    "delegated": ("- {debug: {}, delegate_to: '{{ text }}'}", {"text steers"}),
    "as somebody": ("- {debug: {}, become_user: '{{ text }}'}", {"text steers"}),
    "secret in a task": ("- uri: {url: x, headers: {X-Key: '{{ login }}'}}", {"login logged"}),
    "secret by vars": ("- {lineinfile: {path: x, line: '{{ y }}'}, vars: {y: '{{ login }}'}}", {"login logged"}),
    "secret in an included block": (
        "- {block: [{uri: {url: x, body: '{{ login }}'}}, {debug: {}, no_log: true}]}",
        {"login logged"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tasks", "found"), DANGEROUS.values(), ids=DANGEROUS.keys())
def test_a_task_that_makes_more_of_an_argument_than_data_is_found(
    content: Content, tasks: str, found: set[str]
) -> None:
    content.playbook(tasks)
    assert content.found() == found


HARMLESS = {
    "quoted": "- shell: echo {{ text | quote }} {{ names | map('quote') | join(' ') }}",
    "quoted by its full name": "- shell: echo {{ text | ansible.builtin.quote }}",
    "quoted, with a default": "- shell: echo {{ text | default('x') | quote }}",
    "quoted before": "- set_fact: {x: '{{ text | quote }}'}\n- shell: echo {{ x }}",
    "quoted in a loop": "- {shell: 'echo {{ item | quote }}', loop: '{{ names }}'}",
    "after quotes that are closed": "- shell: echo 'it is' \"so\" {{ text | quote }}",
    "after a comment": "- shell: |\n    # don't stop\n    echo {{ text | quote }}",
    "a number": "- shell: head -n {{ text | int }} {{ names | length }} {{ text | b64encode }}",
    "a condition": "- shell: echo {{ 'one' if text == 'x' else 'other' }}",
    "asked for only": "- {shell: echo x, when: text in names, register: said, changed_when: text in said.stdout}",
    "environment": "- {shell: echo \"$NAME\", environment: {NAME: '{{ text }}'}}",
    "argv without expansion": "- command: {argv: [touch, '{{ text }}'], expand_argument_vars: false}",
    "another module": "- file: {path: '/srv/{{ text }}', state: directory}",
    "the operator's own": "- shell: echo {{ base }} {{ ansible_facts.hostname }}",
    "not a template": "- shell: !unsafe 'docker ps --format {{ text }}'",
    "raw in the template": "- shell: 'docker ps --format {% raw %}{{ text }}{% endraw %}'",
    "another's item": "- {debug: {}, loop: '{{ names }}'}\n- {shell: 'echo {{ item }}', loop: [1, 2]}",
    "a fixed delegate": "- {debug: {}, delegate_to: localhost}",
    "secret kept": "- {uri: {url: x, body: '{{ login }}'}, no_log: true}",
    "secret kept by its block": "- {no_log: true, block: [{uri: {url: x, body: '{{ login }}'}}]}",
    "secret in an option that is one": "- user: {name: x, password: '{{ login }}'}",
    "secret in a file's content": "- copy: {dest: x, content: '{{ login }}'}",
    "secret in a fact": "- set_fact: {x: '{{ login }}'}",
    "secret in the outputs": "- debug: {msg: {outputs: {said: '{{ login }}'}}}",
}  # fmt: skip


@pytest.mark.parametrize("tasks", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_task_that_takes_its_arguments_as_data_is_left_alone(content: Content, tasks: str) -> None:
    content.playbook(tasks)
    assert content.found() == set()


def test_a_hazard_says_file_and_line_and_what_to_write_in_the_words_of_the_place(content: Content) -> None:
    content.write("roles/outer/meta/main.yml", "dependencies: [{role: inner, inner_text: '{{ outer_name }}'}]")
    content.write("roles/outer/tasks/main.yml", "- ansible.builtin.debug: {msg: x}\n")
    content.write("roles/inner/tasks/main.yml", "- ansible.builtin.include_tasks: more.yml\n")
    content.write(
        "roles/inner/tasks/more.yml", "- name: Say it\n  ansible.builtin.shell:\n    cmd: echo {{ inner_text }}\n"
    )
    content.playbook("- debug: {msg: x}", play="roles: [{role: outer, vars: {outer_name: '{{ text }}'}}]\n")
    [hazard] = content.hazards()["text"]
    assert (hazard.where, hazard.hint) == ("roles/inner/tasks/more.yml:2", "write `{{ inner_text | quote }}`")


def test_only_the_entry_of_a_role_that_is_used_counts(content: Content) -> None:
    content.write("roles/two/tasks/main.yml", "- shell: echo {{ text }}\n")
    content.write("roles/two/tasks/quiet.yml", "- shell: echo {{ text | quote }}\n")
    content.playbook("- import_role: {name: two, tasks_from: quiet.yml}")
    assert content.found() == set()
    content.playbook("- import_role: {name: two}")
    assert content.found() == {"text command"}


@pytest.mark.parametrize(
    ("use", "found"),
    [
        ("- {import_role: {name: one}, no_log: true}", set()),
        ("- {import_tasks: more.yml, no_log: true}", set()),
        ("- include_role: {name: one, apply: {no_log: true}}", set()),
        ("- {include_role: {name: one}, no_log: true}", {"login logged"}),  # reaches the include alone
        ("- import_role: {name: one}", {"login logged"}),
    ],
)
def test_no_log_counts_where_ansible_inherits_it(content: Content, use: str, found: set[str]) -> None:
    task = "- uri: {url: x, body: '{{ login }}'}\n"
    content.write("roles/one/tasks/main.yml", task)
    content.write("playbooks/more.yml", task)
    content.playbook(use)
    assert content.found() == found


def test_included_files_see_the_loop_around_them(content: Content) -> None:
    content.write("playbooks/more.yml", "- shell: echo {{ item }}\n")
    content.playbook("- {include_tasks: more.yml, loop: '{{ names }}'}")
    assert content.found() == {"names command"}


def test_an_imported_playbook_is_followed(content: Content) -> None:
    content.write("playbooks/other.yml", "- {hosts: all, tasks: [{shell: 'echo {{ other }}'}]}\n")
    content.playbook("- debug: {msg: x}")
    known = content.folder / "content" / "runbooks" / "playbooks" / "known.yml"
    with known.open("a") as file:
        file.write("- ansible.builtin.import_playbook: other.yml\n  vars: {other: '{{ text }}'}\n")
    assert content.found() == {"text command"}


def test_an_argument_that_nothing_reads_is_found_unless_a_collections_role_may_read_it(content: Content) -> None:
    content.playbook("- debug: {msg: x}", meta=META.replace("keep:", "forgotten:"))
    assert content.found() == {"forgotten unread"}
    content.playbook("- import_role: {name: some.collection.role}", meta=META.replace("keep:", "forgotten:"))
    assert content.found() == set()


def test_hazards_are_looked_for_anew_when_a_file_changes(content: Content) -> None:
    made = connector({}, ConnectorContext(content.folder / "state", (content.folder / "content",), "dev"))
    content.playbook("- shell: echo {{ text }}")
    before = made.find("runbook.known")
    content.playbook("- shell: echo {{ text | quote }}")
    after = made.find("runbook.known")
    assert before is not None
    assert before.spec.hazards
    assert after is not None
    assert not after.spec.hazards


def test_the_shipped_runbooks_have_no_hazard(tmp_path: Path) -> None:
    made = connector({}, ConnectorContext(tmp_path))
    names = list(made.names())
    assert len(names) >= 4
    assert [name for name in names if (action := made.find(name)) is None or action.spec.hazards] == []


MODEL = """\
model: say-it
title: Say it
kind: service-action
service: servers
owners: {accountable: servers-owner}
inputs: {words: {type: string%s}}
due: {within: PT30M}
steps:
  - {id: say, uses: runbook.known, hosts: %s, with: {text: "{{ inputs.words }}"}, undo: {none: Said is said.}}
"""


@pytest.mark.parametrize(
    ("task", "schema", "hosts", "codes"),
    [
        ("- shell: echo {{ text }}", "", "web", ["hazardous-argument"]),
        ("- shell: echo {{ text | quote }}", "", "web", []),
        ("- shell: echo {{ text }}", ", pattern: '^[a-z]{1,9}$'", "web", []),
        ("- shell: echo {{ text | quote }}", "", "wbe", ["unknown-hosts"]),
    ],
)
def test_a_model_is_told_the_line_of_the_runbook_it_uses(
    content: Content, task: str, schema: str, hosts: str, codes: list[str]
) -> None:
    content.playbook(task)
    inventory = content.folder / "hosts.yml"
    inventory.write_text("web: {hosts: {web-1: }}\n")
    context = ConnectorContext(content.folder / "state", (content.folder / "content",), "dev")
    source, _ = load_model("model.yaml", MODEL % (schema, hosts))
    assert source is not None
    with Registry([connector({"inventory": [str(inventory)]}, context)]) as registry:
        told = compile_model(source, registry, {}).diagnostics
    assert [one.code for one in told] == codes
    assert all("playbooks/known.yml:4 " in one.message for one in told if one.code == "hazardous-argument")
