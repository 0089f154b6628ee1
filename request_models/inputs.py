"""What a user typed, against the inputs of a plan: JSON Schema 2020-12 with ECMA-262 patterns, formats checked.

Strings are taken as they are, NUL characters included, and arrive exactly; a model that wants them shorter or simpler
says so with `maxLength` and `pattern`. The API's limit on a request's size bounds what is not said.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from request_models.formats import FORMATS, is_soon_matched, matches_pattern
from request_models.json_values import JsonValue, NotJsonError, canonical_json, escape_pointer, refuse_what_is_not_json
from request_models.plan import Plan
from request_models.scope_values import dated_by_schema
from request_models.suggestions import nearest

MOST_PROBLEMS = 200
"""Most problems that are told at once: a hostile request may have any number of them."""


@dataclass(frozen=True)
class InputProblem:
    """One thing wrong with the inputs. `pointer` is an RFC 6901 JSON pointer into them; no message holds a value."""

    pointer: str
    code: str
    message: str


def validate_inputs(plan: Plan, inputs: Mapping[str, JsonValue]) -> tuple[dict[str, JsonValue], list[InputProblem]]:
    """The inputs with the defaults of what was not given, and everything that is wrong with them.

    Codes: `missing`, `unknown`, `type`, `value`, `not-json`. A whole number is one written without a fraction: `1.0` is
    refused where an integer is asked for, `true` is no number.
    """
    try:
        refuse_what_is_not_json(dict(inputs))
    except NotJsonError as error:
        return dict(inputs), [InputProblem(error.pointer, "not-json", error.why)]
    completed = _with_defaults(plan.inputs, inputs)
    schema_text = canonical_json(cast(JsonValue, plan.inputs)).decode()
    errors = islice(_validator(schema_text).iter_errors(completed), MOST_PROBLEMS)
    problems = [problem for error in errors for problem in _problems(error)]
    return completed, sorted(problems, key=lambda problem: (problem.pointer, problem.code, problem.message))


def scope_inputs(plan: Plan, inputs: Mapping[str, JsonValue]) -> dict[str, object]:
    """The inputs as expressions see them: formats `date` and `date-time` are real dates. They render as they came."""
    return cast(dict[str, object], dated_by_schema(plan.inputs, dict(inputs)))


def schema_problems(schema: Mapping[str, JsonValue], value: JsonValue) -> list[InputProblem]:
    """Everything wrong with a value by a JSON Schema, as `validate_inputs` finds it."""
    validator = _validator(canonical_json(cast(JsonValue, dict(schema))).decode())
    return [problem for error in validator.iter_errors(value) for problem in _problems(error)]


def _with_defaults(schema: Mapping[str, JsonValue], inputs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    properties = cast(Mapping[str, Mapping[str, JsonValue]], schema.get("properties", {}))
    absent = {name: part["default"] for name, part in properties.items() if name not in inputs and "default" in part}
    return {**inputs, **absent}


@lru_cache(maxsize=512)
def _validator(schema_text: str) -> Validator:
    return cast(Validator, _InputValidator(json.loads(schema_text), format_checker=_FORMAT_CHECKER))


def _pattern(_validator: Any, pattern: str, instance: object, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if not isinstance(instance, str) or len(instance) > schema.get("maxLength", len(instance)):
        return  # `maxLength` refuses it, and bounds what the pattern may cost
    if not is_soon_matched(pattern, len(instance)) or not matches_pattern(pattern, instance):
        yield ValidationError("pattern")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, object], instance: object, _schema: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, part in patterns.items():
        for key, value in instance.items():
            if matches_pattern(pattern, key):
                yield from validator.descend(value, part, path=key, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: object, instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    for key in instance:
        if key in schema.get("properties", {}) or any(matches_pattern(pattern, key) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("unknown", path=[key])
        else:
            yield from validator.descend(instance[key], allowed, path=key)


def _required(_validator: Any, required: list[str], instance: object, _schema: object) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        yield from (ValidationError("missing", path=[name]) for name in required if name not in instance)


def _unique_items(_validator: Any, wanted: object, instance: object, _schema: object) -> Iterator[ValidationError]:
    # The library compares each item with each other; a list of some thousand maps would take minutes.
    if wanted is not True or not isinstance(instance, list):
        return
    if len({canonical_json(_same_numbers(item)) for item in instance}) < len(instance):
        yield ValidationError("twice")


def _same_numbers(value: JsonValue) -> JsonValue:
    """The value with 1.0 written as 1: to JSON Schema they are the same."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_same_numbers(item) for item in value]
        case dict():
            return {key: _same_numbers(item) for key, item in value.items()}
        case _:
            return value


def _is_integer(_checker: object, instance: object) -> bool:
    return isinstance(instance, int) and not isinstance(instance, bool)


def _format_checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, conforms in FORMATS.items():
        checker.checks(name)(_on_text(conforms))
    return checker


def _on_text(conforms: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or conforms(value)


_FORMAT_CHECKER = _format_checker()
_InputValidator = extend(  # type: ignore[no-untyped-call]  # the stubs of jsonschema leave it untyped
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "required": _required,
        "uniqueItems": _unique_items,
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def _problems(error: ValidationError) -> Iterator[InputProblem]:
    pointer = "".join(f"/{escape_pointer(str(part))}" for part in error.absolute_path)
    keyword = str(error.validator)
    yield InputProblem(pointer, _CODES.get(keyword, "value"), _say(error, keyword))


_CODES = {"required": "missing", "additionalProperties": "unknown", "type": "type", "format": "value"}


def _say(error: ValidationError, keyword: str) -> str:  # noqa: PLR0911 - one case a keyword
    """What is wrong, from the schema alone: the value may be a secret, and is never repeated."""
    wanted: Any = error.validator_value
    match keyword:
        case "required":
            return "this input is missing"
        case "additionalProperties":
            return _say_unknown(error)
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"must be {' or '.join(_TYPES.get(kind, kind) for kind in kinds)}"
        case "enum":
            return f"must be one of {', '.join(canonical_json(item).decode() for item in wanted)}"
        case "const":
            return f"must be {canonical_json(wanted).decode()}"
        case "pattern":
            return f"must match the pattern {wanted}"
        case "format":
            return f"must be a valid {wanted}"
        case _ if keyword in _LIMITS:
            return _LIMITS[keyword].format(wanted)
        case _:
            return f"does not fit `{keyword}` of its schema"


def _say_unknown(error: ValidationError) -> str:
    schema = cast(Mapping[str, Any], error.schema)
    near = nearest(str(error.path[-1]), schema.get("properties", {}))
    return f"there is no such input{f'; is `{near}` meant?' if near else ''}"


_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}
_LIMITS = {
    "minLength": "must have {} characters at least",
    "maxLength": "must have {} characters at most",
    "minimum": "must be {} at least",
    "maximum": "must be {} at most",
    "exclusiveMinimum": "must be greater than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minItems": "must have {} items at least",
    "maxItems": "must have {} items at most",
    "uniqueItems": "must not hold an item twice",
    "minProperties": "must have {} members at least",
    "maxProperties": "must have {} members at most",
}
