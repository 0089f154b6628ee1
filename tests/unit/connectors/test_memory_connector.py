"""The connector that touches nothing."""

import threading
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from connectors.aws import connector as aws_connector
from connectors.memory import Killed, Memory
from connectors.registry import ConnectorContext, Registry
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Finding,
    Outcome,
    Presence,
)
from request_models.value_types import ObjectType
from waiting import wait_until


def spec(name: str, effect: EffectClass = EffectClass.NOT_REPEATABLE) -> ActionSpec:
    return ActionSpec(name=name, title=name, arguments=ObjectType(), result=ObjectType(), effect=effect)


@pytest.fixture
def memory() -> Memory:
    made = Memory("bell")
    made.define(spec("bell.ring"))
    made.define(spec("bell.look", EffectClass.READ_ONLY))
    made.define(spec("bell.hang", EffectClass.TAKES_TOKEN))
    return made


def call(name: str = "bell.ring", token: UUID | None = None, **more: object) -> ActionCall:
    given = {"action": name, "arguments": {}, "token": token or uuid4(), "request_id": "r", "step_path": "s", **more}
    return ActionCall(**given)  # type: ignore[arg-type]  # the parts of a call, named by the test


def run(memory: Memory, made: ActionCall) -> tuple[Outcome, object]:
    action = memory.find(made.action)
    assert action is not None
    answer = action.run(made)
    return answer.outcome, answer.result


def test_a_call_nobody_spoke_of_succeeds_and_is_recorded(memory: Memory) -> None:
    assert run(memory, call("bell.ring")) == (Outcome.MADE, {})
    assert run(memory, call("bell.look")) == (Outcome.READ, {})
    assert [made.action for made in memory.calls] == ["bell.ring", "bell.look"]
    assert [made.action for made in memory.effects] == ["bell.ring"]


def test_it_answers_as_told_first_in_order_then_always(memory: Memory) -> None:
    memory.answer("bell.ring", {"n": 0})
    memory.answer("bell.ring", {"n": 1}, outcome=Outcome.ALREADY_SO, times=1)
    memory.answer("bell.ring", {"n": 2}, times=1)
    assert [run(memory, call()) for _ in range(4)] == [
        (Outcome.ALREADY_SO, {"n": 1}),
        (Outcome.MADE, {"n": 2}),
        (Outcome.MADE, {"n": 0}),
        (Outcome.MADE, {"n": 0}),
    ]


def test_it_fails_as_told_and_then_succeeds(memory: Memory) -> None:
    memory.fail("bell.ring", "No rope.", error_class=ErrorClass.REJECTED, code="Rope", progress={"half": 1})
    with pytest.raises(ActionFailed, match=r"No rope\.") as caught:
        run(memory, call())
    assert (caught.value.error_class, caught.value.code, caught.value.progress) == (
        ErrorClass.REJECTED,
        "Rope",
        {"half": 1},
    )
    assert memory.effects == ()
    assert run(memory, call()) == (Outcome.MADE, {})


def test_a_lost_answer_leaves_its_effect(memory: Memory) -> None:
    memory.fail("bell.ring", error_class=ErrorClass.UNKNOWN, after_effect=True)
    with pytest.raises(ActionFailed):
        run(memory, call())
    assert len(memory.effects) == 1


def test_a_repeated_token_is_one_effect_where_tokens_are_taken(memory: Memory) -> None:
    token = uuid4()
    for _ in range(2):
        run(memory, call("bell.hang", token))
        run(memory, call("bell.ring", token))
    assert [made.action for made in memory.effects] == ["bell.hang", "bell.ring", "bell.ring"]


def test_a_delayed_call_ends_when_it_is_cancelled(memory: Memory) -> None:
    memory.answer("bell.ring", delay_seconds=60)
    cancelled, failed = threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with pytest.raises(ActionFailed, match="cancelled"):
            run(memory, call(cancelled=cancelled.is_set))
        failed.set()

    thread = threading.Thread(target=wait_for_it)
    thread.start()
    wait_until("the call came in", lambda: memory.calls)
    cancelled.set()
    thread.join(10)
    assert failed.is_set()


