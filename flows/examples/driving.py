"""One example, run through the real engine: ordered, taken up again as often as it waits, until it rests."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from connectors.registry import Registry
from flows.approval_deadlines import Deadlines
from flows.approvals import Approvals
from flows.errors import InvalidInputs, NotEligible, RequestRefused
from flows.examples.course import REFUSED, Course, Watch, read_course, unit_names
from flows.examples.deciding import Deciders
from flows.execution import Execution, FlowRunIdentity, Proceed
from flows.lifecycle import Caller, Lifecycle, Order
from flows.outbox_kinds import DISPATCH
from flows.prerequisites import Prerequisites
from flows.records.records import Records, Transaction, utc_now
from flows.records.rows import Person, RequestRow
from flows.records.states import RequestState, StepState
from flows.settings import Settings
from flows.walk import StepReport, Unit
from request_models.plan import Plan
from request_models.schema import ExampleDocument, PersonDocument
from request_models.value_types import ValueType

_FAR = timedelta(days=3650)
_MESSAGES = 1000
_ACTOR = "orderly test"


@dataclass(frozen=True)
class Subject:
    """A model whose examples are run. `kinds` types what its steps answer, by the names that examples use."""

    plan: Plan
    kinds: Mapping[str, ValueType]


def _wait_for_real(moment: datetime) -> None:
    time.sleep(max((moment - utc_now()).total_seconds(), 0.0))


@dataclass(frozen=True)
class World:
    """The application over records of its own. `wait_until` lets time pass, or lets it be passed.

    `begin` hears of each example before it is ordered, `next_is` of each step before it is called, by its names.
    """

    records: Records
    registry: Registry
    lifecycle: Lifecycle
    prerequisites: Prerequisites
    approvals: Approvals
    deadlines: Deadlines
    execution: Execution
    wait_until: Callable[[datetime], None]
    begin: Callable[[Subject, ExampleDocument], None] = lambda _subject, _example: None
    next_is: Callable[[str, tuple[str, ...]], None] = lambda _path, _names: None

    @classmethod
    def over(
        cls,
        records: Records,
        registry: Registry,
        settings: Settings,
        wait_until: Callable[[datetime], None] = _wait_for_real,
        new_stop: Callable[[], threading.Event] = threading.Event,
    ) -> Self:
        """The application's parts over some records and connectors; by default in the time that there is."""
        return cls(
            records,
            registry,
            Lifecycle(records, settings.public),
            Prerequisites(records, registry, settings, new_stop),
            Approvals(records, settings.public),
            Deadlines(records, settings.public),
            Execution(records, registry, settings, new_stop),
            wait_until,
        )

    def publish(self, plan: Plan) -> None:
        """Open a model to orders in this world, with the content of its runbooks."""
        archives = {digest: self.registry.content(digest) for digest in plan.content_digests}

        def publish(tx: Transaction) -> None:
            for digest, archive in archives.items():
                if archive is not None and not tx.content.has(digest):
                    tx.content.put(digest, archive)
            tx.plans.put(plan)
            tx.publications.put(plan.model, plan.digest)

        self.records.run(publish)

    def run(self, subject: Subject, example: ExampleDocument) -> Course:
        """Order as the example says, and run the request until it rests. The model is published."""
        self.begin(subject, example)
        try:
            request_id = self.order(subject.plan.model, example)
        except RequestRefused as error:
            not_eligible = error.who if isinstance(error, NotEligible) else ""
            return Course(REFUSED, _why(error), not_eligible=not_eligible)
        return self.to_rest(subject.plan, request_id, example)

    def order(self, model: str, example: ExampleDocument, key: str | None = None) -> str:
        """Order as the example says: the request's id, the same for the same `key`. Raises RequestRefused."""
        given = example.given
        user = None if given.user is None else _person(given.user)
        order = Order(model, given.inputs, requested_for=user, channel="example", idempotency_key=key)
        return self.lifecycle.submit(order, caller_of(example)).request.id

    def to_rest(self, plan: Plan, request_id: str, example: ExampleDocument) -> Course:
        """Run a request, from wherever it stands, until it rests; who has to decide does so as the example says."""
        decisions = example.given.decisions
        deciders = Deciders(self.records, self.approvals, self.deadlines, self.wait_until, decisions)
        return _Run(self, plan, request_id, deciders).to_rest()


def caller_of(example: ExampleDocument) -> Caller:
    """Who orders in an example."""
    return Caller("examples", _person(example.given.requester), frozenset({"admin"}))


