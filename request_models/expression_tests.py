"""The tests of the expression language: `value is TEST`."""

from collections.abc import Callable, Mapping

from request_models.comparisons import check_comparable
from request_models.errors import TypeRuleError
from request_models.expression_functions import Function, Work, equal_values, say_kind
from request_models.formats import compiled_pattern, is_soon_matched, matches_pattern
from request_models.scope_values import Undefined
from request_models.type_algebra import any_secret, constant_text, options, say_type
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    IntegerType,
    StringType,
    ValueType,
)


def _of_anything(_value: ValueType, *_arguments: ValueType | None) -> ValueType:
    return BooleanType()


def _of_whole_numbers(value: ValueType) -> ValueType:
    for option in options(value):
        if not isinstance(option, IntegerType | AnyType):
            raise TypeRuleError(f"this test is of whole numbers, but this is {say_type(option)}")
    return BooleanType()


def _of_comparable(value: ValueType, other: ValueType) -> ValueType:
    check_comparable("eq", value, other)
    return BooleanType(secret=any_secret(value) or any_secret(other))


def _of_texts(value: ValueType, part: ValueType) -> ValueType:
    for option in (*options(value), *options(part)):
        if not isinstance(option, StringType | DateType | DateTimeType | AnyType):
            raise TypeRuleError(f"this test is of texts, but this is {say_type(option)}")
    return BooleanType(secret=any_secret(value) or any_secret(part))


def _of_patterns(value: ValueType, pattern: ValueType) -> ValueType:
    found = _of_texts(value, pattern)
    written = constant_text(pattern)
    if written is None:
        raise TypeRuleError("the pattern of `match` is written out where it is used", hint="match('^[a-z]+$')")
    if compiled_pattern(written) is None:
        raise TypeRuleError("this is not a valid ECMA-262 regular expression")
    if not is_soon_matched(written, _LONGEST_MATCHED):
        raise TypeRuleError("this pattern can run away on a text made for that", hint="write a simpler one")
    return found


_LONGEST_MATCHED = 10_000
"""How long a text may be that is looked through for a pattern, in characters."""


def _of_a_list(value: ValueType, container: ValueType) -> ValueType:
    for option in options(container):
        if not isinstance(option, ArrayType | AnyType):
            raise TypeRuleError(f"`is in` looks into a list, but this is {say_type(option)}")
    check_comparable("in", value, container)
    return BooleanType(secret=any_secret(value) or any_secret(container))


def _test(
    name: str,
    apply: Callable[..., bool],
    documentation: str,
    parameters: tuple[str, ...] = (),
    takes_absent: bool = False,
    rule: Callable[..., ValueType] = _of_anything,
) -> Function:
    return Function(name, parameters, len(parameters), apply, rule, documentation, takes_absent)


def _whole(value: object, test: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeRuleError(f"`is {test}` asks about whole numbers, not {say_kind(value)}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _within(work: Work, value: object, container: object) -> bool:
    if not isinstance(container, list | tuple):
        raise TypeRuleError(f"`is in` looks into a list, not {say_kind(container)}")
    return any(equal_values(value, item, work) for item in container)


def _starts(work: Work, value: object, beginning: object) -> bool:
    return _written(work, value, "startswith").startswith(_written(work, beginning, "startswith"))


def _ends(work: Work, value: object, end: object) -> bool:
    return _written(work, value, "endswith").endswith(_written(work, end, "endswith"))


def _matches(work: Work, value: object, pattern: object) -> bool:
    text, looked_for = _written(work, value, "match"), _written(work, pattern, "match")
    if len(text) > _LONGEST_MATCHED or not is_soon_matched(looked_for, len(text)):
        raise TypeRuleError("this text is too large to be looked through for a pattern")
    work.spend(len(text))
    return matches_pattern(looked_for, text)


def _written(work: Work, value: object, test: str) -> str:
    if not isinstance(value, str):
        raise TypeRuleError(f"`is {test}` asks about text, not {say_kind(value)}")
    return work.text(str(value))


ALL_TESTS: tuple[Function, ...] = (
    _test("defined", lambda work, value: not isinstance(value, Undefined), "It is there.", takes_absent=True),
    _test("undefined", lambda work, value: isinstance(value, Undefined), "It is not there.", takes_absent=True),
    _test("none", lambda work, value: value is None, "It is null."),
    _test("true", lambda work, value: value is True, "It is true."),
    _test("false", lambda work, value: value is False, "It is false."),
    _test("boolean", lambda work, value: isinstance(value, bool), "It is true or false."),
    _test("integer", lambda work, value: isinstance(value, int) and not isinstance(value, bool), "A whole number."),
    _test("number", lambda work, value: _is_number(value), "A number."),
    _test("string", lambda work, value: isinstance(value, str), "Text."),
    _test("list", lambda work, value: isinstance(value, list | tuple), "A list."),
    _test("mapping", lambda work, value: isinstance(value, Mapping), "A map."),
    _test("even", lambda work, value: _whole(value, "even") % 2 == 0, "An even whole number.", rule=_of_whole_numbers),
    _test("odd", lambda work, value: _whole(value, "odd") % 2 == 1, "An odd whole number.", rule=_of_whole_numbers),
    _test("in", _within, "It is one of a list's items.", ("list",), rule=_of_a_list),
    _test(
        "equalto",
        lambda work, value, other: equal_values(value, other, work),
        "Equal.",
        ("other",),
        rule=_of_comparable,
    ),
    _test("startswith", _starts, "A text that begins with another.", ("beginning",), rule=_of_texts),
    _test("endswith", _ends, "A text that ends in another.", ("end",), rule=_of_texts),
    _test(
        "match",
        _matches,
        "A text in which an ECMA-262 pattern is found; `^` and `$` hold it at the ends.",
        ("pattern",),
        rule=_of_patterns,
    ),
)

TESTS: Mapping[str, Function] = {test.name: test for test in ALL_TESTS} | {
    alias: test for test in ALL_TESTS if test.name == "equalto" for alias in ("eq", "==")
}
"""By name, other names of the same test included."""
