"""What every connector must do, whatever its system is."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from connectors.aws import connector as aws_connector
from connectors.http_call import connector as http_connector
from connectors.mail import connector as mail_connector
from connectors.memory import Memory
from connectors.registry import ConnectorContext, Registry
from connectors.runbook import connector as runbook_connector
from request_models.actions import (
    ActionCall,
    ActionFailed,
    ActionSpec,
    Connector,
    EffectClass,
    ErrorClass,
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
        assert (spec.target is None) == (spec.system is None)


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