def test_a_delay_beyond_the_timeout_is_an_unknown_outcome(memory: Memory) -> None:
    memory.answer("bell.ring", delay_seconds=60)
    with pytest.raises(ActionFailed) as caught:
        run(memory, call(timeout_seconds=0.05))
    assert caught.value.error_class is ErrorClass.UNKNOWN


def test_a_call_that_undoes_a_step_takes_its_effect_out_of_the_world(memory: Memory) -> None:
    made = call("bell.hang")
    action = memory.find("bell.hang")
    assert action is not None
    run(memory, made)
    assert action.probe(made).presence is Presence.OURS
    run(memory, call("bell.ring", step_path="s.undo.0"))
    assert action.probe(made).presence is Presence.ABSENT
    again = call("bell.hang")
    run(memory, again)
    assert action.probe(again).presence is Presence.OURS


def test_what_is_put_back_is_kept_for_the_test_to_see(memory: Memory) -> None:
    made = call("bell.hang")
    action = memory.find("bell.hang")
    assert action is not None
    run(memory, made)
    action.restore(call("bell.hang", step_path="s.undo.restore"), {"was": 1})
    assert [before for _, before in memory.restored] == [{"was": 1}]
    assert action.probe(made).presence is Presence.ABSENT


def test_a_mistyped_action_is_refused_when_it_is_told(memory: Memory) -> None:
    with pytest.raises(ValueError, match=r"no action 'bell\.rong'"):
        memory.answer("bell.rong", {})
    with pytest.raises(ValueError, match="does not belong"):
        memory.define(spec("door.open"))


def test_it_borrows_the_interfaces_of_the_real_connector(tmp_path_factory: pytest.TempPathFactory) -> None:
    real = Registry([aws_connector({}, ConnectorContext(state=tmp_path_factory.mktemp("state")))])
    memory = Memory("aws", specs=real)
    registry = Registry([memory])
    assert registry.spec("aws.s3.create_bucket") == real.spec("aws.s3.create_bucket")
    assert registry.spec("aws.s3.create_buckett") is None
    assert registry.suggestions("aws.s3.create_buckett")[0] == "aws.s3.create_bucket"
    memory.answer("aws.s3.create_bucket", {"Location": "/b"})
    answer = registry.action("aws.s3.create_bucket").run(call("aws.s3.create_bucket"))
    assert answer.result == {"Location": "/b"}


def probing() -> Memory:
    made = Memory("bell")
    made.define(replace(spec("bell.ring"), effect=EffectClass.HAS_PROBE, probes=True))
    return made


def test_it_can_be_told_to_kill_before_or_after_the_effect() -> None:
    memory = probing()
    memory.kill("bell.ring", after_effect=True)
    with pytest.raises(Killed):
        run(memory, call())
    assert len(memory.effects) == 1
    memory.kill("bell.ring", after_effect=False)
    with pytest.raises(Killed):
        run(memory, call())
    assert len(memory.effects) == 1


def test_its_probe_knows_effects_by_their_token_unless_told_otherwise() -> None:
    memory = probing()
    action = memory.find("bell.ring")
    assert action is not None
    made = call()
    assert action.probe(made).presence is Presence.ABSENT
    action.run(made)
    assert action.probe(made).presence is Presence.OURS
    assert action.probe(replace(made, token=uuid4())).presence is Presence.ABSENT
    memory.find_out("bell.ring", Finding(Presence.FOREIGN, "Another's bell."))
    assert action.probe(made).presence is Presence.FOREIGN
    assert len(memory.calls) == 1
    assert len(memory.looks) == 4


def test_it_shows_before_a_call_what_it_was_told() -> None:
    memory = probing()
    action = memory.find("bell.ring")
    assert action is not None
    assert action.read_before(call()) is None
    memory.show("bell.ring", {"was": 3})
    assert action.read_before(call()) == {"was": 3}
    with pytest.raises(ValueError, match="no action"):
        memory.show("bell.rung", 1)
