"""A task of a person on Prefect: it holds no worker, Retry skips nothing, and done it lets the request go on."""

from dataclasses import replace

import pytest
from prefect.states import AwaitingRetry, Completed

from flows.lifecycle import Caller
from flows.people_tasks import PeopleTasks
from flows.publishing import record_publication
from flows.records.rows import Person, TaskFilter
from flows.records.states import RequestState
from flows.touching import Remark
from prefect_estate import Estate
from request_models.actions import EffectClass
from request_models.plan import Literal, MapOf, Step

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

OLGA = Caller("key", Person(id="olga", groups=("storage",)), frozenset({"tasks:read", "tasks:act"}))


def test_a_task_suspends_the_run_and_whatever_is_pressed_meanwhile_only_the_person_lets_it_go_on(
    estate: Estate,
) -> None:
    target = estate.target()
    plan = estate.publish(target, ["first", "last"])
    asking = Step(
        path="by_hand",
        title={"en": "By hand"},
        uses="human.task",
        contract="1",
        effect=EffectClass.NOT_REPEATABLE,
        arguments=MapOf({"team": Literal("storage"), "instructions": Literal("Count them.")}),
        returns={"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
    )
    plan = replace(plan, blocks=(plan.blocks[0], asking, plan.blocks[1]))
    record_publication(estate.application.records, estate.registry, plan)
    request_id = estate.order(plan)
    estate.wait_for(request_id, RequestState.WAITING)
    run = estate.wait_for_run(estate.flow_run(request_id).id, "PAUSED")
    estate.wait_until_idle()
    assert estate.task_states(run.id) == {"first": "Completed", "by_hand": "Waiting"}
    with estate.client() as client:
        client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
    estate.wait_for_run(run.id, "RUNNING", "PENDING", "SCHEDULED")
    again = estate.wait_for_run(run.id, "PAUSED")
    assert again.state is not None
    assert "it waits for a task of the team storage" in (again.state.message or "")
    with estate.client() as client:
        client.set_flow_run_state(run.id, Completed(), force=True)
    assert estate.request(request_id).state is RequestState.WAITING
    (task,) = estate.application.records.read(lambda tx: tx.tasks.list(TaskFilter(request_id=request_id)))
    PeopleTasks(estate.application.records).complete(task.id, OLGA, {"count": 2}, Remark("counted"))
    estate.wait_for(request_id, RequestState.FULFILLED)
    estate.wait_for_run(run.id, "COMPLETED")
    assert target.effects() == ["first", "last"]
    assert estate.request(request_id).flow_run_id == str(run.id)
