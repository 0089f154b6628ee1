"""The sandbox's hosts: what is done there, as root, stays there."""

import hashlib
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

import needs
from connectors.aws.settings import AwsSettings
from connectors.mail import MailSettings
from connectors.runbook.settings import RunbookSettings
from flows.sandbox.errors import HostUnreachable
from flows.sandbox.inspection import read_host_file, run_on_host, status
from flows.sandbox.namespaces import HostProcess, read_pid_file
from flows.settings import Settings
from waiting import wait_until

pytestmark = pytest.mark.needs("root", "namespaces")

WATCHED = (Path("/etc"), Path("/home"), Path("/var"))
VOLATILE = {
    Path("/var/log"),  # every service of the machine writes here
    Path("/var/lib/postgresql"),  # the databases of this test run, among others
    Path("/var/lib/systemd"),  # timers and random seeds
    Path("/var/spool"),  # mail and cron queues
    Path("/var/tmp"),
    Path("/var/cache"),  # package tools refill it by themselves
}
LARGEST_HASHED = 1 << 20
"""Bytes. A larger file is told by its size and times; the change time cannot be set back."""

Facts = tuple[int, int, int, int, int, int, str]


def snapshot() -> dict[str, Facts]:
    """Names, modes, owners, sizes, times and contents of everything watched."""
    return {str(path): facts(path) for tree in WATCHED for path in walk(tree)}


def walk(folder: Path) -> Iterator[Path]:
    yield folder
    for entry in sorted(folder.iterdir()):
        if entry in VOLATILE:
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from walk(entry)
        else:
            yield entry


def facts(path: Path) -> Facts:
    about = path.lstat()
    digest = ""
    if stat.S_ISLNK(about.st_mode):
        digest = str(path.readlink())
    elif stat.S_ISREG(about.st_mode) and about.st_size <= LARGEST_HASHED:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    times = (about.st_mtime_ns, about.st_ctime_ns)
    return about.st_mode, about.st_uid, about.st_gid, about.st_size, *times, digest


def on(sandbox: Any, host: str, *command: str) -> str:
    ended = run_on_host(sandbox.state, host, command)
    assert ended.code == 0, ended.errors
    return ended.output


def host_process(sandbox: Any, host: str) -> HostProcess:
    process = read_pid_file(sandbox.folder / "hosts" / host / "pid")
    assert process is not None
    return process


def test_accounts_and_files_made_on_hosts_change_nothing_of_this_machine(sandbox: Any) -> None:
    before = snapshot()
    sandbox.start()
    for host in ("web-1", "web-2", "files-1"):
        on(sandbox, host, "useradd", "--create-home", "--groups", "users", "orderly-anna")
        on(sandbox, host, "usermod", "--expiredate", "2030-01-01", "orderly-anna")
        on(
            sandbox,
            host,
            "sh",
            "-c",
            "echo text > /etc/orderly.conf; rm /etc/issue; chmod 700 /var/lib; date > /var/lib/x",
        )
        on(sandbox, host, "sh", "-c", "mkdir -p /srv/projects/a /opt/b /root/c; echo x > /usr/local/bin/orderly-tool")
        assert "orderly-anna:x:" in read_host_file(sandbox.state, host, "/etc/passwd")
        assert "/home/orderly-anna" in on(sandbox, host, "ls", "-d", "/home/orderly-anna")
    sandbox.end(signal.SIGTERM)

    after = snapshot()
    assert {
        path: (before.get(path), after.get(path)) for path in before | after if before.get(path) != after.get(path)
    } == {}
    for path in ("/srv/projects/a", "/opt/b", "/root/c", "/usr/local/bin/orderly-tool"):
        assert not Path(path).exists()


def test_what_a_host_holds_outlives_kill_9_and_hosts_are_apart(sandbox: Any) -> None:
    sandbox.start()
    on(sandbox, "web-1", "useradd", "--create-home", "orderly-bert")
    on(sandbox, "web-1", "sh", "-c", "echo key > /home/orderly-bert/key; rm /etc/issue; echo gone > /tmp/gone")
    hosts = [host_process(sandbox, host) for host in ("web-1", "web-2", "files-1")]
    sandbox.kill()
    wait_until("kill -9 of the sandbox ends its hosts", lambda: not any(host.alive for host in hosts))
    with pytest.raises(HostUnreachable):
        run_on_host(sandbox.state, "web-1", ["true"])

    sandbox.start()

    assert read_host_file(sandbox.state, "web-1", "/home/orderly-bert/key") == "key\n"
    assert "orderly-bert" in on(sandbox, "web-1", "id", "orderly-bert")
    assert on(sandbox, "web-1", "ls", "-A", "/tmp") == ""
    assert run_on_host(sandbox.state, "web-1", ["test", "-e", "/etc/issue"]).code == 1
    assert run_on_host(sandbox.state, "web-2", ["id", "orderly-bert"]).code == 1
    assert run_on_host(sandbox.state, "web-2", ["test", "-e", "/etc/issue"]).code == 0


