"""Every operation of every AWS service can be written into a model: its minimal valid call compiles."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_samples import minimal
from connectors.aws.services import Service, Services
from connectors.registry import ConnectorContext, Registry
from request_models.actions import ActionBroken, EffectClass
from request_models.compiler import compile_model, load_model
from request_models.diagnostics import Severity
from request_models.json_values import JsonValue
from request_models.value_types import ObjectType

TAKES_EVENTS = {
    "bedrock-runtime.invoke_model_with_bidirectional_stream",
    "connecthealth.start_medical_scribe_listening_session",
    "lexv2-runtime.start_conversation",
    "polly.start_speech_synthesis_stream",
    "qbusiness.chat",
}
"""What no client for Python can call, so no step can either; botocore takes them out of its clients itself."""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.discover({}, ConnectorContext(state=tmp_path)) as found:
        yield found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_operation_has_a_spec_and_compiles_from_its_minimal_valid_call(registry: Registry) -> None:
    compiled, refused = 0, set[str]()
    for service in Services().all():
        assert len(service.operations) == len(service.model.operation_names), f"names collide in {service.name}"
        for operation in service.operations:
            if _compiles(registry, service, operation):
                compiled += 1
            else:
                refused.add(f"{service.name}.{operation}")
    assert refused == TAKES_EVENTS
    assert compiled > 19_000


def test_operations_of_a_sample_of_services_compile_from_their_minimal_valid_calls(registry: Registry) -> None:
    services = Services()
    names = services.names[::40]
    found = [service for name in names if (service := services.get(name)) is not None]
    assert len(found) == len(names) > 10
    assert all(_compiles(registry, service, operation) for service in found for operation in service.operations)


@pytest.mark.parametrize("name", sorted(TAKES_EVENTS))
def test_an_operation_that_takes_a_stream_of_events_is_refused_when_compiling(registry: Registry, name: str) -> None:
    source, _ = load_model("model.yaml", _model(f"aws.{name}", {}, undo=True))
    assert source is not None
    diagnostic = compile_model(source, registry).diagnostics[0]
    assert diagnostic.code == "broken-action"
    assert "stream of events" in diagnostic.message


def _compiles(registry: Registry, service: Service, operation: str) -> bool:
    """False when it takes a stream of events; anything else that is wrong fails the test."""
    action = f"aws.{service.name}.{operation}"
    try:
        spec = registry.spec(action)
    except ActionBroken:
        return False
    assert spec is not None
    assert spec.title
    assert isinstance(spec.result, ObjectType)
    model = service.operation(operation)
    assert model is not None
    call = minimal(model, without=frozenset(model.idempotent_members if model.input_shape is not None else ()))
    text = _model(action, call, undo=spec.effect is not EffectClass.READ_ONLY)
    source, diagnostics = load_model("model.yaml", text)
    assert source is not None, f"{action}: {diagnostics}"
    compilation = compile_model(source, registry)
    errors = [found for found in compilation.diagnostics if found.severity is Severity.ERROR]
    assert errors == [], f"{action}: {errors}\n{text}"
    assert compilation.plan is not None
    return True


def _model(action: str, call: dict[str, JsonValue], *, undo: bool) -> str:
    """A model with one step, as YAML (which JSON is)."""
    step: dict[str, JsonValue] = {"id": "call", "uses": action, "with": call}
    if undo:
        step["undo"] = {"none": "nothing is taken back"}
    return json.dumps(
        {
            "model": "one-call",
            "title": "One call",
            "kind": "resource",
            "service": "calls",
            "owners": {"accountable": "calls-owner"},
            "due": {"within": "PT1H"},
            "steps": [step],
        },
        ensure_ascii=False,
    )
