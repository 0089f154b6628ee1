"""The application on SQLite and on PostgreSQL, with the connectors `stage` and `memory`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.memory import Memory
from connectors.registry import Registry
from flows.execution import Execution
from flows.lifecycle import Lifecycle
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.settings import load_settings
from staging import Clock, House, Stage


@pytest.fixture(params=["sqlite", "postgresql"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    url = request.getfixturevalue("fresh_postgres_url") if request.param == "postgresql" else None
    settings = load_settings(state=tmp_path, database_url=url)
    clock = Clock()
    records = Records.open(settings.records_url, Keyring.open(settings.keyring_file), clock)
    records.migrate()
    stage, memory = Stage(), Memory()
    registry = Registry([stage, memory])
    execution = Execution(records, registry, settings)
    yield House(settings, records, stage, Lifecycle(records, {}), execution, memory, clock)
    records.close()
