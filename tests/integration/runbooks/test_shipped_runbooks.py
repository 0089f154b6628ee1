"""The shipped runbooks on hosts that are namespaces with overlays: what they make, leave, refuse and take back."""

import os
import shutil
import subprocess
import sys
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.runbook.content import SHIPPED
from request_models.actions import ErrorClass, Outcome

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6l4g6mDkRuTvlBFjSYq4UhJ3bbWJ3TJyJ5pr8uJz0a anna@desk"
ANNA: dict[str, Any] = {
    "account": "anna",
    "full_name": "Anna {{ lookup('pipe', 'touch /tmp/pwned') }} `touch /tmp/pwned` -rf",
    "ssh_keys": [KEY],
    "extra_groups": ["developers"],
    "expires": "2031-01-31",
    "owner": "person-1",
    "made_by": "request-1",
}
APOLLO: dict[str, Any] = {
    "project": "apollo",
    "title": "-rf {{ 7 * 6 }} $HOME ; touch /tmp/pwned",
    "owner": "person-1",
    "made_by": "request-1",
}


@pytest.fixture
def web(overlays: Any) -> Any:
    return overlays


@pytest.mark.needs("namespaces", "root")
@pytest.mark.timeout(180)
class TestLinuxAccount:
    def test_it_makes_the_account_as_asked_and_again_it_changes_nothing(self, web: Any) -> None:
        first = web.run("linux_account", ANNA, "linux_servers")
        made = {host: web.tree(host) for host in ("web-1", "web-2")}
        again = web.run("linux_account", {**ANNA, "made_by": "request-2"}, "linux_servers")

        assert (first.outcome, again.outcome) == (Outcome.MADE, Outcome.ALREADY_SO)
        assert {host: web.tree(host) for host in made} == made
        for host in made:
            passwd = web.on(host, "getent", "passwd", "anna").rstrip("\n").split(":")
            assert passwd[4:] == [ANNA["full_name"], "/home/anna", "/bin/bash"]
            assert first.result["hosts"][host] == {
                "account": "anna", "uid": int(passwd[2]), "home": "/home/anna", "outcome": "made",
            }  # fmt: skip
            assert web.on(host, "id", "-nG", "anna").split() == ["anna", "developers"]
            assert web.on(host, "cat", "/home/anna/.ssh/authorized_keys") == KEY + "\n"
            modes = web.on(host, "stat", "-c", "%a %U", "/home/anna/.ssh", "/home/anna/.ssh/authorized_keys")
            assert modes == "700 anna\n600 anna\n"
            assert web.on(host, "getent", "shadow", "anna").split(":")[7] == str(
                (date(2031, 1, 31) - date(1970, 1, 1)).days
            )
            assert web.on(host, "ls", "/tmp") == ""

    @pytest.mark.slow
    def test_check_mode_changes_nothing_before_or_after(self, web: Any) -> None:
        untouched = web.tree("web-1")
        assert _check(web, "linux_account", ANNA, tmp=web.estate.folder) == 0
        assert web.tree("web-1") == untouched
        web.run("linux_account", ANNA, "linux_servers")
        made = web.tree("web-1")
        assert _check(web, "linux_account", {**ANNA, "full_name": "Anna B"}, tmp=web.estate.folder) == 0
        assert web.tree("web-1") == made

    @pytest.mark.slow
    def test_what_changes_is_told_with_what_was_before(self, web: Any) -> None:
        web.run("linux_account", ANNA, "web-1")
        answer = web.run("linux_account", {**ANNA, "full_name": "Anna B", "made_by": "request-2"}, "web-1")
        assert answer.outcome is Outcome.CHANGED
        assert answer.before == {"web-1": {"full_name": ANNA["full_name"], "shell": "/bin/bash"}}
        without_end = web.run("linux_account", {k: v for k, v in ANNA.items() if k != "expires"}, "web-1")
        assert without_end.outcome is Outcome.MADE  # by the request that made it
        assert web.on("web-1", "getent", "shadow", "anna").split(":")[7] == ""

    @pytest.mark.parametrize("account", ["root", "nobody"])
    def test_an_account_that_was_there_before_is_left_alone(self, web: Any, account: str) -> None:
        before = web.tree("web-1")
        failed = web.fail("linux_account", {**ANNA, "account": account}, "web-1")
        assert (failed.error_class, failed.code) == (ErrorClass.PERMANENT, "failed")
        assert "was not made by Orderly" in str(failed)
        assert web.tree("web-1") == before

    @pytest.mark.slow
    def test_an_account_of_somebody_else_gets_no_key_of_mine(self, web: Any) -> None:
        web.run("linux_account", ANNA, "web-1")
        failed = web.fail("linux_account", {**ANNA, "owner": "person-2", "made_by": "request-2"}, "web-1")
        assert "was not made by Orderly for this person" in str(failed)

    def test_nobody_gets_into_a_group_of_the_system(self, web: Any) -> None:
        asked = {**ANNA, "extra_groups": ["developers", "sudo"], "primary_group": "shadow"}
        failed = web.fail("linux_account", asked, "web-1")
        assert "sudo: The group is one of the system's" in str(failed)
        assert "shadow: The group is one of the system's" in str(failed)
        assert "developers" not in str(failed)
        assert web.on("web-1", "sh", "-c", "getent passwd anna; getent group developers; true") == ""

    def test_keys_are_not_written_through_a_link(self, web: Any) -> None:
        web.run("linux_account", {**ANNA, "ssh_keys": []}, "web-1")
        web.on("web-1", "install", "-d", "-o", "anna", "-m", "700", "/home/anna/.ssh")
        web.on("web-1", "ln", "-s", "/etc/motd", "/home/anna/.ssh/authorized_keys")
        failed = web.fail("linux_account", ANNA, "web-1")
        assert "leads elsewhere" in str(failed)
        assert KEY not in web.on("web-1", "sh", "-c", "cat /etc/motd 2>/dev/null || true")

    @pytest.mark.slow
    def test_undo_takes_away_what_the_request_made_and_nothing_else(self, web: Any) -> None:
        web.run("linux_account", ANNA, "web-1")
        web.run("linux_account", {**ANNA, "made_by": "request-2"}, "linux_servers")

        undone = web.run("linux_account_absent", {"account": "anna", "made_by": "request-2"}, "linux_servers")

        assert {host: answer["left"] for host, answer in undone.result["hosts"].items()} == {
            "web-1": True,
            "web-2": False,
        }
        assert web.on("web-1", "id", "-un", "anna") == "anna\n"
        assert web.on("web-2", "sh", "-c", "getent passwd anna; ls -d /home/anna 2>/dev/null; true") == ""
        again = web.run("linux_account_absent", {"account": "anna", "made_by": "request-2"}, "linux_servers")
        assert again.outcome is Outcome.ALREADY_SO


