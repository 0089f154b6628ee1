"""The warm parent: a process that has imported all that a flow run needs, and forks the process of each run.

`python -I -m flows.worker.warm_parent FD WORKER-PID`, FD being one end of a socket to the worker. It runs no flow, and
holds no event loop, thread, or socket but that one; it looks whether that is so before it says that it is ready, and
counts its threads before each fork. Where it finds anything else it forks nothing, and the worker spawns.

It keeps nothing of the runs: a run is forked twice, so that the kernel gives it to the worker (a child subreaper),
which waits for it as for any child. Killing the parent, or replacing it after a change of the code, ends no run.
"""

import gc
import importlib
import json
import os
import re
import signal
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from flows.worker.confinement import Limits, confine, die_with, name_process

READY = b"ready"
GO = b"go"
LONGEST_MESSAGE = 128 * 1024
"""Bytes; what one message to the parent may hold."""

_PRELOADED = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.artifacts",
    "prefect.events.clients",
    "prefect._internal.control_listener",
    "flows.lowering",
    "flows.lifecycle",
    "flows.records.keyring",
    "flows.records.records",
    "flows.worker.engine",
    "flows.worker.lean_engine",
    # What these import when they are first used.
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "encodings.idna",
    "prefect.utilities.visualization",
    "pydantic.v1",
    "rich._emoji_codes",
    "sqlite3",
    "stringprep",
)
_USES = re.compile(r"\buses:\s*[\"']?([a-z0-9_-]+(?:\.[a-z0-9_-]+)+)")
_ADOPTED_WITHIN_SECONDS = 10.0


class Unfit(Exception):
    """Here is something that a fork must not inherit."""


def main(arguments: list[str]) -> None:
    """Load everything, say so, and fork a run for each message, until the worker closes the socket."""
    worker = socket.socket(fileno=int(arguments[0]))
    worker_pid = int(arguments[1])
    die_with(worker_pid)
    name_process("orderly-warm")
    try:
        _preload()
        _check(worker)
    except Unfit as unfit:
        worker.send(str(unfit).encode())
        return
    gc.collect()
    gc.freeze()  # the collector would write to, and so copy, every page in every run
    worker.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(worker, LONGEST_MESSAGE, 1)
        if not message:
            return
        with socket.socket(fileno=descriptors[0]) as answers:
            _fork_run(json.loads(message), answers, worker, worker_pid)


def _preload() -> None:
    for module in _PRELOADED:
        importlib.import_module(module)
    from flows.settings import load_settings  # noqa: PLC0415 - loading is what this is about
    from flows.wiring import Application, keep_registry  # noqa: PLC0415 - see above

    # Finding the connectors imports them, and the extensions of the user's with them.
    settings = load_settings()
    if settings.records_url.startswith("postgresql"):
        importlib.import_module("psycopg")
    keep_registry(settings).prepare(_actions_used(Application.open(settings).model_folders))


def _actions_used(folders: Iterable[Path]) -> list[str]:
    """The actions that the models use, those used most first; read roughly, since a name too many does no harm."""
    counted: Counter[str] = Counter()
    for file in (file for folder in folders for file in sorted(folder.glob("*.yaml"))):
        with suppress(OSError):
            counted.update(_USES.findall(file.read_text(encoding="utf-8", errors="replace")))
    return [name for name, _ in counted.most_common()]


def _check(worker: socket.socket) -> None:
    threads = _threads()
    if threads != 1:
        raise Unfit(f"it has {threads} threads; something that was imported, an extension perhaps, started some")
    held = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            held[int(entry.name)] = str(entry.readlink())
    for descriptor, target in held.items():
        if descriptor > 2 and descriptor != worker.fileno() and target.startswith(("socket:", "anon_inode:", "pipe:")):
            raise Unfit(f"it holds {target}; something that was imported, an extension perhaps, opened it")


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def _fork_run(job: dict[str, Any], answers: socket.socket, worker: socket.socket, worker_pid: int) -> None:
    threads = _threads()
    if threads != 1:
        with suppress(OSError):
            answers.send(f"the warm parent has {threads} threads".encode())
        return
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    # From here on nothing may return or raise into the parent's loop.
    try:
        if os.fork():
            os._exit(0)
        _run(job, answers, worker, worker_pid)
    finally:
        os._exit(1)


def _run(job: dict[str, Any], answers: socket.socket, worker: socket.socket, worker_pid: int) -> NoReturn:
    """Be the process of a flow run, in the place of a spawned interpreter."""
    worker.close()
    os.setsid()
    _wait_for_adoption(worker_pid)
    die_with(worker_pid)
    flow_run_id = UUID(job["flow_run"])
    name_process(f"run-{flow_run_id.hex}")
    answers.send(str(os.getpid()).encode())
    if answers.recv(len(GO)) != GO:
        os._exit(0)  # the worker gave up on this fork, and spawns
    answers.close()

    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    confine(Limits.from_json(job["limits"]))
    sys.argv = ["flows.worker.engine", str(flow_run_id), str(worker_pid)]
    gc.enable()
    _end(_exit_code(flow_run_id))


def _wait_for_adoption(worker_pid: int) -> None:
    deadline = time.monotonic() + _ADOPTED_WITHIN_SECONDS
    while os.getppid() != worker_pid:
        if time.monotonic() > deadline:
            os._exit(1)
        time.sleep(0.0005)


def _exit_code(flow_run_id: UUID) -> int:
    """Run the flow; the exit code that an interpreter would end with."""
    from flows.worker.engine import run  # noqa: PLC0415 - imported long ago, by the parent

    try:
        run(flow_run_id)
    except SystemExit as wish:
        if wish.code is None or isinstance(wish.code, int):
            return wish.code or 0
        print(wish.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BaseException:  # noqa: BLE001 - nothing is above us but the parent's loop
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End as an interpreter ends, but for taking a hundred thousand objects apart."""
    import atexit  # noqa: PLC0415 - only here
    import threading  # noqa: PLC0415 - only here

    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing ends its forks
    atexit._run_exitfuncs()  # noqa: SLF001 - see above
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
