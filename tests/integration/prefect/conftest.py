"""A Prefect server for the session, and an Orderly with keeper and worker on it for each module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_estate import Estate, PrefectServer, make_estate


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def estate(prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """With a keeper and a worker."""
    made = make_estate(tmp_path_factory.mktemp("estate"), prefect_server)
    made.start("keeper", "worker")
    yield made
    made.stop()
    made.application.close()


@pytest.fixture(autouse=True)
def idle_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """A flow run's process ends some seconds after its state is final: Prefect joins threads that sleep."""
    yield
    if "estate" in request.fixturenames:
        request.getfixturevalue("estate").wait_until_idle()


@pytest.fixture
def own_estate(prefect_server: PrefectServer, tmp_path: Path) -> Iterator[Estate]:
    """For one test; nothing of it is started."""
    made = make_estate(tmp_path, prefect_server)
    yield made
    made.stop()
    made.application.close()