@pytest.mark.needs("namespaces", "root", "git")
@pytest.mark.timeout(180)
class TestProjectFolder:
    def test_it_lays_out_the_folder_and_repository_and_again_it_changes_nothing(self, web: Any) -> None:
        first = web.run("project_folder", APOLLO, "web-1")
        made = web.tree("web-1")
        again = web.run("project_folder", {**APOLLO, "made_by": "request-2"}, "web-1")

        assert (first.outcome, again.outcome) == (Outcome.MADE, Outcome.ALREADY_SO)
        assert web.tree("web-1") == made
        assert first.result["hosts"]["web-1"] == {
            "folder": "/var/projects/apollo",
            "repository": "/var/projects/apollo/repository.git",
            "group": "prj-apollo",
            "outcome": "made",
        }
        assert web.on("web-1", "stat", "-c", "%a %U:%G", "/var/projects/apollo") == "2770 root:prj-apollo\n"
        assert web.on("web-1", "cat", "/var/projects/apollo/repository.git/description") == APOLLO["title"] + "\n"
        git = ["git", "--git-dir=/var/projects/apollo/repository.git"]
        assert web.on("web-1", *git, "rev-parse", "--is-bare-repository") == "true\n"
        assert web.on("web-1", *git, "symbolic-ref", "HEAD") == "refs/heads/main\n"
        assert web.on("web-1", "ls", "/tmp") == ""

    @pytest.mark.slow
    def test_check_mode_changes_nothing_before_or_after(self, web: Any) -> None:
        untouched = web.tree("web-1")
        assert _check(web, "project_folder", APOLLO, tmp=web.estate.folder) == 0
        assert web.tree("web-1") == untouched
        web.run("project_folder", APOLLO, "web-1")
        made = web.tree("web-1")
        assert _check(web, "project_folder", {**APOLLO, "title": "other"}, tmp=web.estate.folder) == 0
        assert web.tree("web-1") == made

    def test_a_folder_that_was_there_before_is_left_alone(self, web: Any) -> None:
        web.on("web-1", "mkdir", "-p", "/var/projects/apollo")
        failed = web.fail("project_folder", APOLLO, "web-1")
        assert "was not made by Orderly" in str(failed)
        assert web.on("web-1", "ls", "/var/projects/apollo") == ""

    @pytest.mark.slow
    def test_undo_takes_away_what_the_request_made_and_nothing_else(self, web: Any) -> None:
        web.run("project_folder", APOLLO, "web-1")
        left = web.run("project_folder_absent", {"project": "apollo", "made_by": "request-2"}, "web-1")
        assert left.result["hosts"]["web-1"]["left"] is True
        undone = web.run("project_folder_absent", {"project": "apollo", "made_by": "request-1"}, "web-1")
        assert undone.outcome is Outcome.CHANGED
        assert web.on("web-1", "sh", "-c", "ls /var/projects; getent group prj-apollo; true") == ""


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("account", "-rf"),
        ("account", "anna\n"),
        ("account", "../../x"),
        ("full_name", "Anna:0:0"),
        ("full_name", "Anna\nroot::0:0"),
        ("full_name", "Anna\u0000"),
        ("full_name", "Anna $HOME"),  # the user module hands it on with variables and ~ expanded
        ("full_name", "~root"),
        ("ssh_keys", ['command="touch /tmp/pwned" ' + KEY]),
        ("ssh_keys", [KEY + "\n" + KEY]),
        ("extra_groups", ["developers,sudo"]),
        ("expires", "2031-02-31"),
        ("expires", "tomorrow"),
        ("shell_path", "/bin/sh -c id"),
    ],
)
def test_what_would_break_a_file_of_the_host_is_rejected_before_the_run(local: Any, argument: str, value: Any) -> None:
    failed = local.fail("linux_account", {**ANNA, argument: value}, hosts=("one",))
    assert (failed.error_class, failed.code) == (ErrorClass.REJECTED, "arguments")
    assert f"/{argument}" in str(failed)


