"""Requests: what is asked is kept exactly, and changes state only as the table of states says."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from flows.records.errors import ClaimLost, Conflict, IllegalTransition, InvalidCursor, NotFound, TooLong
from flows.records.records import Records, Transaction
from flows.records.rows import Holder, NewRequest, Page, Person, RequestFilter, RequestRow, Sealed
from flows.records.states import LEGAL_MOVES, RequestState
from request_models.calendar_documents import load_calendar
from request_models.json_values import JsonValue, NotJsonError

Order = Callable[..., RequestRow]

S = RequestState

TRICKY: dict[str, JsonValue] = {
    "nul": "a\0b",
    "backslashes": "\\0 \\\\ \0\\",
    "emoji": "🗄️ 项目对象存储 e\u0301",
    "large": "x" * 1_048_576,
    "numbers": [0, -1, 2**63, 1.5, 1e300, True, None],
    "template": "{{ lookup('pipe','id') }}",
    "\0key": {"__ansible_vault": "x", "__prefect_kind": "y"},
}


def move(records: Records, request: RequestRow, *path: RequestState) -> RequestRow:
    def along(tx: Transaction) -> RequestRow:
        row = request
        for to in path:
            row = tx.requests.move(request.id, to, actor="ann", why="so")
        return row

    return records.run(along)


def test_a_request_comes_back_exactly_as_it_was_recorded(records: Records, plan: Any, clock: Any) -> None:
    person = Person("a\0", "Änn 🦉", "ann@example.org", ("eng", "\0"), "boss", False, {"unit": {"no": 7}})
    new = NewRequest(
        id=str(uuid4()),
        model="disk",
        model_version=3,
        plan_digest=plan.digest,
        arm="b",
        requester=person,
        requested_for=replace(person, id="ben"),
        caller="desk\0",
        channel="api",
        source_system="rt",
        source_id="\0\\7",
        source_url="https://rt.example.org/7?\\0",
        inputs=Sealed("inputs", TRICKY, ("/nul",)),
        submitted=clock() + timedelta(microseconds=1),
        due_at=clock() + timedelta(days=1),
        due_seconds=900.5,
        clock_stops_in=("waiting",),
    )
    added = records.run(lambda tx: tx.requests.add(new))
    read = records.read(lambda tx: tx.requests.get(new.id))
    assert read == added
    for name in NewRequest.__dataclass_fields__:
        assert getattr(read, name) == getattr(new, name), name
    assert (added.state, added.version, added.dispatches, added.values) == (S.VALIDATING, 1, 0, None)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param({"\udfff": 1}, id="surrogate in a key"),
        pytest.param([float("nan")], id="nan"),
        pytest.param(float("inf"), id="infinity"),
    ],
)
def test_what_has_no_canonical_json_is_refused_and_nothing_is_recorded(
    records: Records, order: Order, value: Any
) -> None:
    with pytest.raises(NotJsonError):
        order(inputs={"v": value})
    assert records.run(lambda tx: tx.requests.list(RequestFilter())) == Page(())


def test_a_lone_surrogate_in_a_text_is_refused(records: Records, order: Order) -> None:
    request = order()
    with pytest.raises(NotJsonError):
        records.run(lambda tx: tx.requests.move(request.id, S.SCHEDULED, actor="ann", why="\ud800"))
    with pytest.raises(NotJsonError):
        records.run(lambda tx: tx.requests.get("\ud800"))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values, text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_json_value_and_any_text_round_trip(records: Records, order: Order, value: JsonValue, text: str) -> None:
    request = order(inputs=value, source_id=text)
    read = records.read(lambda tx: tx.requests.get(request.id))
    assert read is not None
    assert (read.inputs.public, read.source_id) == (value, text)


def test_a_name_too_long_to_be_indexed_is_refused_by_both_databases(records: Records, order: Order) -> None:
    assert order(source_id="é" * 500).source_id == "é" * 500
    with pytest.raises(TooLong, match="1002 bytes"):
        order(source_id="é" * 501)


def test_a_request_cannot_be_recorded_twice_nor_with_a_plan_that_is_not_kept(
    records: Records, order: Order, clock: Any
) -> None:
    request = order()
    again = NewRequest(
        id=request.id,
        model="disk",
        model_version=1,
        plan_digest=request.plan_digest,
        requester=Person("ann"),
        requested_for=Person("ann"),
        caller="desk",
        channel="api",
        inputs=Sealed("inputs", {}),
        submitted=clock(),
    )
    with pytest.raises(Conflict):
        records.run(lambda tx: tx.requests.add(again))
    unpinned = replace(again, id=str(uuid4()), plan_digest="0" * 64)
    with pytest.raises(Conflict):
        records.run(lambda tx: tx.requests.add(unpinned))
    assert records.run(lambda tx: tx.requests.get(unpinned.id)) is None


@pytest.mark.parametrize("from_state", list(S), ids=str)
@pytest.mark.parametrize("to", list(S), ids=str)
def test_a_move_is_legal_exactly_where_the_table_says_so(
    records: Records, order: Order, from_state: RequestState, to: RequestState
) -> None:
    request = move(records, order(), *PATHS[from_state])
    audited = records.run(lambda tx: tx.audit.of(request.id))
    if to in LEGAL_MOVES[from_state]:
        assert move(records, request, to).state is to
        assert len(records.run(lambda tx: tx.audit.of(request.id))) == len(audited) + 1
    else:
        with pytest.raises(IllegalTransition, match=f"is {from_state} and cannot become {to}"):
            move(records, request, to)
        assert records.run(lambda tx: tx.requests.get(request.id)) == request
        assert records.run(lambda tx: tx.audit.of(request.id)) == audited


PATHS: dict[RequestState, tuple[RequestState, ...]] = {
    S.VALIDATING: (),
    S.AWAITING_APPROVAL: (S.AWAITING_APPROVAL,),
    S.SCHEDULED: (S.SCHEDULED,),
    S.IN_PROGRESS: (S.SCHEDULED, S.IN_PROGRESS),
    S.WAITING: (S.SCHEDULED, S.IN_PROGRESS, S.WAITING),
    S.ON_HOLD: (S.SCHEDULED, S.IN_PROGRESS, S.ON_HOLD),
    S.UNDOING: (S.SCHEDULED, S.IN_PROGRESS, S.UNDOING),
    S.FULFILLED: (S.SCHEDULED, S.IN_PROGRESS, S.FULFILLED),
    S.FAILED: (S.SCHEDULED, S.IN_PROGRESS, S.UNDOING, S.FAILED),
    S.CANCELLED: (S.CANCELLED,),
    S.REJECTED: (S.REJECTED,),
}


class Moves(RuleBasedStateMachine):
    """Any moves in any order, legal or not: the state is the last legal one's, each is audited, the chain holds."""

    def __init__(self, records: Records, order: Order, clock: Any) -> None:
        super().__init__()
        self.records, self.clock = records, clock
        self.request = order(clock_stops_in=("waiting", "on_hold"))
        self.state = S.VALIDATING
        self.legal = [S.VALIDATING]

    @rule(to=st.sampled_from(S), wait=st.integers(0, 100))
    def try_to_move(self, to: RequestState, wait: int) -> None:
        self.clock.advance(seconds=wait)
        try:
            move(self.records, self.request, to)
        except IllegalTransition:
            assert to not in LEGAL_MOVES[self.state]
        else:
            assert to in LEGAL_MOVES[self.state]
            self.state = to
            self.legal.append(to)

    @precondition(lambda self: bool(LEGAL_MOVES[self.state]))
    @rule(data=st.data())
    def move_on(self, data: st.DataObject) -> None:
        self.try_to_move(data.draw(st.sampled_from(sorted(LEGAL_MOVES[self.state]))), 1)

    @invariant()
    def every_move_is_recorded_and_audited(self) -> None:
        row = self.records.read(lambda tx: tx.requests.get(self.request.id))
        events = self.records.read(lambda tx: tx.audit.of(self.request.id))
        assert row is not None
        assert row.state is self.state
        assert [event.to_state for event in events] == self.legal
        assert [event.from_state for event in events] == [None, *self.legal[:-1]]
        assert row.version == len(self.legal)
        assert (row.ended is not None) is self.state.ended
        assert self.records.read(lambda tx: tx.audit.verify(self.request.id)) == []


