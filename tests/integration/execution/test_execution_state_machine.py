"""Whatever people, workers and Prefect do to a request, in any order: nothing leaves a final state, all is audited."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from connectors.memory import Memory
from connectors.registry import Registry
from flows.corrections import Correction
from flows.errors import OrderlyError
from flows.execution import End, Execution, Proceed, Suspend
from flows.interventions import Act
from flows.lifecycle import Lifecycle
from flows.records.errors import IllegalTransition
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.states import LEGAL_MOVES, RequestState
from flows.settings import load_settings
from flows.touching import Remark
from request_models.json_values import JsonValue
from request_models.plan import OnFailure
from staging import CALLER, Clock, House, Stage, expression, plan_of, run_of, text
from undoing_world import World, making

FINAL = frozenset({RequestState.FAILED, RequestState.CANCELLED, RequestState.REJECTED})
INPUTS: dict[str, JsonValue] = {"region": {"type": "string"}}
THINGS = ("first", "mars", "earth", "last")
BREAKABLE = st.sampled_from([f"{what} {thing}" for what in ("make", "take") for thing in THINGS])


class Life(RuleBasedStateMachine):
    """One request, over the real lifecycle and records."""

    house: House

    @initialize()
    def order(self) -> None:
        self.world = World(self.house)
        self.request = self.house.order(
            plan_of(
                making("first"),
                making("place", arguments=text(expression("inputs.region"))),
                making("last", on_failure=OnFailure.CONTINUE),
                inputs=INPUTS,
            ),
            region="mars",
        )
        self.seen = [RequestState.SCHEDULED]

    def act(self) -> Act:
        return Act(self.request.id, CALLER, Remark("so"))

    @rule(what=BREAKABLE)
    def breaks(self, what: str) -> None:
        self.world.broken.add(what)

    @rule()
    def mended(self) -> None:
        self.world.broken.clear()

    @rule()
    def its_run_starts_or_retry_is_pressed_in_prefect(self) -> None:
        now = self.house.now(self.request)
        entry = self.house.execution.enter(self.request.id, run_of(now))
        if isinstance(entry, Proceed):
            with entry.session as session:
                session.finish(session.walk(lambda unit: session.run_step(unit, lambda line: None)))
        else:
            assert isinstance(entry, End | Suspend)
            assert self.house.now(self.request).version == now.version, "what may not run changes nothing"

    @rule()
    def an_old_run_is_retried_in_prefect(self) -> None:
        now = self.house.now(self.request)
        old = run_of(self.request)
        if old != run_of(now):
            assert isinstance(self.house.execution.enter(self.request.id, old), End)
            assert self.house.now(self.request).version == now.version

    @rule(what=st.sampled_from(["retry", "cancel", "undo"]), leaves=st.booleans())
    def somebody_wants(self, what: str, leaves: bool) -> None:
        lifecycle = self.house.lifecycle
        self.tried(
            lambda: (
                lifecycle.retry(self.request.id, CALLER, "so")
                if what == "retry"
                else getattr(lifecycle, what)(self.request.id, CALLER, "so", leaves=leaves)
            )
        )

    @rule(region=st.sampled_from(["mars", "earth"]))
    def somebody_corrects(self, region: str) -> None:
        self.tried(lambda: self.house.corrections.fix(self.act(), Correction({"region": region})))

    @rule(path=st.sampled_from(["first", "place", "last"]), skips=st.booleans(), go_on=st.booleans())
    def somebody_settles(self, path: str, skips: bool, go_on: bool) -> None:
        if skips:
            self.tried(lambda: self.house.interventions.skip(self.act(), path, "", go_on=go_on))
        else:
            self.tried(lambda: self.house.interventions.complete(self.act(), path, "", {"id": "by-hand"}, go_on=go_on))

    @rule()
    def its_run_is_cancelled_in_prefect(self) -> None:
        self.tried(lambda: self.house.lifecycle.hold(self.request.id, actor="prefect-ui", why="cancelled in Prefect"))

    def tried(self, act: object) -> None:
        """Do it; what is refused changes nothing."""
        before = self.house.now(self.request)
        try:
            act()  # type: ignore[operator]  # one of the calls above
        except (OrderlyError, IllegalTransition):
            assert self.house.now(self.request) == before

    @invariant()
    def nothing_leaves_a_final_state_and_every_change_is_audited(self) -> None:
        if not hasattr(self, "request"):
            return
        row = self.house.now(self.request)
        events = self.house.records.read(lambda tx: tx.audit.of(self.request.id))
        moves = [(event.from_state, event.to_state) for event in events if event.from_state is not event.to_state]
        assert all(before is None or after in LEGAL_MOVES[before] for before, after in moves if after is not None)
        assert all(before is after for (_, before), (after, _) in pairwise(moves)), "no gap"
        assert moves[-1][1] is row.state
        assert not any(before in FINAL for before, _ in moves)
        assert all(event.actor and event.why for event in events[1:])
        assert self.house.records.read(lambda tx: tx.audit.verify(self.request.id)) == []
        claim = self.house.records.read(lambda tx: tx.claims.get(self.request.id))
        assert claim is None or claim.released

    @invariant()
    def what_ended_undone_left_nothing_unnamed(self) -> None:
        if not hasattr(self, "request"):
            return
        row = self.house.now(self.request)
        if row.state in {RequestState.FAILED, RequestState.CANCELLED}:
            undo = self.house.records.read(lambda tx: tx.undos.get(self.request.id))
            left = () if undo is None else undo.left_over
            assert len(self.world.things) <= len(left), (self.world.things, left)


@pytest.mark.slow
def test_no_sequence_of_acts_leaves_a_final_state_or_escapes_the_audit(tmp_path: Path) -> None:
    own = load_settings(state=tmp_path)
    clock = Clock()
    records = Records.open(own.records_url, Keyring.open(own.keyring_file), clock)
    records.migrate()
    stage, memory = Stage(), Memory()
    execution = Execution(records, Registry([stage, memory]), own)
    house = House(own, records, stage, Lifecycle(records, {}), execution, memory, clock)

    class LifeHere(Life):
        pass

    LifeHere.house = house
    run_state_machine_as_test(
        LifeHere,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    records.close()
