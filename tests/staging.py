"""A whole application on SQLite with one connector, `stage`, that does what a test tells it and counts its effects."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.memory import Memory
from connectors.registry import Registry
from flows.approval_deadlines import Deadlines
from flows.approvals import Approvals
from flows.corrections import Corrections
from flows.execution import Execution, FlowRunIdentity, Proceed, Session
from flows.interventions import Interventions
from flows.lifecycle import Caller, Lifecycle, Order
from flows.prerequisites import Prerequisites
from flows.records.records import Records, utc_now
from flows.records.rows import Person, RequestRow
from flows.settings import Settings
from flows.walk import StepReport, Unit
from request_models.actions import Action, ActionCall, ActionResult, ActionSpec, EffectClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import Block, Due, Expression, Literal, MapOf, Node, Output, Owners, Plan, Step
from request_models.value_types import AnyType, Member, ObjectType, StringType

ANNA = Person(id="anna", name="Anna", email="anna@example.org", groups=("engineering",))
CALLER = Caller(
    key_id="key-1",
    person=ANNA,
    scopes=frozenset({"requests:create", "requests:read", "requests:act"}),
)

Behaviour = Callable[[ActionCall], ActionResult]


@dataclass
class Staged:
    """One action, and every call it got."""

    spec: ActionSpec
    behave: Behaviour
    calls: list[ActionCall] = field(default_factory=list)

    def run(self, call: ActionCall) -> ActionResult:
        self.calls.append(call)
        return self.behave(call)


class Stage:
    """The connector `stage`."""

    name = "stage"

    def __init__(self) -> None:
        self.actions: dict[str, Staged] = {}

    def action(
        self, name: str, effect: EffectClass = EffectClass.IDEMPOTENT, behave: Behaviour | None = None
    ) -> Staged:
        """Set an action up; without `behave` it makes something and answers with its arguments."""
        spec = ActionSpec(
            name=f"stage.{name}",
            title=name,
            arguments=ObjectType(members={"text": Member(type=StringType())}),
            result=AnyType(),
            effect=effect,
        )
        staged = Staged(spec, behave or (lambda call: ActionResult(Outcome.MADE, dict(call.arguments))))
        self.actions[spec.name] = staged
        return staged

    def find(self, name: str) -> Action | None:
        return self.actions.get(name)

    def names(self) -> Iterable[str]:
        return list(self.actions)

    def content(self, digest: str) -> bytes | None:
        return None

    def close(self) -> None:
        return


def text(node: Node) -> MapOf:
    return MapOf({"text": node})


def step(path: str, effect: EffectClass = EffectClass.IDEMPOTENT, **more: object) -> Step:
    given: dict[str, object] = {"arguments": text(Literal(path)), **more}
    return Step(path=path, title={"en": path}, uses=f"stage.{path}", contract="1", effect=effect, **given)  # type: ignore[arg-type]  # tests pass fields by name


def plan_of(
    *steps: Block, inputs: dict[str, JsonValue] | None = None, outputs: tuple[Output, ...] = (), **more: object
) -> Plan:
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": inputs or {},
        "required": list(inputs or {}),
        "additionalProperties": False,
    }
    return Plan(
        model="staged",
        title={"en": "Staged"},
        kind="resource",
        service="stage",
        summary={},
        owners=Owners("somebody"),
        inputs=schema,
        due=Due(900),
        blocks=steps,
        outputs=outputs,
        **more,  # type: ignore[arg-type]  # tests pass fields by name
    )


def expression(source: str, *, secret: bool = False) -> Expression:
    return Expression(source, secret=secret)


def run_of(request: RequestRow) -> FlowRunIdentity:
    """The flow run that the dispatcher made for a request."""
    return FlowRunIdentity(f"run-{request.dispatches}-of-{request.id}", request.dispatch_key)


@dataclass
class Clock:
    """This machine's clock, put forward as far as a test wants."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def advance(self, **span: float) -> None:
        self.ahead += timedelta(**span)


@dataclass
class House:
    """The application under test."""

    settings: Settings
    records: Records
    stage: Stage
    lifecycle: Lifecycle
    execution: Execution
    memory: Memory = field(default_factory=Memory)
    clock: Clock = field(default_factory=Clock)

    @property
    def interventions(self) -> Interventions:
        return Interventions(self.records, Registry([self.stage, self.memory]), self.lifecycle)

    @property
    def prerequisites(self) -> Prerequisites:
        return Prerequisites(self.records, Registry([self.stage, self.memory]), self.settings)

    @property
    def approvals(self) -> Approvals:
        return Approvals(self.records, {})

    @property
    def deadlines(self) -> Deadlines:
        return Deadlines(self.records, {})

    @property
    def corrections(self) -> Corrections:
        return Corrections(self.interventions, Registry([self.stage, self.memory]), {})

    def publish(self, plan: Plan) -> None:
        self.records.run(lambda tx: (tx.plans.put(plan), tx.publications.put(plan.model, plan.digest)))

    def order(self, plan: Plan, **inputs: JsonValue) -> RequestRow:
        """Publish, order, and name the flow run as the dispatcher would."""
        self.publish(plan)
        request = self.lifecycle.submit(Order("staged", inputs), CALLER).request
        return self.records.run(lambda tx: tx.requests.set_flow_run(request.id, None, f"orderly:{request.id}:nonce"))

    def enter(self, request: RequestRow) -> Session:
        entry = self.execution.enter(request.id, run_of(request))
        assert isinstance(entry, Proceed), entry
        return entry.session

    def run(self, request: RequestRow, log: Callable[[str], None] = lambda line: None) -> list[str]:
        """Run as the flow does, as far as it goes; gives `label:state` with `*` for cached ones."""
        seen: list[str] = []
        with self.enter(request) as session:

            def run(unit: Unit) -> StepReport:
                report = session.run_step(unit, log)
                state = "waiting" if report.pause is not None else report.state.value
                seen.append(f"{report.name}:{state}{'*' if report.cached else ''}")
                return report

            session.finish(session.walk(run))
        return seen

    def dispatched(self, request: RequestRow) -> RequestRow:
        """The request as it is, with the key of the flow run that the dispatcher would make for it now."""
        row = self.now(request)
        assert row.dispatch_key is not None
        assert row.flow_run_id is None, "it has its flow run"
        return row

    def now(self, request: RequestRow) -> RequestRow:
        found = self.records.read(lambda tx: tx.requests.get(request.id))
        assert found is not None
        return found