def test_no_sequence_of_moves_escapes_the_table_or_the_audit(records: Records, order: Order, clock: Any) -> None:
    class MovesHere(Moves):
        def __init__(self) -> None:
            super().__init__(records, order, clock)

    run_state_machine_as_test(MovesHere, settings=settings(max_examples=15, stateful_step_count=20, deadline=None))


def test_a_move_of_an_unknown_request_is_refused(records: Records) -> None:
    with pytest.raises(NotFound, match="no request 'nobody'"):
        records.run(lambda tx: tx.requests.move("nobody", S.SCHEDULED, actor="ann", why=""))


def test_a_runner_moves_its_request_by_its_epoch(records: Records, order: Order, holder: Holder) -> None:
    request = move(records, order(), S.SCHEDULED)
    records.run(lambda tx: tx.claims.take(request.id, "run-1", holder, timedelta(seconds=30)))
    with pytest.raises(ClaimLost):
        records.run(lambda tx: tx.requests.move(request.id, S.IN_PROGRESS, actor="orderly", why="", epoch=2))
    moved = records.run(lambda tx: tx.requests.move(request.id, S.IN_PROGRESS, actor="orderly", why="", epoch=1))
    assert moved.state is S.IN_PROGRESS


def test_the_row_says_when_the_request_started_and_ended_and_why_it_stands_where_it_does(
    records: Records, order: Order, clock: Any
) -> None:
    request = move(records, order(), S.SCHEDULED)
    clock.advance(seconds=5)
    started = clock()
    move(records, request, S.IN_PROGRESS, S.ON_HOLD)
    clock.advance(seconds=5)
    row = move(records, request, S.IN_PROGRESS, S.FULFILLED)
    assert (row.started, row.ended, row.state_reason, row.state_since) == (started, clock(), "so", clock())
    row = move(records, request, S.UNDOING)
    assert row.ended is None


