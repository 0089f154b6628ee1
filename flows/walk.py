"""The way through a plan: which steps run, in which order, how many at once. It calls no action and knows no Prefect.

What a group's condition or a loop's list gave is recorded once, so that a retry goes the same way (design section 3:
evaluated once). Done steps are passed over by their records; items and branches that are done stay done (invariant 6).
"""

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from flows.decisions import Decision, Decisions
from flows.frames import ROOT, Frame, Frames
from flows.records.states import StepState
from flows.telling import Teller
from request_models.expressions import ExpressionError, evaluate
from request_models.json_values import JsonValue, digest_of
from request_models.plan import Block, Expression, Group, Loop, OnFailure, Parallel, Plan, Step, steps_of


@dataclass(frozen=True)
class Pause:
    """Why a step cannot go on now, and when it can by itself; None: something must come first.

    `decision`: what must come first is somebody's approval.
    """

    why: str
    until: datetime | None = None
    decision: bool = False


@dataclass(frozen=True)
class StepReport:
    """How a step stands. `cached`: nothing was called, the outcome was on record. `message` is for the operator.

    `label` is how operators call it: `join[anna].add`. With `pause` it has not come to an outcome yet.
    """

    path: str
    state: StepState
    cached: bool = False
    outcome: str | None = None
    message: str = ""
    label: str = ""
    pause: Pause | None = None

    @property
    def name(self) -> str:
        """The step as people call it."""
        return self.label or self.path


@dataclass(frozen=True)
class Unit:
    """One step, in one frame: what is run, recorded and shown by itself."""

    step: Step
    frame: Frame = ROOT

    @property
    def label(self) -> str:
        """How operators call it: `create`, `join[anna].add`; a loop on a step is `join[anna]`."""
        if self.step.loop is not None:
            return self.frame.label.removesuffix(".")
        return f"{self.frame.label}{self.step.path}"