def test_a_host_that_is_not_running_is_unreachable(estate: Any, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1 1\n")
    estate.inventory = {
        "all": {
            "hosts": {
                "gone": {"ansible_connection": "orderly_namespace", "orderly_host_pid_file": str(tmp_path / "pid")}
            }
        }
    }
    failed = estate.fail("project_folder_absent", {"project": "apollo", "made_by": "x"}, hosts=("gone",))
    assert (failed.error_class, failed.code) == (ErrorClass.TRANSIENT, "unreachable")
    assert "the host gone is not running" in str(failed)


def _check(web: Any, name: str, arguments: dict[str, Any], tmp: Path) -> int | None:
    """Run a shipped playbook with --check, as the connector would run it; gives Ansible's exit status."""
    from connectors.run_folders import About
    from connectors.runbook.argument_specs import with_defaults
    from connectors.runbook.content import pinned_meta
    from connectors.runbook.run import RunOrder, run
    from connectors.runbook.settings import RunbookSettings

    content = web.estate.connector().find(f"runbook.{name}").content
    meta = pinned_meta(name, content)
    assert meta.check_mode == "honest"
    lines: list[str] = []
    report = run(
        RunOrder(
            about=About("request", "step", str(uuid.uuid4())),
            playbook=name,
            content=content,
            plain=with_defaults(meta.arguments, arguments),
            secret={},
            masks=[],
            hosts=("web-1",),
            done=(),
            timeout_seconds=90,
            log=lines.append,
            cancelled=lambda: False,
            check=True,
        ),
        RunbookSettings(inventory=[tmp / "hosts.yml"]),
        tmp / "state" / "runs",
    )
    assert any(line.endswith(": changed") for line in lines), lines
    return report.exit_status


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_ansible_lint_finds_nothing_in_the_production_profile(tmp_path: Path) -> None:
    lint = Path(sys.executable).with_name("ansible-lint")
    shutil.copytree(SHIPPED, tmp_path / "runbooks")
    environment = {
        "PATH": f"{lint.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ANSIBLE_CONFIG": str(tmp_path / "runbooks" / "ansible.cfg"),
        "NO_COLOR": "1",
    }
    ended = subprocess.run(
        [str(lint), "--offline", "--strict", "."],
        cwd=tmp_path / "runbooks",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Profile 'production' was required, and it passed" in ended.stdout + ended.stderr