def test_the_clock_of_a_request_stops_in_the_states_its_model_names(records: Records, order: Order, clock: Any) -> None:
    due = clock() + timedelta(minutes=15)
    request = order(clock_stops_in=("waiting",), due_at=due)
    move(records, request, S.SCHEDULED, S.IN_PROGRESS)
    clock.advance(seconds=60)
    move(records, request, S.WAITING)
    clock.advance(seconds=120)
    row = move(records, request, S.IN_PROGRESS, S.ON_HOLD)
    assert (row.clock_stopped_seconds, row.due_at) == (120.0, due + timedelta(seconds=120))


def test_the_time_a_clock_stood_still_counts_by_the_requests_calendar(
    records: Records, order: Order, clock: Any
) -> None:
    hours = {"mon-sun": ["09:00-10:00"]}
    made, found = load_calendar("c.yaml", json.dumps({"calendar": "short", "zone": "UTC", "open": hours}))
    assert made is not None, found
    opens = clock().replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=1)
    due = opens + timedelta(minutes=30)
    request = order(clock_stops_in=("waiting",), due_at=due, due_calendar=made.to_json())
    clock.advance(seconds=(opens - clock()).total_seconds() - 3600)
    move(records, request, S.SCHEDULED, S.IN_PROGRESS, S.WAITING)
    clock.advance(seconds=3600 + 1200)  # twenty minutes of it within the open hour
    assert move(records, request, S.IN_PROGRESS).due_at == due + timedelta(minutes=20)
    move(records, request, S.WAITING)
    clock.advance(seconds=86_400 - 1200)  # the forty minutes that are left of it
    assert move(records, request, S.IN_PROGRESS).due_at == due + timedelta(days=1)


def test_a_clock_set_back_does_not_make_a_request_due_earlier(records: Records, order: Order, clock: Any) -> None:
    due = clock() + timedelta(minutes=15)
    request = order(clock_stops_in=("waiting",), due_at=due)
    move(records, request, S.SCHEDULED, S.IN_PROGRESS, S.WAITING)
    clock.advance(hours=-1)
    row = move(records, request, S.IN_PROGRESS)
    assert (row.clock_stopped_seconds, row.due_at) == (0.0, due)


