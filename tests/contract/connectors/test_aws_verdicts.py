"""Our verdict on arguments is never laxer than botocore's own: what we let pass, `ParamValidator` lets pass."""

import random
from collections.abc import Callable

import pytest
from botocore.validate import ParamValidator

from connectors.aws.services import Services
from connectors.aws.values import ArgumentRefused, to_parameters
from request_models.json_values import JsonValue
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    LazyType,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
    check_value,
)

OPERATIONS = (
    "s3.create_bucket",
    "s3.put_bucket_lifecycle_configuration",
    "s3.put_bucket_encryption",
    "s3.put_object",
    "iam.create_role",
    "iam.create_policy",
    "ec2.run_instances",
    "ec2.create_vpc",
    "dynamodb.put_item",
    "dynamodb.create_table",
    "dynamodb.transact_write_items",
    "lambda.create_function",
    "sqs.create_queue",
    "sns.publish",
    "kms.create_key",
    "secretsmanager.create_secret",
    "ssm.put_parameter",
    "rds.create_db_instance",
    "ecs.register_task_definition",
    "eks.create_cluster",
    "route53.change_resource_record_sets",
    "cloudwatch.put_metric_alarm",
    "logs.put_retention_policy",
    "autoscaling.create_auto_scaling_group",
    "elbv2.create_load_balancer",
    "cloudformation.create_stack",
    "bedrock-runtime.converse",
    "bedrock-agent.create_agent",
    "organizations.create_account",
    "batch.submit_job",
)
SAMPLES = 150
SERVICES = Services()


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_passes_here_passes_botocore(name: str) -> None:
    service_name, _, operation = name.partition(".")
    service = SERVICES.get(service_name)
    assert service is not None
    model = service.operation(operation)
    assert model is not None
    arguments = service.types.arguments(model, pageable=False)
    guess = _Guesser(random.Random(name))
    passed = 0
    for round_ in range(SAMPLES):
        value = guess.of(arguments)
        if round_ % 3 == 1:
            value = guess.spoiled(value)
        if not isinstance(value, dict) or check_value(arguments, value):
            continue
        try:
            parameters = to_parameters(model, value)
        except ArgumentRefused:
            continue  # refused by us too, before botocore sees it
        for token in model.idempotent_members:
            parameters.setdefault(token, "12345678-1234-5678-1234-567812345678")
        passed += 1
        report = ParamValidator().validate(parameters, model.input_shape)
        assert not report.has_errors(), f"{report.generate_report()}\n{value}"
    assert passed, "no sample passed, so nothing was compared"


class _Guesser:
    """Values that mostly fit a type; `spoiled` makes something near them that mostly does not."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def of(self, of_type: ValueType, depth: int = 0) -> JsonValue:
        makers: dict[type[ValueType], Callable[[], JsonValue]] = {
            AnyType: lambda: {"any": [1, "x", None]},
            BooleanType: lambda: self._chance.random() < 0.5,
            NumberType: lambda: self._between(of_type, 0.5),
            IntegerType: lambda: self._between(of_type, 1),
        }
        match of_type:
            case LazyType():
                return self.of(of_type.resolved, depth)
            case UnionType():
                return self.of(self._chance.choice(of_type.options), depth)
            case ObjectType():
                return self._object(of_type, depth)
            case ArrayType():
                least = of_type.min_items or 0
                length = least if depth > 5 else least + self._chance.randrange(2)
                return [self.of(of_type.items, depth + 1) for _ in range(length)]
            case StringType():
                return self._string(of_type)
            case _:
                return makers[type(of_type)]()

    def _object(self, of_type: ObjectType, depth: int) -> dict[str, JsonValue]:
        share = 0.5 / (depth + 1)
        made = {
            name: self.of(member.type, depth + 1)
            for name, member in of_type.members.items()
            if member.required or (depth < 5 and self._chance.random() < share)
        }
        if of_type.others is not None and depth < 5:
            made["key"] = self.of(of_type.others, depth + 1)
        return made

    def _between(self, of_type: ValueType, usual: float) -> float:
        assert isinstance(of_type, IntegerType | NumberType)
        return of_type.minimum if of_type.minimum is not None else usual

    def _string(self, of_type: StringType) -> str:
        if of_type.enum:
            return self._chance.choice(of_type.enum)
        if of_type.format == "byte":
            return "aGk="
        if of_type.format == "date-time":
            return "2026-01-31T12:00:00Z"
        shapes = ["a", "arn:aws:iam::123456789012:role/r", "ABCDEFGHIJ", "my-name-1", "12", "a@example.org"]
        fitting = [text for text in shapes if not check_value(of_type, text)]
        return self._chance.choice(fitting or ["a" * (of_type.min_length or 1)])

    def spoiled(self, value: JsonValue) -> JsonValue:
        """The value with one part of it replaced, dropped or added."""
        if isinstance(value, dict) and value and self._chance.random() < 0.8:
            name = self._chance.choice(sorted(value))
            if self._chance.random() < 0.2:
                return {key: item for key, item in value.items() if key != name}
            return {**value, name: self.spoiled(value[name])}
        if isinstance(value, list) and value and self._chance.random() < 0.8:
            return [self.spoiled(value[0]), *value[1:]]
        other: list[JsonValue] = ["", "x", 0, -1, 1.5, True, None, [], {}, {"Unknown": 1}, ["x"], 10**20]
        return self._chance.choice(other)
