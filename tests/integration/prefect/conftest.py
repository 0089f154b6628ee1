"""A Prefect server for the session, and an Orderly with keeper and worker on it for each module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_estate import Estate, PrefectServer, make_estate, warm_parents_of
from waiting import wait_until


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
    # The worker makes its warm parent when it has started; the first test is not to be taken for its cause.
    if made.settings.worker.warm:
        wait_until("the worker has a warm parent", lambda: warm_parents_of(made.parts["worker"].pid), 60)
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
