"""Locks and orders of other models through Prefect, with effects counted where they happen and processes killed."""

import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler

import pytest

from flows.lifecycle import Caller
from flows.publishing import record_publication
from flows.records.rows import Person, RequestFilter
from flows.records.states import RequestState
from prefect_estate import Estate, Target
from request_models.actions import EffectClass
from request_models.plan import Expression, Literal, MapOf, Plan, Step
from serving import Quiet, serving
from waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OPERATOR = Caller("key", Person(id="ops"), frozenset({"admin"}))
LOCK = (Literal("target"),)


@dataclass
class Doorkeeper:
    """A server that requests come into and go out of, and that counts how many are inside."""

    port: int = 0
    inside: set[str] = field(default_factory=set)
    most_inside: int = 0
    came: Counter[str] = field(default_factory=Counter)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def take(self, path: str) -> None:
        _, door, who = path.split("/")
        with self._guard:
            if door == "in":
                self.came[who] += 1
                self.inside.add(who)
                self.most_inside = max(self.most_inside, len(self.inside))
            else:
                self.inside.remove(who)
        time.sleep(0.2)  # whoever comes in meanwhile is noticed

    def step(self, door: str, estate: Estate) -> Step:
        spec = estate.registry.action("http.post").spec
        url = Expression(f"'http://127.0.0.1:{self.port}/{door}/' ~ request.id")
        arguments = MapOf({"url": url})
        return Step("http.post", spec.contract, spec.effect, arguments, path=f"go_{door}", title={"en": door})


@contextmanager
def door() -> Iterator[Doorkeeper]:
    keeper = Doorkeeper()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            keeper.take(self.path)
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as keeper.port:
        yield keeper


def publish(estate: Estate, plan: Plan) -> Plan:
    record_publication(estate.application.records, estate.registry, plan)
    return plan


def test_orders_on_one_lock_are_never_at_the_target_together_whatever_is_killed(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper", "worker")
    with door() as keeper:
        target = estate.target()
        plan = estate.publish(target, ["middle"])
        blocks = (keeper.step("in", estate), *plan.blocks, keeper.step("out", estate))
        plan = publish(estate, replace(plan, blocks=blocks, locks=LOCK))
        target.close_gate("before", "middle")
        orders = [estate.order(plan) for _ in range(3)]
        pid = target.wait_for_arrival("before", "middle")
        (first,) = keeper.inside
        others = [one for one in orders if one != first]
        for one in others:
            waiting = wait_until("it says whom it waits for", partial(_waits, estate, one), 30)
            assert f"lock target, held by request {first} since" in waiting
            assert estate.request(one).flow_run_id is None, "it is not dispatched"
        estate.kill("keeper")
        os.kill(pid, signal.SIGKILL)
        estate.start("keeper")
        target.open_gate("before", "middle")
        for one in orders:
            estate.wait_for(one, RequestState.FULFILLED)
        assert keeper.most_inside == 1
        assert keeper.came == Counter(orders), "each came in once"
        assert target.effects() == ["middle"] * 3
        assert estate.application.records.read(lambda tx: tx.locks.standing()) == []


def _waits(estate: Estate, request_id: str) -> str:
    row = estate.request(request_id)
    assert row.state is RequestState.SCHEDULED
    return row.state_reason if "it waits for lock" in row.state_reason else ""


def ordering(estate: Estate, target: Target, child: Plan) -> Plan:
    """A model that acts, orders another, and acts."""
    order = Step(
        path="order",
        title={"en": "Order"},
        uses="request.submit",
        contract="1",
        effect=EffectClass.TAKES_TOKEN,
        arguments=MapOf({"model": Literal(child.model), "inputs": MapOf({})}),
    )
    plan = estate.publish(target, ["before", "after"])
    return publish(estate, replace(plan, blocks=(plan.blocks[0], order, plan.blocks[1]), locks=LOCK))


def child_of(estate: Estate, request_id: str) -> str:
    def look() -> str:
        rows = estate.application.records.read(lambda tx: tx.requests.list(RequestFilter(limit=100))).items
        return next((row.id for row in rows if row.parent == request_id), "")

    return wait_until("it has ordered", look, 60)


def test_cancelling_reaches_the_child_that_runs_though_keeper_and_processes_are_killed(own_estate: Estate) -> None:
    estate = own_estate
    estate.start("keeper", "worker")
    own, childs = estate.target(), estate.target()
    childs.heed_cancelling()
    childs.close_gate("before", "second")
    childs.close_gate("after", "first.undo.0")
    child_plan = publish(estate, replace(estate.publish(childs, ["first", "second"]), locks=LOCK))
    parent = estate.order(ordering(estate, own, child_plan))
    childs.wait_for_arrival("before", "second")
    child = child_of(estate, parent)
    estate.wait_for(parent, RequestState.WAITING)
    estate.application.lifecycle.cancel(parent, OPERATOR, "not needed")
    os.kill(childs.wait_for_arrival("after", "first.undo.0"), signal.SIGKILL)
    assert estate.request(parent).state is RequestState.UNDOING
    assert own.effects() == ["before"], "what was done before waits for it"
    estate.kill("keeper")
    childs.open_gate("after", "first.undo.0")
    estate.start("keeper")
    estate.wait_for(child, RequestState.CANCELLED)
    estate.wait_for(parent, RequestState.CANCELLED)
    assert (own.effects(), childs.effects()) == ([], [])
    assert own.undone() == ["before.undo.0"]
    assert f"request {parent}, which ordered it, is taken back" in estate.request(child).state_reason


def test_undoing_a_fulfilled_request_undoes_what_it_ordered(estate: Estate) -> None:
    own, childs = estate.target(), estate.target()
    parent = estate.order(ordering(estate, own, estate.publish(childs, [f"one{uuid.uuid4().hex[:4]}"])))
    estate.wait_for(parent, RequestState.FULFILLED)
    assert own.effects() == ["before", "after"]
    estate.application.lifecycle.undo(parent, OPERATOR, "not needed")
    estate.wait_for(parent, RequestState.CANCELLED)
    assert estate.request(child_of(estate, parent)).state is RequestState.CANCELLED
    assert (own.effects(), childs.effects()) == ([], [])
    assert own.undone() == ["after.undo.0", "before.undo.0"]
