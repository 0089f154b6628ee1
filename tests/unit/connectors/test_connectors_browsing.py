"""What editors ask of connectors: names level by level, the words of arguments, groups of hosts."""

import pytest

from connectors.aws.actions import AwsConnector
from connectors.aws.settings import AwsSettings
from connectors.memory import Memory
from connectors.registry import Registry
from request_models.actions import ActionSpec
from request_models.value_types import ObjectType


@pytest.fixture(scope="module")
def aws() -> AwsConnector:
    return AwsConnector(AwsSettings())


def loaded(aws: AwsConnector) -> list[str]:
    return list(aws._services._loaded)


def test_listing_services_reads_the_model_of_none() -> None:
    fresh = AwsConnector(AwsSettings())
    names = fresh.names_below("aws.")
    assert len(names) > 400
    assert {"aws.s3.", "aws.application-autoscaling."} <= set(names)
    assert loaded(fresh) == []


def test_listing_operations_reads_the_model_of_one_service() -> None:
    fresh = AwsConnector(AwsSettings())
    assert "aws.sqs.create_queue" in fresh.names_below("aws.sqs.")
    assert fresh.names_below("aws.no-such.") == []
    assert fresh.names_below("aws.sqs.create_queue.") == []
    assert loaded(fresh) == ["sqs"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("Bucket",), "The name of the bucket to create"),
        (("CreateBucketConfiguration", "LocationConstraint"), "Region"),
        (("CreateBucketConfiguration", "Tags", 0, "Key"), "Name of the object key"),
        (("NoSuch",), ""),
        (("Bucket", "Within"), ""),
    ],
)
def test_aws_says_what_an_argument_is_for(aws: AwsConnector, path: tuple[str | int, ...], words: str) -> None:
    found = aws.argument_documentation("aws.s3.create_bucket", path)
    assert words in found
    assert bool(words) is bool(found)


def test_of_an_action_that_is_none_nothing_is_said(aws: AwsConnector) -> None:
    assert aws.argument_documentation("aws.s3.no_such", ("Bucket",)) == ""
    assert aws.argument_documentation("aws", ()) == ""


def test_a_registry_looks_through_connectors_that_know_nothing_of_it() -> None:
    memory = Memory("box")
    memory.define(ActionSpec(name="box.open", title="Open", arguments=ObjectType(), result=ObjectType()))
    with Registry([memory]) as registry:
        assert registry.names_below("") == ["box."]
        assert registry.names_below("box.") == ["box.open"]
        assert registry.names_below("other.") == []
        assert registry.argument_documentation("box.open", ("x",)) == ""
        assert registry.host_groups() == []
