"""One model, certified: its examples run undisturbed, and then once for each boundary, killed or disturbed there."""

import ctypes
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from connectors.registry import ConnectorContext, Registry
from flows.certification.boundaries import Boundary, all_boundaries, passed
from flows.certification.targets import Facts, Targets, differences, surplus, volatile_paths
from flows.certification.worker import PASSED, WORDS, Findings, Job, Surroundings, in_process, publish, work
from flows.errors import OrderlyError
from flows.examples.driving import Subject
from flows.examples.sandbox import Estate
from flows.examples.worlds import one_by_one, private_folder
from flows.records.states import RequestState
from flows.settings import Settings
from request_models.plan import Plan
from request_models.schema import ExampleDocument

READ_TIMEOUT = 5.0
"""Seconds after which an answer of the AWS endpoint counts as not coming: real ones take some hundredths."""

_GONE_WITHIN = 5.0
_PR_SET_CHILD_SUBREAPER = 36


class CannotCertify(OrderlyError):
    """An undisturbed run broke, or two of them did not pass the same boundaries, so that none can be named."""


class Outcome(StrEnum):
    """How a run ended."""

    SURVIVED = "survived"
    HELD = "held, as it must"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """What came of the run for one boundary. `name` says how to have it again: `orderly certify MODEL --only NAME`."""

    name: str
    boundary: Boundary
    outcome: Outcome
    problems: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Way:
    """An example of a model, there or `back`: the boundaries that it has, and what came of those that were tried."""

    number: int
    example: str
    back: bool
    boundaries: tuple[Boundary, ...]

    def name(self, boundary: Boundary) -> str:
        """The name of one of its boundaries, among all of the model."""
        return f"{self.number}/{boundary.name}"


@dataclass(frozen=True)
class _Undisturbed:
    """What comes of an example when nothing happens: what our records say, what is at the targets."""

    findings: Findings
    facts: Facts


