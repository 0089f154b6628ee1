"""Real servers for the connectors: an AWS stand-in over HTTP, and calls made as execution makes them."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
from moto.server import ThreadedMotoServer

from request_models.actions import ActionCall, ActionFailed, ActionResult, Connector
from request_models.json_values import JsonValue

Run = Callable[..., ActionResult]


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """The address of moto's server; its state lasts as long as the session."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def run() -> Run:
    """Call an action: `run(connector, "aws.s3.create_bucket", {"Bucket": "b"}, target={...}, token=...)`."""

    def call(
        connector: Connector, name: str, arguments: dict[str, JsonValue], *, token: UUID | None = None, **more: object
    ) -> ActionResult:
        action = connector.find(name)
        assert action is not None, f"there is no action {name}"
        parts = {"request_id": "r", "step_path": "s", "timeout_seconds": 20.0, **more}
        made = ActionCall(action=name, arguments=arguments, token=token or uuid4(), **parts)  # type: ignore[arg-type]  # the parts of a call, named by the test
        return action.run(made)

    return call


@pytest.fixture
def failing(run: Run) -> Callable[..., ActionFailed]:
    """Like `run`, for calls that fail; gives the failure."""

    def call(*arguments: object, **more: object) -> ActionFailed:
        with pytest.raises(ActionFailed) as caught:
            run(*arguments, **more)
        return caught.value

    return call