def test_values_outputs_and_what_else_is_set_later_are_kept_and_counted(
    records: Records, order: Order, clock: Any
) -> None:
    request = order()
    values, outputs = Sealed("values", {"bucket": "b"}), Sealed("outputs", {"key": None}, ("/key",))
    records.run(lambda tx: tx.requests.set_values(request.id, values))
    records.run(lambda tx: tx.requests.set_outputs(request.id, outputs))
    records.run(lambda tx: tx.requests.set_cancelled_by(request.id, "ann"))
    records.run(lambda tx: tx.requests.set_closed(request.id))
    row = records.run(lambda tx: tx.requests.get(request.id))
    assert row is not None
    assert (row.values, row.outputs, row.cancelled_by, row.closed_at) == (values, outputs, "ann", clock())
    assert row.version == 5


def test_each_new_dispatch_key_counts_as_a_dispatch(records: Records, order: Order) -> None:
    request = order()
    records.run(lambda tx: tx.requests.set_flow_run(request.id, None, "key-1"))
    row = records.run(lambda tx: tx.requests.set_flow_run(request.id, "run-1", "key-1"))
    assert (row.flow_run_id, row.dispatch_key, row.dispatches) == ("run-1", "key-1", 1)
    row = records.run(lambda tx: tx.requests.set_flow_run(request.id, None, "key-2"))
    assert (row.flow_run_id, row.dispatch_key, row.dispatches) == (None, "key-2", 2)


def test_one_flow_run_belongs_to_one_request(records: Records, order: Order) -> None:
    first, second = order(), order()
    records.run(lambda tx: tx.requests.set_flow_run(first.id, "run-1", "key-1"))
    with pytest.raises(Conflict):
        records.run(lambda tx: tx.requests.set_flow_run(second.id, "run-1", "key-2"))


def test_pages_list_every_request_once_newest_first_while_others_come_in(
    records: Records, order: Order, clock: Any
) -> None:
    made = []
    for number in range(7):
        if number % 3 == 0:  # some share their moment
            clock.advance(seconds=1)
        made.append(order())
    expected = [row.id for row in sorted(made, key=lambda row: (row.submitted, row.id), reverse=True)]

    def next_page(cursor: str | None) -> Page[RequestRow]:
        return records.read(lambda tx: tx.requests.list(RequestFilter(after_cursor=cursor, limit=2)))

    seen: list[str] = []
    cursor = None
    while True:
        page = next_page(cursor)
        seen += [row.id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        clock.advance(seconds=1)
        order()
    assert seen == expected


@pytest.mark.parametrize(
    "cursor", ["x", "!!", "", "bnVsbA", "WzEsMl0", "W251bGwsIngiXQ", "é", "WzFlOTksIngiXQ", "A" * 9]
)
def test_a_cursor_that_is_not_ours_is_refused(records: Records, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        records.run(lambda tx: tx.requests.list(RequestFilter(after_cursor=cursor)))


def test_requests_are_found_by_state_model_people_and_text(records: Records, order: Order) -> None:
    cid = Person("cid", "Cid Über%", "cid@example.org")
    plain = order()
    other = order(model="account", requester=cid, requested_for="ann", source_id="T\\0-7")
    moved = move(records, order(), S.SCHEDULED)

    def found(**wanted: Any) -> set[str]:
        return {row.id for row in records.read(lambda tx: tx.requests.list(RequestFilter(**wanted))).items}

    assert found(state=S.SCHEDULED) == {moved.id}
    assert found(model="account") == {other.id}
    assert found(requester="ann") == {plain.id, moved.id}
    assert found(involving="ann") == {plain.id, moved.id, other.id}
    assert found(text="ÜBER%") == {other.id}
    assert found(text="t\\0-") == {other.id}
    assert found(text="%") == {other.id}
    assert found(text="_") == set()
    assert found(text="\0") == set()
    assert found(text=plain.id[:13].upper()) == {plain.id}
    assert found(model="account\0") == set()


def test_requests_in_some_states_come_oldest_first(records: Records, order: Order, clock: Any) -> None:
    first = order()
    clock.advance(seconds=1)
    second = move(records, order(), S.SCHEDULED)
    move(records, order(), S.CANCELLED)
    rows = records.read(lambda tx: tx.requests.in_states([S.VALIDATING, S.SCHEDULED]))
    assert [row.id for row in rows] == [first.id, second.id]
    assert records.read(lambda tx: tx.requests.in_states([])) == []
