"""What every connector must do, whatever its system is."""

import itertools
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from connectors.aws import connector as aws_connector
from connectors.http_call import connector as http_connector
from connectors.mail import connector as mail_connector
from connectors.memory import Memory
from connectors.registry import ConnectorContext, ConnectorFactory, Registry
from connectors.runbook import connector as runbook_connector
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionSpec,
    Connector,
    EffectClass,
    ErrorClass,
    Probes,
    ReadsBefore,
)
from request_models.json_values import JsonValue
from request_models.value_types import IntegerType, Member, ObjectType, ValueType

TOKEN = UUID("12345678-1234-5678-1234-567812345678")
NOBODY_LISTENS = "http://127.0.0.1:9"
LOOKED_AT = 400
"""Actions of a connector that a test looks at: AWS has 20,000, and a test of its own walks them all."""


def memory(_context: ConnectorContext) -> Connector:
    made = Memory("memory")
    count = Member(type=IntegerType(minimum=1), required=True)
    made.define(
        ActionSpec(
            name="memory.ring", title="Ring", arguments=ObjectType(members={"times": count}), result=ObjectType()
        )
    )
    made.fail("memory.ring", "The bell is gone.", error_class=ErrorClass.TRANSIENT, times=None)
    return made


def aws(context: ConnectorContext) -> Connector:
    return aws_connector(
        {"endpoint_url": NOBODY_LISTENS, "region": "eu-west-1", "access_key_id": "AK", "secret_access_key": "hush"},
        context,
    )


MAKERS: dict[str, Callable[[ConnectorContext], Connector]] = {
    "aws": aws,
    "http": lambda context: http_connector({}, context),
    "mail": lambda context: mail_connector({"host": "127.0.0.1", "port": 9, "from": "orderly@example.org"}, context),
    "memory": memory,
    "runbook": lambda context: runbook_connector({}, context),
}
UNREACHABLE: dict[str, tuple[str, dict[str, JsonValue]]] = {
    "aws": ("aws.s3.list_buckets", {}),
    "http": ("http.post", {"url": NOBODY_LISTENS}),
    "mail": ("mail.send", {"to": "a@example.org", "subject": "s", "text": "t"}),
    "memory": ("memory.ring", {"times": 1}),
}
"""A call of each connector whose system does not answer: nothing was sent, so it is transient whatever it would do."""


@pytest.fixture(params=sorted(MAKERS))
def connector(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connector]:
    made = MAKERS[request.param](ConnectorContext(state=tmp_path))
    yield made
    made.close()


def names(connector: Connector) -> list[str]:
    return list(itertools.islice(connector.names(), LOOKED_AT))


def spec_of(connector: Connector, name: str) -> ActionSpec:
    action = connector.find(name)
    assert action is not None, f"{name} is listed and not found"
    return action.spec


def test_what_is_listed_is_found_under_that_very_name(connector: Connector) -> None:
    listed = names(connector)
    assert listed
    assert len(set(listed)) == len(listed)
    for name in listed:
        assert name.startswith(f"{connector.name}.")
        assert spec_of(connector, name).name == name


def test_a_spec_is_the_same_each_time(connector: Connector) -> None:
    for name in names(connector)[:50]:
        assert spec_of(connector, name) == spec_of(connector, name)


def test_a_spec_is_complete(connector: Connector) -> None:
    for name in names(connector):
        spec = spec_of(connector, name)
        assert spec.title
        assert spec.contract
        assert isinstance(spec.result, ValueType)
        assert (spec.token_lifetime is not None) == (spec.effect is EffectClass.TAKES_TOKEN)
        assert spec.probes or spec.effect is not EffectClass.HAS_PROBE
        assert (spec.target is None) == (spec.system is None)


def test_an_action_can_do_what_its_spec_says(connector: Connector) -> None:
    for name in names(connector):
        action = connector.find(name)
        assert action is not None
        assert isinstance(action, ReadsBefore) or not action.spec.reads_before
        assert isinstance(action, Probes) or not action.spec.probes
        if action.spec.lifetime_argument is not None:
            assert action.spec.lifetime_argument in action.spec.arguments.members
        if action.spec.effect is EffectClass.READ_ONLY:
            assert not action.spec.reads_before
            assert not action.spec.probes


@pytest.mark.parametrize(
    "name", ["", "{0}", "{0}.", ".{0}", "{0}.no_such_action", "other.thing", "{0}.{0}.{0}", "{0}\n"]
)
def test_what_is_no_action_is_not_found_and_nothing_breaks(connector: Connector, name: str) -> None:
    assert connector.find(name.format(connector.name)) is None


def test_content_is_given_for_every_digest_a_spec_names_and_for_no_other(connector: Connector) -> None:
    for name in names(connector):
        digest = spec_of(connector, name).content_digest
        assert digest is None or connector.content(digest)
    assert connector.content("0" * 64) is None


