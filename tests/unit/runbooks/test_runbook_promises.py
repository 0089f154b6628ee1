"""A playbook keeps what its meta promises, as far as that can be seen without running it."""

from pathlib import Path

import pytest

from connectors.registry import ConnectorContext
from connectors.runbook import UnsafeRunbook, connector

META = "{title: T, check_mode: none, outputs: {said: {type: str, required: true}, more: {type: str}}}"
REPORT = "ansible.builtin.debug: {msg: {outputs: {said: x, outcome: made}}}"


def _find(folder: Path, playbook: str, meta: str = META, **more: str) -> object:
    files = {"playbooks/known.yml": playbook, "playbooks/known.meta.yml": meta, **more}
    for path, text in files.items():
        file = folder / "content" / "runbooks" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return connector({}, ConnectorContext(folder / "state", (folder / "content",), "dev")).find("runbook.known")


def _play(task: str, hosts: str = "all") -> str:
    return f"- hosts: {hosts}\n  tasks:\n    - ansible.builtin.debug: {{msg: x}}\n    - {task}\n"


@pytest.mark.parametrize(
    "task",
    [
        REPORT,
        "debug: {msg: {outputs: {said: x, more: y, before: {}}}}",
        "debug: {msg: '{{ found }}'}",
        "debug: {msg: {outputs: '{{ found }}'}}",
        f"{{block: [{{{REPORT}}}]}}",
        "import_tasks: report.yml",
        "import_role: {name: of.some.collection}",
    ],
)
def test_a_playbook_that_may_give_its_outputs_is_taken(tmp_path: Path, task: str) -> None:
    assert _find(tmp_path, _play(task), **{"playbooks/report.yml": f"- {REPORT}"}) is not None


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("debug: {msg: done}", r"known\.yml: has no task that gives the outputs of its meta \(said, more\)"),
        ("debug: {msg: {outputs: {said: x}, also: y}}", "has no task"),
        ("debug: {msg: {outputs: {more: y}}}", r"known\.yml:4: the output task does not give said"),
        ("debug: {msg: {outputs: {said: x, sad: y}}}", r"known\.yml:4: the output task gives sad"),
    ],
)
def test_a_playbook_whose_every_run_would_end_without_its_outputs_is_refused(
    tmp_path: Path, task: str, said: str
) -> None:
    with pytest.raises(UnsafeRunbook, match=said):
        _find(tmp_path, _play(task))


def test_a_playbook_plays_where_its_meta_says(tmp_path: Path) -> None:
    here = META.replace("title: T", "title: T, hosts: false")
    with pytest.raises(UnsafeRunbook, match="plays on localhost only"):
        _find(tmp_path, _play(REPORT, "localhost"))
    with pytest.raises(UnsafeRunbook, match="plays on all hosts"):
        _find(tmp_path, _play(REPORT), here)
    assert _find(tmp_path, _play(REPORT, "localhost"), here) is not None
    assert _find(tmp_path, _play(REPORT, "web_servers")) is not None
