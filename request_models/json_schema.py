"""JSON Schema (2020-12) as value types, and value types as JSON Schema."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from request_models.errors import SchemaTranslationError
from request_models.json_values import JsonValue, escape_pointer
from request_models.type_algebra import join, resolved, type_of
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    DurationType,
    IntegerType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
)

Schema = Mapping[str, JsonValue]

KEYWORDS = frozenset(
    {
        "type", "title", "description", "default", "examples", "enum", "const", "format", "pattern", "minLength",
        "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "items", "minItems",
        "maxItems", "uniqueItems", "properties", "required", "additionalProperties", "minProperties", "maxProperties",
        "anyOf", "oneOf", "writeOnly", "readOnly", "deprecated",
    }
)  # fmt: skip
"""The keywords of JSON Schema that a model's inputs may use."""

_ALL_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")


def from_json_schema(schema: JsonValue, pointer: str = "") -> ValueType:
    """The type of the values a schema allows. What the lattice cannot say (`multipleOf`) is left to run time.

    Raises SchemaTranslationError for a schema of no sense: an unknown `type`, an `items` that is no schema.
    """
    if schema is True or schema == {}:
        return AnyType()
    if not isinstance(schema, dict):
        raise SchemaTranslationError(pointer, "a schema is a map")
    found = _from_keywords(schema, pointer)
    return replace(
        found,
        secret=found.secret or schema.get("writeOnly") is True,
        description=str(schema.get("description", found.description)),
    )


def _from_keywords(schema: Schema, pointer: str) -> ValueType:
    if "const" in schema:
        return _enum([schema["const"]], schema)
    if isinstance(enum := schema.get("enum"), list):
        return _enum(enum, schema)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(keyword), list):
            options = [
                from_json_schema(_merged(schema, branch), f"{pointer}/{keyword}/{index}")
                for index, branch in enumerate(branches)
            ]
            return join(options)
    kinds = schema.get("type", None)
    if kinds is None:
        return AnyType()
    names = kinds if isinstance(kinds, list) else [kinds]
    return join(_of_kind(name, schema, pointer) for name in names)


def _merged(schema: Schema, branch: JsonValue) -> JsonValue:
    if not isinstance(branch, dict):
        return branch
    kept = {"type", "properties", "required", "items", "format"}
    outer = {key: value for key, value in schema.items() if key in kept}
    return {**outer, **branch}


def _enum(enum: list[JsonValue], schema: Schema) -> ValueType:
    texts = tuple(item for item in enum if isinstance(item, str))
    if len(texts) == len(enum):
        return StringType(enum=texts, format=_text(schema.get("format")))
    whole = tuple(item for item in enum if isinstance(item, int) and not isinstance(item, bool))
    if len(whole) == len(enum):
        return IntegerType(enum=whole)
    format_name = _text(schema.get("format"))
    kinds = (type_of(item) for item in enum)
    return join(replace(kind, format=format_name) if isinstance(kind, StringType) else kind for kind in kinds)


def _of_kind(name: JsonValue, schema: Schema, pointer: str) -> ValueType:
    match name:
        case "string":
            return StringType(
                pattern=_text(schema.get("pattern")),
                min_length=_whole(schema.get("minLength")),
                max_length=_whole(schema.get("maxLength")),
                format=_text(schema.get("format")),
            )
        case "integer":
            return IntegerType(minimum=_lowest(schema), maximum=_highest(schema))
        case "number":
            low, high = schema.get("minimum"), schema.get("maximum")
            return NumberType(minimum=_number(low), maximum=_number(high))
        case "boolean":
            return BooleanType()
        case "null":
            return NullType()
        case "array":
            return _array(schema, pointer)
        case "object":
            return _object(schema, pointer)
        case _:
            raise SchemaTranslationError(f"{pointer}/type", f"a type is one of {', '.join(_ALL_TYPES)}")


def _array(schema: Schema, pointer: str) -> ValueType:
    return ArrayType(
        items=from_json_schema(schema.get("items", True), f"{pointer}/items"),
        min_items=_whole(schema.get("minItems")),
        max_items=_whole(schema.get("maxItems")),
        unique=schema.get("uniqueItems") is True,
    )


def _object(schema: Schema, pointer: str) -> ValueType:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise SchemaTranslationError(pointer, "`properties` is a map and `required` a list")
    members = {
        name: Member(
            type=from_json_schema(part, f"{pointer}/properties/{escape_pointer(name)}"),
            required=name in required,
            default=part.get("default") if isinstance(part, dict) else None,
        )
        for name, part in properties.items()
    }
    others = schema.get("additionalProperties", True)
    other = None if others is False else from_json_schema(others, f"{pointer}/additionalProperties")
    return ObjectType(members=members, others=other)


def _lowest(schema: Schema) -> int | None:
    bounds = [_whole_up(schema.get("minimum")), _whole_up(schema.get("exclusiveMinimum"), 1)]
    return max((bound for bound in bounds if bound is not None), default=None)


