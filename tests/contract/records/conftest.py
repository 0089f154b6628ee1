"""The records on each database they run on; a test that takes `records` runs once for each."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.rows import Holder, NewRequest, Person, RequestRow, Sealed
from flows.records.tables import metadata
from request_models.json_values import JsonValue
from request_models.plan import Due, Owners, Plan


@dataclass
class SetClock:
    """A clock that stands still until it is moved."""

    now: datetime = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass(frozen=True)
class Orders:
    """Records requests, each with its own id."""

    records: Records
    plan: Plan
    clock: SetClock

    def __call__(
        self,
        *,
        inputs: JsonValue = None,
        model: str = "disk",
        requester: str | Person = "ann",
        requested_for: str = "ben",
        clock_stops_in: tuple[str, ...] = (),
        due_at: datetime | None = None,
        due_calendar: JsonValue = None,
        source_id: str | None = None,
        parent: str | None = None,
    ) -> RequestRow:
        new = NewRequest(
            id=str(uuid.uuid4()),
            model=model,
            model_version=1,
            plan_digest=self.plan.digest,
            requester=requester if isinstance(requester, Person) else Person(requester),
            requested_for=Person(requested_for),
            caller="desk",
            channel="api",
            inputs=Sealed("inputs", inputs),
            submitted=self.clock(),
            clock_stops_in=clock_stops_in,
            due_at=due_at,
            due_calendar=due_calendar,
            source_id=source_id,
            parent=parent,
        )
        return self.records.run(lambda tx: tx.requests.add(new))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def plan() -> Plan:
    return make_plan()


@pytest.fixture
def make_plan_titled() -> Callable[[str, str], Plan]:
    return make_plan


def make_plan(model: str = "disk", title: str = "A disk") -> Plan:
    return Plan(
        model=model,
        title={"en": title},
        kind="resource",
        service="storage",
        summary={},
        owners=Owners("storage-owner"),
        inputs={"type": "object", "properties": {"size": {"type": "integer"}}},
        due=Due(900.0),
        blocks=(),
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state' / 'records.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.in_memory()


@pytest.fixture
def records(database_url: str, keyring: Keyring, clock: SetClock, plan: Plan) -> Iterator[Records]:
    opened = Records.open(database_url, keyring, clock)
    opened.migrate()
    _empty(opened)
    opened.run(lambda tx: tx.plans.put(plan))
    yield opened
    opened.close()


def _empty(records: Records) -> None:
    """The PostgreSQL database is made once for all tests."""
    with records._engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def order(records: Records, plan: Plan, clock: SetClock) -> Orders:
    return Orders(records, plan, clock)


@pytest.fixture
def holder() -> Holder:
    return Holder("host-1", "boot-1", 4711, 123456)