class Certifier:
    """Runs examples in a sandbox. One a process, in its main thread; it forks, so no other thread may run."""

    def __init__(self, around: Surroundings, targets: Targets, folder: Path) -> None:
        self._around = around
        self._targets = targets
        self._folder = folder
        self._runs = 0

    def ways(self, plan: Plan, number: int, example: ExampleDocument) -> Iterator[tuple[Way, "Trial"]]:
        """The ways of an example, there and, if it is fulfilled and can be undone, back; each is run undisturbed.

        Raises CannotCertify.
        """
        subject = Subject(one_by_one(plan), {})
        there, back = (Trial(self, subject, example, back=way) for way in (False, True))
        undoable, fulfilled = any(step.undo for step in plan.steps), False
        for _ in range(2):  # what differs between the two is noise
            job = there.begun()
            fulfilled = there.learn(job).state == RequestState.FULFILLED
            if undoable and fulfilled:
                (job.folder / PASSED).unlink()
                back.learn(replace(job, back=True))
            shutil.rmtree(job.folder)
        for trial in (there, back) if undoable and fulfilled else (there,):
            boundaries = tuple(all_boundaries(trial.boundaries))
            yield Way(number, example.name, trial is back, boundaries), trial

    def fresh_folder(self) -> Path:
        """A folder for one run."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir()
        return folder

    def renew(self, plan: Plan) -> None:
        """Have the targets as if nothing had ever been done."""
        self._targets.renew(hosts=any(call.hosts is not None for call in plan.calls))

    def facts(self, request_id: str) -> Facts:
        """What is at the targets."""
        return self._targets.facts(request_id)

    def publish(self, job: Job) -> None:
        """Make the records of a run."""
        code = in_process(lambda: publish(job, self._around), job.folder / WORDS)
        if code != 0:
            raise CannotCertify(f"The records of a run cannot be made: {_last_words(job.folder)}")

    def work(self, job: Job) -> int:
        """Have a process do a job; how it ended."""
        return in_process(lambda: work(job, self._around), job.folder / WORDS)


class Trial:
    """One way of an example: run undisturbed, then run for a boundary as often as asked."""

    def __init__(self, certifier: Certifier, subject: Subject, example: ExampleDocument, *, back: bool) -> None:
        self._certifier = certifier
        self._subject = subject
        self._example = example
        self._back = back
        self._template: Path | None = None
        self._learnt: list[_Undisturbed] = []
        self.boundaries: list[Boundary] = []

    def learn(self, job: Job) -> Findings:
        """Run it undisturbed: what comes of it, and the boundaries that it passes. Raises CannotCertify."""
        code = self._certifier.work(job)
        findings = Findings.read(job.folder)
        if code != 0 or findings is None:
            raise CannotCertify(f"An undisturbed run of {self._example.name!r} failed: {_last_words(job.folder)}")
        way = "undo/" if self._back else ""
        seen = [Boundary(f"{way}{one.name}", one.what) for one in passed(job.folder / PASSED)]
        if self._learnt and seen != self.boundaries:
            apart = sorted({one.name for one in seen} ^ {one.name for one in self.boundaries})
            raise CannotCertify(
                f"Two undisturbed runs of {self._example.name!r} pass other boundaries ({', '.join(apart[:5])}), so"
                " that none can be named. Is the machine too busy, or does the model go another way each time?"
            )
        self.boundaries = seen
        self._learnt.append(_Undisturbed(findings, self._certifier.facts(findings.request)))
        return findings

    def run_for(self, name: str, boundary: Boundary) -> Verdict:
        """Run it to the boundary, where the process is killed or the world disturbed; go on; judge what there is."""
        began = time.monotonic()
        job = self.begun()
        known = descendants(os.getpid())
        last = replace(job, retries=not boundary.kills)
        problems: list[str] = []
        if boundary.kills:
            code = self._certifier.work(replace(job, at=boundary.name.removeprefix("undo/")))
            if code != -signal.SIGKILL:
                problems.append(f"the boundary was not reached (exit code {code}): {_last_words(job.folder)}")
        else:
            last = replace(last, at=boundary.name.removeprefix("undo/"))
        code = self._certifier.work(last)
        findings = Findings.read(job.folder)
        if code != 0 or findings is None:
            problems.append(f"going on failed (exit code {code}): {_last_words(job.folder)}")
            outcome = Outcome.FAILED
        else:
            if not boundary.kills and not any(one.name == last.at for one in passed(job.folder / PASSED)):
                problems.append("the call to be disturbed was not made")
            outcome, judged = self._judged(findings)
            problems += judged
        problems += [f"a process is left: {process}" for process in left_of(known)]
        shutil.rmtree(job.folder)
        outcome = Outcome.FAILED if problems else outcome
        return Verdict(name, boundary, outcome, tuple(problems), time.monotonic() - began)

    def _judged(self, found: Findings) -> tuple[Outcome, list[str]]:
        expected, other = self._learnt
        facts = self._certifier.facts(found.request)
        problems = list(found.amiss)
        if found.state == RequestState.ON_HOLD and found.must_hold:
            return Outcome.HELD, problems + surplus(expected.facts, facts)
        if found.state != expected.findings.state:
            problems.append(f"it is {found.state}, not {expected.findings.state}: {found.reason}")
        if found.steps != expected.findings.steps:
            apart = set(found.steps.items()) ^ set(expected.findings.steps.items())
            problems.append(f"its steps ended otherwise: {sorted(apart)}")
        if found.left_over != expected.findings.left_over:
            problems.append(f"left over: {found.left_over}, undisturbed {expected.findings.left_over}")
        return Outcome.SURVIVED, problems + differences(
            expected.facts, facts, volatile_paths(expected.facts, other.facts)
        )

    def begun(self) -> Job:
        """The targets as new, and records with the model published; for the way back, the way there gone."""
        plan = self._subject.plan
        self._certifier.renew(plan)
        folder = self._certifier.fresh_folder()
        job = Job(folder, self._subject, self._example, back=self._back)
        if self._template is None:
            self._template = self._certifier.fresh_folder()
            self._certifier.publish(replace(job, folder=self._template))
        shutil.copytree(self._template, folder, dirs_exist_ok=True)
        if self._back:
            code = self._certifier.work(replace(job, back=False))
            if code != 0:
                raise CannotCertify(f"An undisturbed run of {self._example.name!r} failed: {_last_words(folder)}")
            (folder / PASSED).unlink()
        return job


@contextmanager
def certifier(estate: Estate) -> Iterator[Certifier]:
    """A certifier in a running sandbox."""
    if sys.platform == "linux":  # what a killed worker leaves behind is seen here, and not lost to init
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    settings = estate.settings
    upstream = str(settings.connectors["aws"]["endpoint_url"])
    with private_folder() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        targets = Targets(settings.state, upstream, with_hosts=estate.no_hosts is None)
        targets.prepare()
        try:
            own = _pointed(settings, f"http://127.0.0.1:{listener.getsockname()[1]}", targets)
            context = ConnectorContext(own.state, own.content, own.environment)
            with Registry.discover(own.connectors, context) as registry:
                yield Certifier(Surroundings(registry, own, listener, upstream), targets, folder)
        finally:
            targets.end()


def chosen(names: Sequence[str], sample: int | None, seed: int) -> frozenset[str]:
    """Which of the boundaries to try: all, or so many drawn by the seed."""
    if sample is None or sample >= len(names):
        return frozenset(names)
    return frozenset(random.Random(seed).sample(sorted(names), sample))  # noqa: S311 - to be had again by the seed


def descendants(of: int) -> frozenset[int]:
    """The processes below one, ended ones left out."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state not in {"Z", "X"}:
                parents[int(entry.name)] = int(parent)
    found: set[int] = set()
    frontier = {of}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found |= frontier
    return frozenset(found)


def left_of(known: frozenset[int]) -> list[str]:
    """The processes that were not there before, and do not go away in time. They are ended."""
    deadline = time.monotonic() + _GONE_WITHIN
    while (left := descendants(os.getpid()) - known) and time.monotonic() < deadline:
        time.sleep(0.05)
    told = []
    for process in sorted(left):
        with suppress(OSError):
            told.append(Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            os.kill(process, signal.SIGKILL)
    return told


def _pointed(settings: Settings, endpoint: str, targets: Targets) -> Settings:
    aws = {**settings.connectors["aws"], "endpoint_url": endpoint, "read_timeout": READ_TIMEOUT}
    runbook = {**settings.connectors.get("runbook", {}), "inventory": [str(targets.inventory)]}
    return settings.model_copy(update={"connectors": {**settings.connectors, "aws": aws, "runbook": runbook}})


def _last_words(folder: Path) -> str:
    try:
        return (folder / WORDS).read_text().strip().splitlines()[-1]
    except (OSError, IndexError):
        return "it said nothing"