@dataclass
class _Run:
    """One request on its way."""

    world: World
    plan: Plan
    id: str
    deciders: Deciders
    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    failed: set[tuple[str, str]] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def to_rest(self) -> Course:
        """Take the request up until nothing moves it any more but a person, or time that nobody set."""
        while (go_on := self._next(self._now())) is not None:
            go_on()
        # What the next example needs is not kept from it by one that rests without having ended.
        self.world.records.run(lambda tx: tx.requests.get_for_update(self.id) and tx.locks.release(self.id))
        request, watch = self._now(), Watch(self.labels, frozenset(self.failed), tuple(self.log))
        return self.world.records.read(lambda tx: read_course(tx, self.plan, request, watch))

    def _next(self, request: RequestRow) -> Callable[[], None] | None:
        """What brings a request further that stands like this; None when it rests."""
        match request.state:
            case RequestState.VALIDATING:
                return lambda: self._validate(request)
            case RequestState.AWAITING_APPROVAL:
                return self.deciders.next(self.id) or self._waking(request.wake_at)
            case RequestState.SCHEDULED:
                return lambda: self._start(request)
            case RequestState.IN_PROGRESS:
                return lambda: self._enter(request)
            case RequestState.UNDOING:
                return lambda: self._undo(request)
            case RequestState.WAITING if request.wake_at is not None:
                return self._waking(request.wake_at)
            case _:
                return None

    def _waking(self, moment: datetime | None) -> Callable[[], None] | None:
        return None if moment is None else lambda: self._wake(moment)

    def _now(self) -> RequestRow:
        found = self.world.records.read(lambda tx: tx.requests.get(self.id))
        assert found is not None, "a request is never removed"
        return found

    def _validate(self, request: RequestRow) -> None:
        """What the keeper does with prerequisites."""
        if request.wake_at is not None:
            self._say(request.state_reason)
            self.world.wait_until(request.wake_at)
        self.world.prerequisites.read(self.id)

    def _start(self, request: RequestRow) -> None:
        """What the dispatcher does: it waits for the moment from which the request may run."""
        records, far = self.world.records, self.world.records.now() + _FAR
        for message in records.read(lambda tx: tx.outbox.due(DISPATCH, far, _MESSAGES)):
            if message.request_id == self.id:
                self.world.wait_until(message.available_at)
            records.run(lambda tx, one=message.id: tx.outbox.done(one))  # type: ignore[misc]
        self._enter(request)

    def _enter(self, request: RequestRow) -> None:
        """What the flow run does."""
        flow_run, key = f"example-{self.id}", f"orderly:{self.id}:{request.dispatches}"
        self.world.records.run(lambda tx: tx.requests.set_flow_run(self.id, flow_run, key))
        entry = self.world.execution.enter(self.id, FlowRunIdentity(flow_run, key))
        assert isinstance(entry, Proceed), f"nobody else works on the records of examples: {entry}"
        with entry.session as session:
            session.finish(session.walk(lambda unit: self._step(unit, session.run_step)))

    def _undo(self, request: RequestRow) -> None:
        """What the keeper does for an undo: it has a flow run of its own, which may sleep too."""
        if request.wake_at is not None:
            self.world.wait_until(request.wake_at)
            self.world.records.run(lambda tx: tx.requests.set_wake_at(self.id, None))
        self._enter(request)

    def _step(self, unit: Unit, run: Callable[[Unit, Callable[[str], None]], StepReport]) -> StepReport:
        """One step, told to whoever stands in for its action, and watched."""
        place = (unit.step.path, unit.frame.key)
        self.labels[place] = unit.label
        self.world.next_is(unit.step.path, unit_names(unit.step.path, unit.label, unit.frame.key))
        report = run(unit, lambda line: self._say(f"{unit.label}: {line}"))
        if report.state is StepState.FAILED:
            self.failed.add(place)
        if not report.cached and report.pause is None:
            self._say(f"{unit.label}: {report.message or report.outcome or report.state.value}")
        return report

    def _wake(self, moment: datetime) -> None:
        """What the keeper does when the time of a waiting request has come."""
        self.world.wait_until(moment)
        why = "its time has come"
        self.world.records.run(lambda tx: tx.requests.move(self.id, RequestState.IN_PROGRESS, actor=_ACTOR, why=why))

    def _say(self, line: str) -> None:
        self.log.append(f"{self.world.records.now():%Y-%m-%d %H:%M:%S} {line}")


def _why(error: RequestRefused) -> str:
    problems = error.problems if isinstance(error, InvalidInputs) else ()
    return " ".join((str(error), *(f"{one.pointer or 'inputs'}: {one.message}." for one in problems)))


def _person(person: PersonDocument) -> Person:
    return Person(
        id=person.id,
        name=person.name,
        email=person.email,
        groups=person.groups,
        manager=person.manager,
        active=person.active,
        attributes=person.attributes,
    )