def test_a_stop_leaves_no_process_mount_pid_file_or_lock(sandbox: Any) -> None:
    sandbox.start()
    hosts = [host_process(sandbox, host) for host in ("web-1", "web-2", "files-1")]
    on(sandbox, "web-1", "sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo started")
    assert sandbox.end(signal.SIGTERM) == 0

    assert not any(host.alive for host in hosts)
    left = {path.name for path in sandbox.folder.rglob("*") if path.name in {"pid", "ready.json", "dev", "lock"}}
    assert left == set()
    assert str(sandbox.folder) not in Path("/proc/self/mountinfo").read_text()
    sandbox.start()


def test_a_host_whose_first_process_was_killed_is_started_again_as_it_was(sandbox: Any) -> None:
    sandbox.start()
    on(sandbox, "web-2", "useradd", "orderly-carl")
    old = host_process(sandbox, "web-2")
    os.kill(old.pid, signal.SIGKILL)

    def fresh() -> bool:
        now = read_pid_file(sandbox.folder / "hosts" / "web-2" / "pid")
        return now is not None and now != old and now.alive

    wait_until("the host runs again", fresh, deadline=20)
    assert "orderly-carl" in on(sandbox, "web-2", "id", "orderly-carl")


def test_a_pid_file_that_names_another_process_by_now_is_not_entered(running: Any) -> None:
    impostor = running.folder / "hosts" / "web-9"
    impostor.mkdir()
    (impostor / "pid").write_text(f"{os.getpid()} 1\n")
    with pytest.raises(HostUnreachable):
        run_on_host(running.state, "web-9", ["true"])


def test_each_host_has_its_own_name_and_processes(running: Any) -> None:
    assert [on(running, host, "uname", "-n").strip() for host in ("web-1", "files-1")] == ["web-1", "files-1"]
    assert read_host_file(running.state, "web-1", "/etc/hostname") == "web-1\n"
    seen = on(running, "web-1", "sh", "-c", "ls -d /proc/[0-9]*").split()
    assert len(seen) < 6
    assert "/proc/1" in seen


@pytest.mark.parametrize(
    "path", ["/orderly-x", "/usr/../boot/orderly-x", "/proc/sys/kernel/hostname"], ids=["root", "boot", "kernel"]
)
def test_all_else_is_read_only(running: Any, path: str) -> None:
    ended = run_on_host(running.state, "web-1", ["sh", "-c", 'echo x > "$1"', "sh", path])
    assert ended.code != 0
    assert "Read-only" in ended.errors or "ermission" in ended.errors or "nonexistent" in ended.errors


def test_the_machines_disks_and_orderlys_keys_are_not_there(running: Any) -> None:
    (running.state / "keys").mkdir()
    (running.state / "keys" / "keyring.json").write_text("secret")
    assert run_on_host(running.state, "web-1", ["cat", str(running.state / "keys" / "keyring.json")]).code != 0
    devices = on(running, "web-1", "find", "/dev", "-type", "b")
    assert devices == ""


def test_what_is_left_to_process_1_is_reaped(running: Any) -> None:
    on(running, "web-1", "sh", "-c", "for i in 1 2 3; do (sleep 0.01 &) ; done")

    def zombies() -> bool:
        states = on(running, "web-1", "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || true")
        return not any(") Z " in line for line in states.splitlines())

    wait_until("no zombie is left", zombies)


def test_the_inventory_names_hosts_that_the_tools_of_runbooks_are_on(running: Any) -> None:
    inventory = YAML(typ="safe").load((running.folder / "inventory" / "hosts.yml").read_text())
    groups = inventory["all"]["children"]
    assert set(groups["linux_servers"]["hosts"]) == {"web-1", "web-2"}
    assert set(groups["file_servers"]["hosts"]) == {"files-1"}
    web = groups["linux_servers"]["hosts"]["web-1"]
    assert host_process(running, "web-1").pid == int(Path(web["orderly_host_pid_file"]).read_text().split()[0])
    version = on(
        running, "web-1", web["ansible_python_interpreter"], "-c", "import sys, ssl; print(sys.version_info >= (3, 8))"
    )
    assert version == "True\n"


