"""The first process of a sandbox host: makes its namespaces and mounts, then reaps what is left there, until killed.

Run by path with a bare interpreter (`python -I -S`), so it imports the standard library only. It reads one JSON object
from its standard input (see `hosts.py`) and answers on its standard output with JSON lines: `{"map": true}` when it
needs its user ids mapped (one line back on standard input says it is done), then `{"ready": PID, "how": {...}}` with
the process id as seen outside, or `{"error": "..."}`.

Two processes: the outer one stays in the namespaces it came from (a process cannot enter a new PID namespace itself),
the inner one is process 1 of the host. Each dies with its parent (PR_SET_PDEATHSIG), and with process 1 the kernel ends
everything in the host and drops its mounts.
"""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 0x1000, 0x2000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 1
SYS_MOUNT_SETATTR = 442  # the same number on every architecture

OVERFLOW_ID = 65534
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
NOT_COPIED = (Path("/usr"),)  # too large: read-only where no overlay is to be had
KERNEL_SWITCHES = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def main() -> int:
    """Returns the exit code of the outer process."""
    wishes = json.loads(sys.stdin.readline())
    os.umask(0o022)  # a system's, whatever the sandbox was started with
    die_with_parent()
    if os.getppid() != wishes["parent"]:  # it died before the signal was armed
        return 1
    try:
        enter_namespaces(bool(wishes["user_namespace"]))
        return be_outer(wishes)
    except (OSError, ValueError) as error:
        say({"error": str(error)})
        return 1


def enter_namespaces(user_namespace: bool) -> None:
    """Leave the namespaces we came from; the PID namespace takes effect for our next child."""
    if user_namespace:
        unshare(CLONE_NEWUSER)
        say({"map": True})
        sys.stdin.readline()
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        die_with_parent()  # a change of ids takes it off
    unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC)


def be_outer(wishes: Mapping[str, Any]) -> int:
    """Start process 1, say its id as seen from here, wait for its end."""
    alive, still_alive = os.pipe()
    said, says = os.pipe()
    inner = os.fork()
    if inner == 0:
        os.close(still_alive)
        os.close(said)
        os._exit(be_inner(wishes, alive, says))
    os.close(alive)
    os.close(says)
    os.write(still_alive, b"!")
    with os.fdopen(said) as stream:
        answer = json.loads(stream.read() or '{"error": "process 1 of the host died while it set up"}')
    say({**answer, "ready": inner} if "error" not in answer else answer)
    _, status = os.waitpid(inner, 0)
    return os.waitstatus_to_exitcode(status) if "error" not in answer else 1


def be_inner(wishes: Mapping[str, Any], alive: int, says: int) -> int:
    """Process 1. Its parent may have died before the signal was armed: then the pipe is at its end."""
    die_with_parent()
    if os.read(alive, 1) != b"!":
        return 1
    try:
        how = make_world(wishes)
    except (OSError, ValueError) as error:
        os.write(says, json.dumps({"error": str(error)}).encode())
        return 1
    os.write(says, json.dumps({"how": how}).encode())
    os.close(says)
    for descriptor in (0, 1, 2):  # the sandbox's pipes and log are not the host's business
        os.close(descriptor)
    os.open("/dev/null", os.O_RDWR)
    os.dup2(0, 1)
    os.dup2(0, 2)
    reap_for_ever()
    return 0


