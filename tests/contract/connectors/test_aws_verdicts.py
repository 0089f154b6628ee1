"""Our verdict on literal arguments against botocore's own: never laxer, and stricter only for the reasons we name.

The calls are made up from the shapes themselves (`aws_samples`), valid ones and broken ones, with a seeded chance.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

from aws_samples import broken, valid
from connectors.aws.patterns import ecma_pattern
from connectors.aws.services import Service, Services
from connectors.aws.values import to_parameters
from connectors.registry import ConnectorContext, Registry
from request_models.compiler import compile_model, load_model
from request_models.diagnostics import has_errors
from request_models.formats import FORMATS, matches_pattern
from request_models.json_values import JsonValue
from request_models.value_types import Mismatch, check_value

TOKEN = "12345678-1234-5678-1234-567812345678"
PLAIN = (
    "s3", "iam", "ec2", "dynamodb", "lambda", "sqs", "sns", "kms", "secretsmanager", "ssm", "rds", "ecs", "eks",
    "route53", "cloudwatch", "logs", "autoscaling", "elbv2", "cloudformation", "bedrock-runtime", "bedrock-agent",
    "organizations", "batch", "wafv2", "iot-data", "lex-runtime", "quicksight", "lexv2-models", "s3control", "grafana",
)  # fmt: skip
"""Services that are always among those looked at: much used ones, and ones with odd shapes (recursion, JSON in headers,
documents, names that become part of the host's name)."""
OPERATIONS_OF_A_SERVICE = 6
EVERY_NTH_IS_COMPILED = 10

REASONS = {
    "not in the enum", "does not match the pattern", "more than the maximum", "true or false for a number",
    "bytes that are no Base64", "a time that is no date-time of RFC 3339",
}  # fmt: skip
"""What we refuse and botocore takes, as the docstring of `connectors.aws.shapes` lists it."""


@dataclass
class Tally:
    """What was compared."""

    services: int = 0
    operations: int = 0
    calls: int = 0
    passed: int = 0
    compiled: int = 0
    stricter: Counter[str] = field(default_factory=Counter)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_verdict_is_laxer_than_botocores_and_each_stricter_one_has_a_reason(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    tally = _compare(tmp_path, services=80, calls=64)
    record_testsuite_property("compared with botocore", str(tally))  # in the report of `--junit-xml`
    assert tally.services >= 40
    assert tally.operations >= 200
    assert tally.calls >= 20_000
    assert tally.compiled >= 2_000
    assert 0.2 < tally.passed / tally.calls < 0.8, "valid calls and broken ones are both wanted"
    assert set(tally.stricter) == REASONS


def test_a_sample_of_verdicts_is_not_laxer_than_botocores(tmp_path: Path) -> None:
    assert set(_compare(tmp_path, services=len(PLAIN), calls=8).stricter) <= REASONS


def _compare(state: Path, *, services: int, calls: int) -> Tally:
    """Compare both verdicts on `calls` calls of each operation looked at; any that is laxer fails the test."""
    tally = Tally()
    with Registry.discover({}, ConnectorContext(state=state)) as registry:
        for service in _chosen(services):
            tally.services += 1
            chance = random.Random(service.name)
            names = sorted(service.operations)
            for name in chance.sample(names, min(OPERATIONS_OF_A_SERVICE, len(names))):
                operation = service.operation(name)
                if operation is None or operation.input_shape is None or operation.has_event_stream_input:
                    continue
                tally.operations += 1
                comparison = _Comparison(registry, service, name, operation, tally)
                for call in _calls(operation, chance, calls):
                    comparison.look_at(call)
    return tally


def _chosen(count: int) -> Iterator[Service]:
    services = Services()
    others = [name for name in services.names if name not in PLAIN]
    for name in (*PLAIN, *random.Random(3).sample(others, count - len(PLAIN))):
        service = services.get(name)
        assert service is not None, name
        yield service


def _calls(operation: OperationModel, chance: random.Random, count: int) -> Iterator[dict[str, JsonValue]]:
    for index in range(count):
        call = valid(operation, chance)
        yield call if index % 3 == 0 else broken(operation, call, chance)


class _Comparison:
    """Both verdicts on calls of one operation."""

    def __init__(
        self, registry: Registry, service: Service, name: str, operation: OperationModel, tally: Tally
    ) -> None:
        self._registry = registry
        self._action = f"aws.{service.name}.{name}"
        self._operation = operation
        self._tally = tally
        spec = registry.spec(self._action)
        assert spec is not None
        # The way pages are gathered is an argument of ours, and no parameter of botocore's.
        self._arguments = spec.arguments
        self._effect = spec.effect

    def look_at(self, call: dict[str, JsonValue]) -> None:
        self._tally.calls += 1
        wrong = check_value(self._arguments, call)
        accepted, report = self._botocore(call)
        told = f"{self._action}: {json.dumps(call)[:1500]}"
        if not wrong:
            self._tally.passed += 1
            assert accepted, f"laxer than botocore: {report}\n{told}"
            sent, report = self._botocore(to_parameters(self._operation, call))
            assert sent, f"botocore refuses what is sent: {report}\n{told}"
        elif accepted:
            for mismatch in wrong:
                reason = _reason(self._operation.input_shape, call, mismatch)
                assert reason is not None, f"stricter than botocore for no reason named: {mismatch}\n{told}"
                self._tally.stricter[reason] += 1
        if self._tally.calls % EVERY_NTH_IS_COMPILED == 0 and not _has_expression(call):
            self._tally.compiled += 1
            assert self._compiles(call) == (not wrong), f"the compiler judges otherwise: {wrong}\n{told}"

    def _botocore(self, call: dict[str, object] | dict[str, JsonValue]) -> tuple[bool, str]:
        parameters: dict[str, object] = dict(call)
        for token in self._operation.idempotent_members:
            parameters.setdefault(token, TOKEN)
        try:
            report = ParamValidator().validate(parameters, self._operation.input_shape)
        except (OverflowError, RuntimeError) as error:  # of a time that is none in UTC: botocore does not expect it
            return False, str(error)
        return not report.has_errors(), report.generate_report()

    def _compiles(self, call: dict[str, JsonValue]) -> bool:
        source, diagnostics = load_model("model.yaml", _model(self._action, call, str(self._effect)))
        assert source is not None, diagnostics
        return not has_errors(compile_model(source, self._registry).diagnostics)


def _has_expression(value: JsonValue) -> bool:
    return any(mark in json.dumps(value) for mark in ("{{", "{%", "{#"))


def _model(action: str, call: dict[str, JsonValue], effect: str) -> str:
    undo = {} if effect == "read-only" else {"undo": {"none": "nothing is taken back"}}
    step = {"id": "call", "uses": action, "with": call, **undo}
    document = {
        "model": "one-call", "title": "One call", "kind": "resource", "service": "calls",
        "owners": {"accountable": "calls-owner"}, "due": {"within": "PT1H"}, "steps": [step],
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False)


def _reason(shape: Shape, value: JsonValue, mismatch: Mismatch) -> str | None:
    """Which of the reasons named applies at the place of a mismatch; None when none does."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in mismatch.pointer.split("/")[1:]]
    for token in tokens:
        if isinstance(shape, MapShape) and isinstance(value, dict):
            of_key = _scalar_reason(shape.key, token)
            if of_key is not None:
                return of_key
            shape, value = shape.value, value[token]
        elif isinstance(shape, StructureShape) and isinstance(value, dict):
            shape, value = shape.members[token], value.get(token)
        elif isinstance(shape, ListShape) and isinstance(value, list):
            shape, value = shape.member, value[int(token)]
    return _scalar_reason(shape, value)


def _scalar_reason(shape: Shape, value: JsonValue) -> str | None:
    most = shape.metadata.get("max")
    if shape.type_name == "timestamp":
        fits = isinstance(value, str) and FORMATS["date-time"](value)
        return None if fits else "a time that is no date-time of RFC 3339"
    if isinstance(value, bool):
        return "true or false for a number" if shape.type_name in {"integer", "long", "float", "double"} else None
    if shape.type_name == "blob":
        return "bytes that are no Base64" if isinstance(value, str) and not FORMATS["byte"](value) else None
    if isinstance(value, str):
        enum, pattern = shape.metadata.get("enum"), ecma_pattern(shape.metadata.get("pattern") or "")
        if enum and value not in enum:
            return "not in the enum"
        if pattern and not matches_pattern(pattern, value):
            return "does not match the pattern"
    size = len(value) if isinstance(value, str | list) else value
    return "more than the maximum" if isinstance(size, int | float) and most is not None and size > most else None


@pytest.mark.parametrize(
    ("action", "call", "place"),
    [
        # The names of a map's members have lengths and patterns, as texts do.
        (
            "cloudtrail.start_dashboard_refresh",
            {"DashboardId": "dashboard", "QueryParameterValues": {"$a": "2026"}},
            "/QueryParameterValues/$a",
        ),
        # JSON is taken as a value only where botocore writes it as text, which is in headers.
        (
            "bedrock-agent.put_resource_policy",
            {"resourceArn": "arn:aws:bedrock:eu-west-1:123456789012:agent/A", "policy": {"Version": "2012-10-17"}},
            "/policy",
        ),
        # A moment that is none in UTC cannot be sent.
        ("s3.put_object", {"Bucket": "abc", "Key": "k", "Expires": "0001-01-01T00:00:00+01:00"}, "/Expires"),
    ],
)
def test_what_botocore_refuses_for_reasons_easily_missed_is_refused(
    action: str, call: dict[str, JsonValue], place: str
) -> None:
    service = Services().get(action.partition(".")[0])
    operation = None if service is None else service.operation(action.partition(".")[2])
    assert service is not None
    assert operation is not None
    assert place in [wrong.pointer for wrong in check_value(service.types.arguments(operation, pageable=False), call)]


def test_a_time_in_small_letters_is_sent_as_the_moment_it_names() -> None:
    service = Services().get("s3")
    operation = None if service is None else service.operation("put_object")
    assert operation is not None
    sent = to_parameters(operation, {"Expires": "2026-01-31t13:00:00+01:00"})
    assert sent == {"Expires": datetime(2026, 1, 31, 12, tzinfo=UTC)}
