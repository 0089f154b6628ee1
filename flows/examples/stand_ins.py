"""Actions that stand in for the real ones: their interfaces are real, their answers those of an example.

Arguments are checked against the real types by the engine itself; what an example says that a step answers was checked
when the model was compiled.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from connectors.registry import Registry
from flows.examples.virtual_time import VirtualClock
from request_models.actions import (
    Action,
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Finding,
    Outcome,
    Presence,
)
from request_models.durations import parse_duration
from request_models.example_names import said_of
from request_models.example_values import completed, example_of
from request_models.json_values import JsonValue
from request_models.plan import Plan
from request_models.schema import FailureDocument, GivenDocument
from request_models.value_types import ValueType
from request_models.wishes import NO_WISHES, Wishes, wishes_of

Names = tuple[str, ...]

MOST_CALLS = 200
"""How often the action of a step may be called in one example: polling that never ends is a mistake of the example."""


@dataclass(frozen=True)
class Script:
    """What steps answer: as an example says, else the least that fits the type and lets the model go on.

    `kinds` are the types of answers, `wishes` what the model reads of them, `uses` the actions, each by the path of a
    step, `prerequisites.ID` or `verify.N`.
    """

    given: GivenDocument
    kinds: Mapping[str, ValueType]
    wishes: Mapping[str, Wishes]
    uses: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan, kinds: Mapping[str, ValueType], given: GivenDocument) -> "Script":
        """The script of an example of a plan."""
        steps = {step.path: step.uses for step in plan.steps}
        reads = {read.path: read.uses for read in (*plan.prerequisites, *plan.verify)}
        return cls(given, kinds, wishes_of(plan), steps | reads)

    def failure(self, names: Names, number: int) -> FailureDocument | None:
        """How a call fails, the first being number 0; None when it does not."""
        failures = said_of(self.given.failures, names) or ()
        return failures[number] if number < len(failures) else None

    def answer(self, path: str, names: Names, number: int) -> JsonValue:
        """What a call of a step answers that does not fail."""
        kind = self.kinds[path]
        looks = said_of(self.given.looks, names)
        if looks:
            number -= len(said_of(self.given.failures, names) or ())
            return completed(kind, looks[min(number, len(looks) - 1)])
        found = next((name for name in names if name in self.given.results), None)
        if found is not None:
            return completed(kind, self.given.results[found])
        return example_of(kind, self.wishes.get(path, NO_WISHES), path)

    def seconds(self, names: Names) -> float:
        """How long a call takes."""
        said = said_of(self.given.delays, names)
        return 0.0 if said is None else parse_duration(said).total_seconds()


class StandIns:
    """The stand-ins of one world. One example is played at a time, one step at a time."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._script = Script(GivenDocument(), {}, {}, {})
        self._names: dict[str, Names] = {}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._happened: set[UUID] = set()

    def play(self, script: Script) -> None:
        """Answer as this script says from now on."""
        self._script = script
        self._names.clear()
        self._calls.clear()
        self._happened.clear()

    def next_is(self, path: str, names: Names) -> None:
        """The step that is called next goes by these names."""
        self._names[path] = names

    def run(self, spec: ActionSpec, call: ActionCall) -> ActionResult:
        """Answer a call, or fail, as the script says. Raises ActionFailed."""
        names = self._names.get(call.step_path, (call.step_path,))
        number = self._calls[names[0], spec.name]
        self._calls[names[0], spec.name] += 1
        if self._script.uses.get(call.step_path) != spec.name:
            return self._usual(spec)  # an undo: the example says nothing of what it answers
        if number >= MOST_CALLS:
            message = f"It was called {MOST_CALLS} times. Give `looks` for it, of which the last is as wished."
            raise ActionFailed(message, error_class=ErrorClass.REJECTED, code="called-too-often")
        self._take_time(call, names)
        failure = self._script.failure(names, number)
        if failure is not None:
            if failure.happened:
                self._happened.add(call.token)
            raise ActionFailed(failure.message, error_class=ErrorClass(failure.error), code=failure.code)
        return ActionResult(_outcome(spec), self._script.answer(call.step_path, names, number))

    def probe(self, spec: ActionSpec, call: ActionCall) -> Finding:
        """Find the effect of a call whose answer was lost, if the example says that it had one."""
        if call.token not in self._happened:
            return Finding(Presence.ABSENT, "Nothing of it is there.")
        names = self._names.get(call.step_path, (call.step_path,))
        answer = self._script.answer(call.step_path, names, 0)
        return Finding(Presence.OURS, "It is there.", ActionResult(_outcome(spec), answer))

    def _usual(self, spec: ActionSpec) -> ActionResult:
        return ActionResult(_outcome(spec), example_of(spec.result))

    def _take_time(self, call: ActionCall, names: Names) -> None:
        seconds, most = self._script.seconds(names), call.timeout_seconds
        if most is not None and seconds > most:
            self._clock.wait(most)
            message = f"{call.action} did not answer within {most:g} s."
            raise ActionFailed(message, error_class=ErrorClass.UNKNOWN, code="Timeout")
        self._clock.wait(seconds)


def _outcome(spec: ActionSpec) -> Outcome:
    return Outcome.READ if spec.effect is EffectClass.READ_ONLY else Outcome.MADE


@dataclass(frozen=True)
class StandIn:
    """The stand-in of one action."""

    spec: ActionSpec
    stand_ins: StandIns

    def run(self, call: ActionCall) -> ActionResult:
        """Answer as the example says. Raises ActionFailed."""
        return self.stand_ins.run(self.spec, call)

    def read_before(self, call: ActionCall) -> JsonValue:
        """Nothing was there before."""
        return None

    def probe(self, call: ActionCall) -> Finding:
        """Whether the example says that a call with a lost answer had its effect."""
        return self.stand_ins.probe(self.spec, call)


class StandInConnector:
    """A connector with the interfaces of the real one of its name."""

    def __init__(self, name: str, real: Registry, stand_ins: StandIns) -> None:
        self._name = name
        self._real = real
        self._stand_ins = stand_ins

    @property
    def name(self) -> str:
        """The name of the real connector."""
        return self._name

    def find(self, name: str) -> Action | None:
        """The stand-in of an action, None when the real connector has no such action."""
        spec = self._real.spec(name)
        return None if spec is None else StandIn(spec, self._stand_ins)

    def pinned(self, name: str, content: bytes) -> Action:
        """The same: what would be run of the content is stood in for."""
        return StandIn(self._real.action(name).spec, self._stand_ins)

    def names(self) -> Iterable[str]:
        """Nothing is listed: stand-ins are found by name."""
        return ()

    def content(self, digest: str) -> bytes | None:
        """The content that the real action pins."""
        return self._real.content(digest)

    def close(self) -> None:
        """Nothing is open."""


def stand_in_registry(real: Registry, stand_ins: StandIns) -> Registry:
    """A registry in which every connector is stood in for."""
    return Registry([StandInConnector(name, real, stand_ins) for name in real.connectors])