def reap_for_ever() -> None:
    """Collect what is left to process 1. It has no handlers, so signals from within its namespace do not end it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


# --- the host's world --------------------------------------------------------------------------------------------


def make_world(wishes: Mapping[str, Any]) -> dict[str, str]:
    """Mount everything. Returns how each tree was made: overlay, or copy."""
    name = str(wishes["name"])
    state = Path(wishes["state"])
    interpreter = [Path(path) for path in wishes["keep"]]
    kept = [(path, os.open(path, os.O_PATH)) for path in interpreter if path.exists()]
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    # We stay in the host's folder, and name what is in it relatively. The folder may lie under a tree that is covered
    # in a moment, and a comma or a colon in its path would end an option of overlay.
    os.chdir(wishes["folder"])
    trees = [Path(tree) for tree in wishes["trees"] if Path(tree).is_dir() and not Path(tree).is_symlink()]
    how = {str(tree): make_tree(tree, overlays=bool(wishes["overlays"])) for tree in trees}
    private = [tree for tree in trees if how[str(tree)] != "read-only"] + private_folders()
    os.chdir("/")
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    private.append(Path("/proc"))
    for switch in KERNEL_SWITCHES:
        if Path(switch).exists():
            mount(switch, switch, None, MS_BIND)
    set_read_only("/", recursive=True)
    for tree in private:
        set_writable(str(tree))
    for path, descriptor in kept:
        show_again(path, descriptor)
    if state.exists():  # keys and records are not for the host's eyes
        mount("tmpfs", str(state), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=0555")
    check(_libc.sethostname(name.encode(), len(name)), f"the host name {name}")
    write_once(Path("/etc/hostname"), f"{name}\n")
    return how


def make_tree(tree: Path, *, overlays: bool) -> str:
    """Put a private version of a folder over it, kept in the host's folder. Once made one way, it stays so."""
    inside = str(tree).strip("/").replace("/", "-")
    upper, work, copy = Path("upper", inside), Path("work", inside), Path("copy", inside)
    if overlays and not copy.exists():
        fresh = not upper.exists()
        for layer in (upper, work):
            layer.mkdir(parents=True, exist_ok=True)
        if fresh:
            like(tree, upper)
        try:
            mount("overlay", str(tree), "overlay", 0, f"lowerdir={tree},upperdir={upper},workdir={work}")
        except OSError as error:
            if not fresh:
                raise OSError(
                    error.errno, f"{tree} of this host was an overlay before, and cannot be now: {error.strerror}"
                ) from error
            shutil.rmtree(upper)
            shutil.rmtree(work)
        else:
            return "overlay"
    if tree in NOT_COPIED:
        return "read-only"
    if not copy.exists():
        fill_copy(tree, copy)
    mount(str(copy), str(tree), None, MS_BIND)
    return "copy"


def fill_copy(tree: Path, copy: Path) -> None:
    """Where no overlay is to be had: all of /etc that may be read, and otherwise a bare folder tree."""
    scratch = copy.with_name(f"{copy.name}.making")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    like(tree, scratch)
    if tree == Path("/etc"):
        copy_readable(tree, scratch)
        complete_accounts(scratch)
    elif tree == Path("/var"):
        for inside in ("backups", "cache", "lib", "local", "log", "mail", "opt", "spool", "tmp"):
            (scratch / inside).mkdir()
        (scratch / "tmp").chmod(0o1777)
        (scratch / "run").symlink_to("/run")
        (scratch / "lock").symlink_to("/run/lock")
    scratch.rename(copy)


def copy_readable(source: Path, target: Path) -> None:
    """Copy files, folders and links; leave out what may not be read."""
    for entry in os.scandir(source):
        to = target / entry.name
        with contextlib.suppress(PermissionError):
            if entry.is_symlink():
                to.symlink_to(Path(entry.path).readlink())
            elif entry.is_dir():
                to.mkdir()
                copy_readable(Path(entry.path), to)
                like(Path(entry.path), to)
            elif entry.is_file():
                shutil.copy2(entry.path, to)


def complete_accounts(etc: Path) -> None:
    """/etc/shadow and /etc/gshadow may not be read by all: make ones in which nobody has a password."""
    for names, secret, fields in (("passwd", "shadow", "*:::::::"), ("group", "gshadow", "*::")):
        if (etc / secret).exists() or not (etc / names).exists():
            continue
        lines = (etc / names).read_text(encoding="utf-8", errors="replace").splitlines()
        text = "".join(f"{line.split(':')[0]}:{fields}\n" for line in lines if line)
        (etc / secret).write_text(text, encoding="utf-8")
        (etc / secret).chmod(0o640)