def _highest(schema: Schema) -> int | None:
    bounds = [_whole_down(schema.get("maximum")), _whole_down(schema.get("exclusiveMaximum"), 1)]
    return min((bound for bound in bounds if bound is not None), default=None)


def _whole_up(value: JsonValue, step: int = 0) -> int | None:
    number = _number(value)
    if number is None:
        return None
    floor = int(number // 1)
    return floor + step if floor == number else floor + 1


def _whole_down(value: JsonValue, step: int = 0) -> int | None:
    number = _number(value)
    if number is None:
        return None
    floor = int(number // 1)
    return floor - step if floor == number else floor


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def in_scope(value_type: ValueType) -> ValueType:
    """The type expressions see of an input: texts of format `date` and `date-time` are dates."""
    match value_type:
        case StringType(format="date"):
            return DateType(secret=value_type.secret, description=value_type.description)
        case StringType(format="date-time"):
            return DateTimeType(secret=value_type.secret, description=value_type.description)
        case ArrayType():
            return replace(value_type, items=in_scope(value_type.items))
        case ObjectType():
            members = {name: replace(member, type=in_scope(member.type)) for name, member in value_type.members.items()}
            return replace(value_type, members=members)
        case UnionType(options=options):
            return replace(value_type, options=tuple(in_scope(option) for option in options))
        case _:
            return value_type


def as_json(value_type: ValueType) -> ValueType:
    """The type a value has once it is written as JSON: dates and durations are text of their format."""
    match value_type:
        case DateType():
            return StringType(format="date", secret=value_type.secret)
        case DateTimeType():
            return StringType(format="date-time", secret=value_type.secret)
        case DurationType():
            return StringType(format="duration", secret=value_type.secret)
        case UnionType(options=options):
            inner = tuple(as_json(option) for option in options)
            return value_type if _same(inner, options) else replace(value_type, options=inner)
        case ArrayType():
            items = as_json(value_type.items)
            return value_type if items is value_type.items else replace(value_type, items=items)
        case ObjectType():
            return _map_as_json(value_type)
        case _:
            return value_type


def _map_as_json(found: ObjectType) -> ObjectType:
    others = None if found.others is None else as_json(found.others)
    kinds = [as_json(member.type) for member in found.members.values()]
    if others is found.others and _same(kinds, [member.type for member in found.members.values()]):
        return found
    changed = zip(found.members.items(), kinds, strict=True)
    return replace(found, members={name: replace(member, type=kind) for (name, member), kind in changed}, others=others)


def _same(new: Sequence[ValueType], old: Sequence[ValueType]) -> bool:
    """Whether nothing was changed: then what is large need not be made again."""
    return all(one is other for one, other in zip(new, old, strict=True))


def to_json_schema(value_type: ValueType, depth: int = 0) -> dict[str, JsonValue]:
    """A schema that allows the values of the type. A recursive type allows anything from some depth on."""
    found = as_json(resolved(value_type))
    schema = {} if depth > 12 else _schema_of(found, depth)
    if found.secret:
        schema["writeOnly"] = True
    if found.description:
        schema["description"] = found.description
    return schema


def _schema_of(found: ValueType, depth: int) -> dict[str, JsonValue]:  # noqa: PLR0911 - one case a type
    match found:
        case NullType():
            return {"type": "null"}
        case BooleanType():
            return {"type": "boolean"}
        case IntegerType(enum=enum, minimum=low, maximum=high):
            values: JsonValue = [*enum] if enum is not None else None
            return _given({"type": "integer", "enum": values, "minimum": low, "maximum": high})
        case NumberType(minimum=least, maximum=most):
            return _given({"type": "number", "minimum": least, "maximum": most})
        case StringType():
            return _text_schema(found)
        case ArrayType():
            return _given(
                {
                    "type": "array",
                    "items": to_json_schema(found.items, depth + 1),
                    "minItems": found.min_items,
                    "maxItems": found.max_items,
                    "uniqueItems": True if found.unique else None,
                }
            )
        case ObjectType():
            return _object_schema(found, depth)
        case UnionType(options=options):
            return {"anyOf": [to_json_schema(option, depth + 1) for option in options]}
        case _:
            return {}


def _text_schema(text: StringType) -> dict[str, JsonValue]:
    return _given(
        {
            "type": "string",
            "enum": [*text.enum] if text.enum is not None else None,
            "pattern": text.pattern,
            "minLength": text.min_length,
            "maxLength": text.max_length,
            "format": text.format,
        }
    )


def _object_schema(found: ObjectType, depth: int) -> dict[str, JsonValue]:
    properties: dict[str, JsonValue] = {}
    for name, member in found.members.items():
        part = to_json_schema(member.type, depth + 1)
        properties[name] = {**part, "default": member.default} if member.default is not None else part
    required: list[JsonValue] = [name for name, member in found.members.items() if member.required]
    others: JsonValue = False if found.others is None else to_json_schema(found.others, depth + 1)
    schema: dict[str, JsonValue] = {"type": "object", "properties": properties, "additionalProperties": others}
    return {**schema, "required": required} if required else schema


def _given(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: value for key, value in schema.items() if value is not None}