@dataclass(frozen=True)
class Passage:
    """How far a part of the plan came: everything in `failures` failed for good, everything in `pauses` waits."""

    failures: tuple[StepReport, ...] = ()
    pauses: tuple[Pause, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether what follows may run."""
        return not self.failures and not self.pauses

    def __or__(self, other: "Passage") -> "Passage":
        return Passage(self.failures + other.failures, self.pauses + other.pauses)


PASSED: Final = Passage()
STOPPED = Passage(pauses=(Pause("it is to stop"),))

TakeBack = Callable[[Block, Frame, str], tuple[Passage, str]]
"""Takes back what a block did, in the item of a loop it stands in; its place in the plan is given too.

Gives how far that came, and in words what was left.
"""


Gate = Callable[[Block, Frame], Passage]
"""Says of a block, in the item of a loop it stands in, whether it may be begun."""


class Walk:
    """Goes through a plan once, from wherever its records stand.

    `run` brings a step to its outcome, or reports the one on record, and tells the frames of it. `take_back` is for
    blocks with `on_failure: undo`. `stop` is set when nothing new may be begun. `most_at_once` bounds the branches that
    run at the same time. `gate` says whether a block may be begun.
    """

    def __init__(
        self,
        plan: Plan,
        frames: Frames,
        decisions: Decisions,
        run: Callable[[Unit], StepReport],
        take_back: TakeBack,
        stop: threading.Event,
        most_at_once: int = 8,
        gate: Gate | None = None,
    ) -> None:
        self._plan = plan
        self._frames = frames
        self._decisions = decisions
        self._teller = Teller(frames, decisions)
        self._run = run
        self._take_back = take_back
        self._stop = stop
        self._most_at_once = most_at_once
        self._gate = gate

    def whole(self) -> Passage:
        """Everything the plan does."""
        return self._sequence(self._plan.blocks, ROOT, "")

    def _sequence(self, blocks: Sequence[Block], frame: Frame, place: str) -> Passage:
        for index, block in enumerate(blocks):
            passage = self._block(block, frame, f"{place}/{index}")
            if not passage.goes_on:
                return passage
        return PASSED

    def _block(self, block: Block, frame: Frame, place: str) -> Passage:
        recorded = self._decisions.recorded(place, frame.key)
        if recorded is not None and recorded.ended is not None:
            self._teller.ended(block, frame, place, recorded)
            return PASSED
        failed = self._decisions.recorded(f"{place}/undo", frame.key)
        if failed is not None:
            return self._taken_back(block, frame, place, failed.message)
        try:
            passage = PASSED if self._gate is None else self._gate(block, frame)
            if passage.goes_on:
                passage = self._entered(block, frame, place)
        except ExpressionError as error:
            report = StepReport(block.path or place, StepState.FAILED, message=str(error), label=block.path)
            passage = Passage((report,))
        if not passage.failures or passage.pauses or self._stop.is_set():
            return passage
        match block.on_failure:
            case OnFailure.CONTINUE:
                return self._went_on(block, frame, place, passage)
            case OnFailure.UNDO:
                why = _said(passage)
                self._decisions.record(f"{place}/undo", frame.key, Decision(message=why))
                return self._taken_back(block, frame, place, why)
            case OnFailure.HOLD:
                return passage

    def _entered(self, block: Block, frame: Frame, place: str) -> Passage:
        match block:
            case Step():
                if block.loop is None:
                    return self._step(Unit(block, frame))
                once = lambda item, _: self._step(Unit(block, item))  # noqa: E731 - one line beats a name
                return self._loop(block, block.loop, frame, place, once)
            case Group():
                return self._group(block, frame, place)
            case Parallel():
                return self._parallel(block, frame, place)

    def _step(self, unit: Unit) -> Passage:
        return STOPPED if self._stop.is_set() else passage_of(self._run(unit))

    def _group(self, group: Group, frame: Frame, place: str) -> Passage:
        if not self._holds(group.when, frame, place):
            passage = self._sequence(group.alternative, frame, f"{place}/else")
            if passage.goes_on:
                self._end(group, frame, place, StepState.SKIPPED)
            return passage
        if group.loop is not None:
            return self._loop(group, group.loop, frame, place, lambda item, at: self._sequence(group.blocks, item, at))
        passage = self._sequence(group.blocks, frame, f"{place}/steps")
        if passage.goes_on:
            self._end(group, frame, place, StepState.DONE)
        return passage

    def _parallel(self, parallel: Parallel, frame: Frame, place: str) -> Passage:
        if not self._holds(parallel.when, frame, place):
            self._end(parallel, frame, place, StepState.SKIPPED)
            return PASSED
        works = [
            self._in_context(partial(self._block, branch, frame, f"{place}/{number}"))
            for number, branch in enumerate(parallel.branches)
        ]
        # All reach an outcome, whatever becomes of the others (invariant 7).
        passage = _joined(_at_once(works, self._most_at_once, lambda _: True))
        if passage.goes_on:
            self._end(parallel, frame, place, StepState.DONE)
        return passage

    def _loop(
        self, block: Step | Group, loop: Loop, frame: Frame, place: str, body: Callable[[Frame, str], Passage]
    ) -> Passage:
        """Each item, so many at once; without `continue` no new one is begun once one has failed."""
        decision = self._decisions.recorded(f"{place}/items", frame.key) or self._listed(loop, frame, place)
        inner = [frame.inner(block.path, key, item) for key, item in decision.items]
        goes_on = block.on_failure is OnFailure.CONTINUE
        works = [self._in_context(partial(self._item, one, place, body, goes_on)) for one in inner]
        passage = _joined(_at_once(works, loop.concurrency, lambda done: goes_on or not done.failures))
        if not passage.pauses and (goes_on or not passage.failures):
            self._teller.loop(block, frame, inner, place, StepState.FAILED if passage.failures else StepState.DONE)
        if passage.goes_on:
            self._end(block, frame, place, StepState.DONE)
        return passage

    def _item(self, frame: Frame, place: str, body: Callable[[Frame, str], Passage], goes_on: bool) -> Passage:
        """One item of a loop; one that has come to its end is not gone through again."""
        recorded = self._decisions.recorded(f"{place}/item", frame.key)
        if recorded is not None and recorded.ended is not None:
            return _ended_before(frame, recorded)
        passage = body(frame, f"{place}/item")
        if passage.pauses or (passage.failures and not goes_on):
            return passage
        self._decisions.record(f"{place}/item", frame.key, Decision())
        state = StepState.FAILED if passage.failures else StepState.DONE
        self._decisions.ended(f"{place}/item", frame.key, state, _said(passage))
        return passage

    def _listed(self, loop: Loop, frame: Frame, place: str) -> Decision:
        items = items_of(loop, self._frames.scope(frame))
        return self._decisions.record(f"{place}/items", frame.key, Decision(items=items))

    def _holds(self, when: Expression | None, frame: Frame, place: str) -> bool:
        """What a block's condition gave: on record, or evaluated now and recorded."""
        if when is None:
            return True
        recorded = self._decisions.recorded(place, frame.key)
        if recorded is None:
            value = evaluate(when, self._frames.scope(frame))
            if not isinstance(value, bool):
                raise ExpressionError("a condition must give true or false", when.source)
            recorded = self._decisions.record(place, frame.key, Decision(when=value))
        return recorded.when is True

    # how blocks end

    def _end(self, block: Block, frame: Frame, place: str, state: StepState) -> None:
        self._decisions.record(place, frame.key, Decision())
        self._decisions.ended(place, frame.key, state)
        self._teller.unreached(block, frame, state)

    def _went_on(self, block: Block, frame: Frame, place: str, passage: Passage) -> Passage:
        """A failure that the model goes on without: recorded as the block's end, so that no retry takes it up."""
        self._decisions.record(place, frame.key, Decision())
        self._decisions.ended(place, frame.key, StepState.FAILED, _said(passage))
        self._teller.unreached(block, frame, StepState.FAILED)
        return PASSED

    def _taken_back(self, block: Block, frame: Frame, place: str, why: str) -> Passage:
        """Have what a failed block did taken back, and the block as if it had never run; it failed all the same."""
        undone, left = self._take_back(block, frame, place)
        if undone.pauses:
            return undone  # it is gone on with when what it waits for has come
        if undone.goes_on:
            steps = [step.path for step in steps_of((block,))]
            self._decisions.forget(place, frame.key, steps)
            self._frames.forget(frame, steps)
            but = f", but for {left}" if left else ""
            why = f"{why.rstrip('.')}. What it did was taken back{but}; a retry does it again."
        label = f"{frame.label}{block.path}" or place
        return Passage((StepReport(block.path or place, StepState.FAILED, message=why, label=label),)) | undone

    @staticmethod
    def _in_context(work: Callable[[], Passage]) -> Callable[[], Passage]:
        """The work, to be done in another thread as if it were in this one: Prefect knows the run by context."""
        context = contextvars.copy_context()
        return lambda: context.run(work)


def _ended_before(frame: Frame, decision: Decision) -> Passage:
    if decision.ended is not StepState.FAILED:
        return PASSED
    label = frame.label.removesuffix(".")
    return Passage((StepReport(label, StepState.FAILED, cached=True, message=decision.message, label=label),))


def _said(passage: Passage) -> str:
    return "; ".join(f"{report.name}: {report.message}" for report in passage.failures)


def items_of(loop: Loop, scope: Mapping[str, object]) -> tuple[tuple[str, JsonValue], ...]:
    """The items of a loop by their keys, as a scope gives them. Raises ExpressionError."""
    items = evaluate(loop.items, scope)
    if not isinstance(items, list):
        raise ExpressionError("`for_each` must give a list", loop.items.source)
    named: dict[str, JsonValue] = {}
    for item in items:
        key = _key_of(loop, scope, item)
        if key in named:
            why = f"two items of the list are called `{key}`: each item needs a name of its own"
            raise ExpressionError(why, loop.items.source if loop.key is None else loop.key.source)
        named[key] = item
    return tuple(named.items())


def _key_of(loop: Loop, scope: Mapping[str, object], item: JsonValue) -> str:
    if loop.key is None:
        return digest_of(item)[:16]
    key = evaluate(loop.key, {**scope, "item": item})
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise ExpressionError("`key` must give a text or a whole number", loop.key.source)
    return str(key)


def passage_of(report: StepReport) -> Passage:
    """How far one step came."""
    if report.pause is not None:
        return Passage(pauses=(report.pause,))
    return Passage((report,)) if report.state is StepState.FAILED else PASSED


def _joined(passages: Iterable[Passage]) -> Passage:
    joined = PASSED
    for passage in passages:
        joined |= passage
    return joined


def _at_once(works: Sequence[Callable[[], Passage]], most: int, goes_on: Callable[[Passage], bool]) -> list[Passage]:
    """Do the works, at most so many at once, begin no more once one did not go well; all that began are waited for."""
    if most == 1 or len(works) < 2:
        return list(_one_by_one(works, goes_on))
    done: list[Passage] = []
    waiting = iter(works)
    with ThreadPoolExecutor(min(most, len(works)), "orderly-walk") as pool:
        running: set[Future[Passage]] = {pool.submit(work) for _, work in zip(range(most), waiting, strict=False)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            done += [future.result() for future in finished]
            if all(goes_on(passage) for passage in done):
                running |= {pool.submit(work) for _, work in zip(range(len(finished)), waiting, strict=False)}
    return done


def _one_by_one(works: Iterable[Callable[[], Passage]], goes_on: Callable[[Passage], bool]) -> Iterator[Passage]:
    for work in works:
        passage = work()
        yield passage
        if not goes_on(passage):
            return
