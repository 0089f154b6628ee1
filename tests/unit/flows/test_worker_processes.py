"""How a worker's processes are confined, adopted, and known to be out of date."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from flows.worker.confinement import Limits
from flows.worker.sources import fingerprint

CONFINED = """
import json, resource, sys
from flows.worker.confinement import Limits, confine
confine(Limits.from_json(json.loads(sys.argv[1])))
print(json.dumps([resource.getrlimit(resource.RLIMIT_DATA), resource.getrlimit(resource.RLIMIT_CPU),
                  int(open('/proc/self/oom_score_adj').read())]))
"""


def confined(limits: Limits, before: int | None = None) -> list[object]:
    def lower() -> None:
        if before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (before, before))

    ran = subprocess.run(
        [sys.executable, "-c", CONFINED, json.dumps(limits.as_json())],
        check=True,
        capture_output=True,
        preexec_fn=lower,
    )
    found: list[object] = json.loads(ran.stdout)
    return found


def test_a_process_has_the_limits_it_is_given() -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    data, cpu, score = confined(Limits(memory_mib=512, cpu_seconds=100, oom_score=200))
    assert (data, cpu) == ([512 * 1024 * 1024] * 2, [100, 100])
    assert score in {min(1000, own + 200), own}  # some containers let nobody change it


def test_a_limit_above_the_operator_s_own_is_left_at_that() -> None:
    operators = 1024 * 1024 * 1024
    assert confined(Limits(memory_mib=4096), operators)[0] == [operators, operators]


def test_without_limits_nothing_is_limited() -> None:
    assert confined(Limits())[1] == list(resource.getrlimit(resource.RLIMIT_CPU))


ADOPTING = """
import json, os, subprocess, sys, time
from uuid import UUID
from flows.worker.adopted import Adopted, _children, _is_zombie
now = 0.0
adopted = Adopted(lambda: now)
ours = subprocess.Popen(["sleep", "600"])
adopted.known.add(ours.pid)
run, other = UUID(sys.argv[1]), UUID(sys.argv[2])
leave = '''
import os, subprocess
left = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL)
os.write(1, str(left.pid).encode())
'''
def left_by(flow_run):
    environment = {**os.environ, "PREFECT__FLOW_RUN_ID": str(flow_run)}
    return int(subprocess.run([sys.executable, "-c", leave], env=environment, stdout=subprocess.PIPE).stdout)
orphan, stranger = left_by(run), left_by(other)
def alive(pid):
    return os.path.exists(f"/proc/{pid}") and not _is_zombie(pid)
said = [alive(orphan), alive(stranger)]
adopted.run_ended(run)
now = 10.0
adopted.look()
said.append(alive(orphan))
now = 20.0
adopted.look()
while alive(orphan):
    time.sleep(0.01)
said.append(alive(stranger))
adopted.look()
now = 30.0
adopted.look()
said += [orphan in list(_children()), alive(ours.pid)]
ours.kill(); ours.wait()
os.kill(stranger, 9)
print(json.dumps(said))
"""


def test_what_an_ended_run_left_is_killed_after_a_while_and_reaped_and_nothing_else_is() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ADOPTING, str(uuid4()), str(uuid4())], check=True, capture_output=True, timeout=60
    )
    assert json.loads(ran.stdout) == [True, True, True, True, False, True]


def test_the_fingerprint_follows_what_a_process_would_load(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("a: 1")
    content = tmp_path / "content"
    (content / "extensions").mkdir(parents=True)
    (content / "models").mkdir()
    seen = [fingerprint([content], [settings])]
    assert fingerprint([content], [settings]) == seen[0]

    def changed() -> bool:
        seen.append(fingerprint([content], [settings]))
        return seen[-1] != seen[-2]

    extension = content / "extensions" / "one.py"
    extension.write_text("x = 1")
    assert changed()
    os.utime(extension, ns=(1, 1))
    assert changed()
    extension.unlink()
    assert changed()
    settings.write_text("a: 22")
    assert changed()
    (content / "models" / "model.yaml").write_text("model: x")
    assert not changed()


@pytest.mark.timeout(120)
def test_a_forked_run_tells_its_exit_code_or_signal(tmp_path: Path) -> None:
    """Without a Prefect that answers, a run ends with 1; killed, with the signal; the parent forks the next."""
    program = tmp_path / "program.py"
    program.write_text(FORKING)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "ORDERLY"))}
    ran = subprocess.run(
        [sys.executable, "-I", str(program), str(tmp_path)],
        check=True,
        capture_output=True,
        timeout=110,
        env={
            **environment,
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "PREFECT_CLIENT_MAX_RETRIES": "0",
            "ORDERLY_STATE": str(tmp_path / "state"),
        },
    )
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["codes"] == [1, 1, -signal.SIGKILL]
    assert said["children of the worker"] == [True] * 3
    assert said["same parent"]
    assert said["too much for one message"] is None
    assert said["after the parent was killed"] == 1


FORKING = """
import asyncio, json, os, signal, sys, uuid
from pathlib import Path
from flows.worker.adopted import Adopted
from flows.worker.confinement import Limits
from flows.worker.warm_runs import WarmRuns

async def main(folder):
    assert WarmRuns.are_possible()
    clock = [0.0]
    warm = WarmRuns(Adopted(), Limits(oom_score=0), lambda: "same", lambda: dict(os.environ), lambda: clock[0])
    warm.look()
    said = {"codes": [], "children of the worker": []}
    parents = set()
    async def run(end=None):
        clock[0] += 10
        forked = await warm.fork(uuid.uuid4(), dict(os.environ), folder)
        parents.add(warm._parent.process.pid)
        stat = Path(f"/proc/{forked.pid}/stat").read_text().rpartition(")")[2].split()
        said["children of the worker"].append(int(stat[1]) == os.getpid())
        if end is not None:
            os.kill(forked.pid, end)
        return await forked.wait()
    said["codes"] = [await run(), await run(), await run(signal.SIGKILL)]
    said["same parent"] = len(parents) == 1
    long = {**os.environ, "LONG": "x" * 200_000}
    said["too much for one message"] = await warm.fork(uuid.uuid4(), long, folder)
    os.kill(parents.pop(), signal.SIGKILL)
    said["children of the worker"] = said["children of the worker"][:3]
    while warm._parent.is_alive:
        await asyncio.sleep(0.01)
    said["after the parent was killed"] = await run()
    said["children of the worker"] = said["children of the worker"][:3]
    warm.close()
    print(json.dumps(said))

asyncio.run(main(Path(sys.argv[1])))
"""