def private_folders() -> list[Path]:
    """Folders that start empty with each start: /tmp, /run, /dev, /dev/shm. Returns them."""
    mount(str(make_devices()), "/dev", None, MS_MOVE)  # first: the state folder may lie under /tmp
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")  # noqa: S108 - the host's own, nothing is guessed
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    Path("/run/lock").mkdir(mode=0o1777)
    return [Path("/tmp"), Path("/run"), Path("/dev"), Path("/dev/pts"), Path("/dev/shm")]  # noqa: S108 - as above


def make_devices() -> Path:
    """A /dev without disks: a host is root, and must not reach past its overlays."""
    devices = Path("dev")
    devices.mkdir(exist_ok=True)
    mount("tmpfs", str(devices), "tmpfs", MS_NOSUID, "mode=0755")
    for name in DEVICES:
        (devices / name).touch()
        mount(f"/dev/{name}", str(devices / name), None, MS_BIND)
    for name in ("pts", "shm"):
        (devices / name).mkdir()
    mount("devpts", str(devices / "pts"), "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    mount("tmpfs", str(devices / "shm"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    (devices / "ptmx").symlink_to("pts/ptmx")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (devices / name).symlink_to(f"/proc/self/fd{target}")
    return devices


def show_again(path: Path, descriptor: int) -> None:
    """Python must be seen in the host even where its folder was covered by a private one."""
    try:
        if path.exists() and os.path.samestat(path.stat(), os.stat(descriptor)):
            return
        if not path.exists():
            path.mkdir(parents=True)
        elif any(path.iterdir()):  # an overlay shows it (with inode numbers of its own)
            return
        mount(f"/proc/self/fd/{descriptor}", str(path), None, MS_BIND)
        set_read_only(str(path), recursive=False)
    finally:
        os.close(descriptor)


def like(source: Path, target: Path) -> None:
    """Give a folder the owner and mode of another, as far as ids reach."""
    facts = source.stat()
    if facts.st_uid == OVERFLOW_ID:  # in a user namespace: an owner it does not know
        target.chmod(stat.S_IMODE(facts.st_mode))
        return
    with contextlib.suppress(OSError):  # an owner without an id here: ours will do
        os.chown(target, facts.st_uid, facts.st_gid)
    target.chmod(stat.S_IMODE(facts.st_mode))


def write_once(path: Path, text: str) -> None:
    """Write a small file unless it says that already (a write would copy it up at each start)."""
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == text:
            return
    path.write_text(text, encoding="utf-8")


# --- the kernel --------------------------------------------------------------------------------------------------


def die_with_parent() -> None:
    """End with SIGKILL when the thread that started us ends."""
    check(_libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl")


def unshare(flags: int) -> None:
    """Raises OSError in words: it is the reason why there are no hosts."""
    check(_libc.unshare(flags), "making namespaces")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Attach a filesystem. Raises OSError in words."""
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, options or None)]
    code = _libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3])
    check(code, f"mounting {kind or source or 'private'} at {target}")


def set_read_only(path: str, *, recursive: bool) -> None:
    """Make a mount, or all under it, read-only in this namespace."""
    _mount_setattr(path, _MountAttributes(set=MOUNT_ATTR_RDONLY), AT_RECURSIVE if recursive else 0)


def set_writable(path: str) -> None:
    """Undo that for one mount."""
    _mount_setattr(path, _MountAttributes(clear=MOUNT_ATTR_RDONLY), 0)


def _mount_setattr(path: str, attributes: _MountAttributes, flags: int) -> None:
    code = _libc.syscall(
        SYS_MOUNT_SETATTR,
        AT_FDCWD,
        os.fsencode(path),
        flags,
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    check(code, f"mount_setattr of {path} (Linux 5.12 or later)")


def check(code: int, what: str) -> None:
    """Raises OSError when a call of the C library failed."""
    if code < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {errno.errorcode.get(number, number)}, {os.strerror(number)}")


def say(line: Mapping[str, Any]) -> None:
    """One line to the sandbox."""
    os.write(1, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