def test_a_registry_takes_it_and_suggests_its_actions(connector: Connector) -> None:
    registry = Registry([connector])
    name = names(connector)[0]
    assert registry.spec(name) == spec_of(connector, name)
    assert name in registry.suggestions(name[:-1])


def test_closing_twice_is_harmless(connector: Connector) -> None:
    connector.close()


@pytest.mark.parametrize("kind", sorted(UNREACHABLE))
def test_a_system_that_cannot_be_reached_is_transient_and_the_message_is_for_people(kind: str, tmp_path: Path) -> None:
    connector = MAKERS[kind](ConnectorContext(state=tmp_path))
    name, arguments = UNREACHABLE[kind]
    with pytest.raises(ActionFailed) as caught:
        run(connector, name, arguments)
    connector.close()
    assert caught.value.error_class is ErrorClass.TRANSIENT
    assert caught.value.code
    assert "Traceback" not in str(caught.value)
    assert "hush" not in str(caught.value)


@contextmanager
def hanging_up(greeting: bytes = b"") -> Iterator[int]:
    """The port of a server that reads what it is sent, and leaves without an answer."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if not greeting:
                self.request.recv(65536)
                return
            self.wfile.write(greeting)
            for line in self.rfile:
                if line.rstrip() == b".":
                    return
                command = line[:4].upper()
                if command == b"DATA":
                    self.wfile.write(b"354 Go on\r\n")
                elif command in {b"EHLO", b"MAIL", b"RCPT"}:
                    self.wfile.write(b"250 OK\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


UNANSWERED: list[tuple[str, str, dict[str, JsonValue]]] = [
    ("aws", "aws.s3.list_buckets", {}),
    ("aws", "aws.ec2.create_tags", {"Resources": ["vpc-1"], "Tags": [{"Key": "a", "Value": "b"}]}),
    ("aws", "aws.ec2.run_instances", {"MinCount": 1, "MaxCount": 1}),
    ("aws", "aws.ec2.create_vpc", {"CidrBlock": "10.0.0.0/16"}),
    ("aws", "aws.sqs.send_message", {"QueueUrl": "http://127.0.0.1/q", "MessageBody": "m"}),
    ("http", "http.get", {}),
    ("http", "http.head", {}),
    ("http", "http.put", {}),
    ("http", "http.delete", {}),
    ("http", "http.patch", {}),
    ("http", "http.post", {}),
    ("http", "http.post", {"honours_key_for": "PT1H"}),
    ("mail", "mail.send", {"to": "a@example.org", "subject": "s", "text": "t"}),
]
"""Calls of every effect class there is of each connector that speaks to a server."""


@pytest.mark.parametrize(("kind", "name", "arguments"), UNANSWERED)
def test_what_was_sent_and_not_answered_is_unknown_unless_it_only_reads(
    kind: str, name: str, arguments: dict[str, JsonValue], tmp_path: Path
) -> None:
    """Whatever the effect class: transient means that there was no effect, and brings a new token."""
    context = ConnectorContext(state=tmp_path)
    with hanging_up(b"220 hello\r\n" if kind == "mail" else b"") as port:
        url = f"http://127.0.0.1:{port}"
        settings: dict[str, dict[str, JsonValue]] = {
            "aws": {"endpoint_url": url, "region": "eu-west-1", "access_key_id": "AK", "secret_access_key": "hush"},
            "http": {},
            "mail": {"host": "127.0.0.1", "port": port, "from": "orderly@example.org"},
        }
        makers: dict[str, ConnectorFactory] = {"aws": aws_connector, "http": http_connector, "mail": mail_connector}
        connector: Connector = makers[kind](settings[kind], context)
        given = {"url": f"{url}/x", **arguments} if kind == "http" else arguments
        with pytest.raises(ActionFailed) as caught:
            run(connector, name, given)
        reads = spec_of(connector, name).effect is EffectClass.READ_ONLY
        connector.close()
    assert caught.value.error_class is (ErrorClass.TRANSIENT if reads else ErrorClass.UNKNOWN), str(caught.value)


@pytest.mark.parametrize("kind", ["aws", "http", "mail"])
def test_a_call_that_was_cancelled_is_not_made(kind: str, tmp_path: Path) -> None:
    connector = MAKERS[kind](ConnectorContext(state=tmp_path))
    name, arguments = UNREACHABLE[kind]
    with pytest.raises(ActionFailed, match="cancelled") as caught:
        run(connector, name, arguments, cancelled=lambda: True)
    connector.close()
    assert caught.value.error_class is ErrorClass.TRANSIENT


def run(
    connector: Connector, name: str, arguments: dict[str, JsonValue], cancelled: Callable[[], bool] = lambda: False
) -> None:
    action = connector.find(name)
    assert action is not None
    action.run(
        ActionCall(
            action=name, arguments=arguments, token=TOKEN, request_id="r", step_path="s", timeout_seconds=5,
            cancelled=cancelled,
        )
    )  # fmt: skip