def test_the_settings_layer_is_one_that_orderly_takes(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERLY_SETTINGS", str(running.folder / "settings.yaml"))
    settings = Settings()
    AwsSettings.model_validate(settings.connectors["aws"])
    RunbookSettings.model_validate(settings.connectors["runbook"])
    MailSettings.model_validate(settings.connectors["mail"])
    assert settings.environment == "dev"


@pytest.mark.parametrize("inside", ["/var/tmp", "/srv"], ids=["var", "srv"])
def test_the_state_folder_may_lie_in_a_tree_that_hosts_cover(sandbox: Any, inside: str) -> None:
    with tempfile.TemporaryDirectory(dir=inside, prefix="orderly, a:b ") as place:
        sandbox.state = Path(place, "state")
        now = sandbox.start()
        assert set(now.hosts["web-1"].values()) == {"overlay"}
        on(sandbox, "web-1", "useradd", "--create-home", "orderly-dora")
        (sandbox.state / "key").write_text("secret")
        assert run_on_host(sandbox.state, "web-1", ["cat", str(sandbox.state / "key")]).code != 0
        sandbox.kill()
        sandbox.start()
        assert "orderly-dora" in on(sandbox, "web-1", "id", "orderly-dora")
        assert sandbox.end(signal.SIGTERM) == 0


def test_a_user_with_subordinate_ids_has_hosts_too(tmp_path: Path) -> None:
    """As nobody, who gets subordinate ids in a mount namespace of the test's own: the machine's files stay."""
    nobody = pwd.getpwnam("nobody")
    for program in ("newuidmap", "setpriv"):
        if needs.program(program) is None:
            pytest.skip(f"{program} is not installed (Debian packages uidmap, util-linux)")
    python = readable_by_others()
    ids = tmp_path / "ids"
    ids.write_text("nobody:300000:65536\n")
    script = tmp_path / "script.sh"
    script.write_text(UNPRIVILEGED)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="orderly-sandbox-") as place:
        os.chown(place, nobody.pw_uid, nobody.pw_gid)
        ran = subprocess.run(
            ["unshare", "--mount", "sh", str(script), str(ids), f"{place}/state", python],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "HOME": place,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
        )
    assert ran.returncode == 0, ran.stderr
    assert "(orderly-emil)" in ran.stdout
    assert "usr is read-only" in ran.stdout
    assert "orderly-emil" not in Path("/etc/passwd").read_text()


def test_without_root_and_subordinate_ids_the_rest_runs_and_the_reason_is_said() -> None:
    python = readable_by_others()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="orderly-sandbox-") as place:
        os.chown(place, pwd.getpwnam("nobody").pw_uid, -1)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        run = f'exec "{python}" -m flows.sandbox --state "{place}/state"'
        process = subprocess.Popen([*AS_NOBODY, "sh", "-c", run], env=environment, cwd="/", stderr=subprocess.DEVNULL)
        try:
            now = wait_until("the sandbox is ready", lambda: status(Path(place, "state")), deadline=60)
            assert now is not None
            assert now.hosts == {}
            assert "subordinate ids" in str(now.no_hosts) or "newuidmap" in str(now.no_hosts)
            assert httpx.get(f"{now.endpoint_url}/orderly-sandbox/health").json()["ok"] is True
            inventory = YAML(typ="safe").load(Path(place, "state/sandbox/inventory/hosts.yml").read_text())
            assert inventory["all"]["children"]["linux_servers"] == {"hosts": {}}
        finally:
            process.terminate()
            process.wait(30)


def readable_by_others() -> str:
    """A Python of our version that a plain user may run, or a skip: ours may lie in root's home."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, "/usr/bin/python3"):
        # The shell runs it: what setpriv itself runs may still be reached with the rights of before.
        tell = 'exec "$0" -c "import sys; print(*sys.version_info[:2], sep=chr(46))"'
        asked = subprocess.run(
            [*AS_NOBODY, "sh", "-c", tell, python], capture_output=True, text=True, check=False, cwd="/"
        )
        if asked.stdout.strip() == wanted:
            return python
    pytest.skip(f"no Python {wanted} that a plain user may run")


AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")

UNPRIVILEGED = r"""
set -eu
mount --bind "$1" /etc/subuid
mount --bind "$1" /etc/subgid
exec setpriv --reuid=nobody --regid=nogroup --clear-groups "$3" - "$2" <<'PYTHON'
import signal, subprocess, sys, time
from pathlib import Path
from flows.sandbox.inspection import run_on_host, status

state = Path(sys.argv[1])

def start():
    process = subprocess.Popen([sys.executable, "-m", "flows.sandbox", "--state", str(state)])
    end = time.monotonic() + 40
    while time.monotonic() < end and process.poll() is None:
        now = status(state)
        if now is not None and now.pid == process.pid:
            assert now.no_hosts is None, now.no_hosts
            return process
        time.sleep(0.05)
    sys.exit("the sandbox did not get ready")

first = start()
made = run_on_host(state, "web-1", ["useradd", "--create-home", "orderly-emil"])
assert made.code == 0, made.errors
first.kill()
first.wait()
second = start()
print(run_on_host(state, "web-1", ["su", "orderly-emil", "-s", "/bin/sh", "-c", "id; touch ~/file"]).output)
if "Read-only" in run_on_host(state, "web-1", ["touch", "/usr/x"]).errors:
    print("usr is read-only")
# What the host's users own, only its root can delete.
run_on_host(state, "web-1", ["sh", "-c", "rm -rf /home/orderly-emil /var/mail/orderly-emil"])
second.send_signal(signal.SIGTERM)
sys.exit(second.wait())
PYTHON
"""
