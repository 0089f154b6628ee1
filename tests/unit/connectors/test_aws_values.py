"""JSON to botocore parameters, and answers to JSON."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from botocore.model import OperationModel, ServiceModel

from connectors.aws.values import AnswerTooLong, ArgumentRefused, to_json, to_parameters

SHAPES = {
    "Text": {"type": "string"},
    "Blob": {"type": "blob"},
    "Stream": {"type": "blob", "streaming": True},
    "Time": {"type": "timestamp"},
    "Times": {"type": "list", "member": {"shape": "Time"}},
    "Blobs": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Blob"}},
    "Free": {"type": "structure", "members": {}, "document": True},
    "Event": {"type": "structure", "members": {"data": {"shape": "Blob"}}, "event": True},
    "Events": {"type": "structure", "members": {"chunk": {"shape": "Event"}}, "eventstream": True},
    "All": {
        "type": "structure",
        "members": {
            "text": {"shape": "Text"},
            "blob": {"shape": "Blob"},
            "time": {"shape": "Time"},
            "times": {"shape": "Times"},
            "blobs": {"shape": "Blobs"},
            "free": {"shape": "Free"},
            "body": {"shape": "Stream"},
            "events": {"shape": "Events"},
        },
    },
}


@pytest.fixture
def operation() -> OperationModel:
    model = ServiceModel(
        {
            "metadata": {"apiVersion": "1", "endpointPrefix": "x", "protocol": "json"},
            "operations": {"Do": {"name": "Do", "input": {"shape": "All"}, "output": {"shape": "All"}}},
            "shapes": SHAPES,
        },
        "x",
    )
    return model.operation_model("Do")


def test_base64_and_times_become_what_botocore_takes(operation: OperationModel) -> None:
    made = to_parameters(
        operation,
        {
            "text": "aGk=",
            "blob": "aGk=",
            "times": ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+01:00"],
            "blobs": {"k": "aGk="},
            "free": {"blob": "aGk="},
        },
    )
    assert made == {
        "text": "aGk=",
        "blob": b"hi",
        "times": [datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 11, tzinfo=UTC)],
        "blobs": {"k": b"hi"},
        "free": {"blob": "aGk="},
    }


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("blob", "not base64!", "/blob: .*Base64"),
        ("time", "yesterday", "/time: .*ISO 8601"),
        ("time", "2026-01-31T12:00:00", "/time: .*time zone"),
        ("times", ["2026-01-31T12:00:00Z", "x"], "/times/1: "),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_place(
    operation: OperationModel, name: str, value: str, why: str
) -> None:
    with pytest.raises(ArgumentRefused, match=why):
        to_parameters(operation, {name: value})


def test_an_answer_becomes_json(operation: OperationModel) -> None:
    answer = {
        "ResponseMetadata": {"RequestId": "x"},
        "text": None,
        "blob": b"\x00\xff",
        "time": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "blobs": {"k": b"hi"},
        "free": {"n": Decimal("1.5"), "l": [1, None, True]},
        "body": io.BytesIO(b"stream"),
        "unheard_of": {"since": datetime(2026, 1, 31, tzinfo=UTC)},
    }
    assert to_json(operation, answer, max_bytes=100) == {
        "blob": "AP8=",
        "time": "2026-01-31T12:00:00Z",
        "blobs": {"k": "aGk="},
        "free": {"n": 1.5, "l": [1, None, True]},
        "body": "c3RyZWFt",
        "unheard_of": {"since": "2026-01-31T00:00:00Z"},
    }


def test_a_text_that_botocore_decoded_stays_a_text(operation: OperationModel) -> None:
    assert to_json(operation, {"text": {"b": 1, "a": [2]}}, max_bytes=100) == {"text": '{"a": [2], "b": 1}'}


def test_events_are_gathered(operation: OperationModel) -> None:
    events = iter([{"chunk": {"data": b"hi"}}, {"chunk": {"data": b"ho"}}])
    assert to_json(operation, {"events": events}, max_bytes=100) == {
        "events": [{"chunk": {"data": "aGk="}}, {"chunk": {"data": "aG8="}}]
    }


@pytest.mark.parametrize(
    "answer", [{"body": io.BytesIO(b"x" * 101)}, {"events": iter([{"chunk": {"data": b"x" * 100}}])}]
)
def test_a_stream_is_bounded(operation: OperationModel, answer: dict[str, object]) -> None:
    with pytest.raises(AnswerTooLong):
        to_json(operation, answer, max_bytes=100)


def test_a_stream_is_closed_however_it_ends(operation: OperationModel) -> None:
    stream = io.BytesIO(b"x" * 101)
    with pytest.raises(AnswerTooLong):
        to_json(operation, {"body": stream}, max_bytes=100)
    assert stream.closed
