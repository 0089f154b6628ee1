"""The filters and tests of the expression language: for each its arguments, what it does, and its type rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from request_models.errors import TypeRuleError
from request_models.json_values import MAX_DEPTH, JsonValue, canonical_json
from request_models.scope_values import DateText, DateTimeText, Omitted, Undefined, plain_value, temporal
from request_models.value_types import ValueType

MAX_PRODUCED_TEXT = 2_097_152
"""Longest text an expression may make, in characters."""
MAX_WORK = 400_000
"""Units of work one evaluation may spend: a node, a list item, or 64 characters of text cost one."""
MAX_COMPARED_DEPTH = 100

Argument = TypeVar("Argument")


class Work:
    """What one evaluation may still spend."""

    def __init__(self) -> None:
        self._left = MAX_WORK

    def spend(self, units: int) -> None:
        """Take units off; raises TypeRuleError when there are none left."""
        self._left -= units
        if self._left < 0:
            raise TypeRuleError("this takes too much work to evaluate")

    def text(self, text: str) -> str:
        """The text, paid for; raises TypeRuleError when it is too long."""
        if len(text) > MAX_PRODUCED_TEXT:
            raise TypeRuleError(f"the text grows longer than {MAX_PRODUCED_TEXT} characters")
        self.spend(1 + len(text) // 64)
        return text

    def items(self, items: list[object]) -> list[object]:
        """The list, paid for."""
        self.spend(1 + len(items))
        return items

    def whole(self, value: object) -> object:
        """The value, paid for with all that is in it; raises TypeRuleError when it is too large, or is no JSON.

        One list may stand in another many times: what it costs to write is seen only by walking through all of it.
        """
        pending: list[tuple[object, int]] = [(value, 0)]
        while pending:
            part, depth = pending.pop()
            if depth > MAX_DEPTH:
                raise TypeRuleError("a value is nested too deeply")
            self.spend(1)
            match part:
                case str():
                    self.spend(len(part) // 64)
                    _refuse_half_characters(part)
                case list() | tuple():
                    pending.extend((item, depth + 1) for item in part)
                case Mapping():
                    pending.extend((key, depth + 1) for key in part)
                    pending.extend((item, depth + 1) for item in part.values())
                case timedelta() if part < timedelta(0):
                    raise TypeRuleError("a duration below zero cannot be written")
                case Undefined() | Omitted():
                    raise TypeRuleError("there is no value to use here")
                case _:
                    pass
        return value


@dataclass(frozen=True)
class Function:
    """A filter or a test. `apply` takes the work, the value and all parameters in order, None where not given.

    `rule` types it from the types of the value and the given arguments (None where not given), or raises TypeRuleError.
    `takes_absent` says that the value may be undefined.
    """

    name: str
    parameters: tuple[str, ...]
    required: int
    apply: Callable[..., object]
    rule: Callable[..., ValueType]
    documentation: str
    takes_absent: bool = False

    def bind(self, given: Sequence[Argument], named: Mapping[str, Argument]) -> list[Argument | None]:
        """The arguments in the order of the parameters; raises TypeRuleError when they do not fit."""
        if len(given) > len(self.parameters):
            raise TypeRuleError(f"`{self.name}` takes {len(self.parameters)} arguments at most")
        bound: dict[str, Argument] = dict(zip(self.parameters, given, strict=False))
        for name, value in named.items():
            if name not in self.parameters or name in bound:
                raise TypeRuleError(f"`{self.name}` takes no argument `{name}` here")
            bound[name] = value
        missing = [name for name in self.parameters[: self.required] if name not in bound]
        if missing:
            raise TypeRuleError(f"`{self.name}` needs its argument `{missing[0]}`")
        return [bound.get(name) for name in self.parameters]


def say_kind(value: object) -> str:  # noqa: PLR0911 - one case a kind
    """What kind of value this is, in words; never the value itself."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case DateText():
            return "a date"
        case DateTimeText() | datetime():
            return "a date and time"
        case date():
            return "a date"
        case timedelta():
            return "a duration"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a map"
        case Undefined():
            return "nothing"
        case _:
            return "this"


def _refuse_half_characters(text: str) -> None:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        raise TypeRuleError("a text holds half a character (a lone surrogate), which is not Unicode") from None


def truth(value: object) -> bool:
    """Whether a value counts as true: not null, false, zero, or empty."""
    return bool(value)


def text_of(value: object, work: Work) -> str:
    """A value in a text, paid for: text as it is, anything else as JSON (`true`, `null`, `[1,2]`)."""
    if isinstance(value, str):
        return work.text(str(value))
    plain = plain_value(work.whole(value))
    return work.text(plain if isinstance(plain, str) else canonical_json(plain).decode())


def equal_values(left: object, right: object, work: Work, depth: int = 0) -> bool:
    """Equality of JSON: true is not 1, lists and maps are compared by what is in them; dates by what they stand for."""
    work.spend(1)
    if depth > MAX_COMPARED_DEPTH:
        raise TypeRuleError("these values are nested too deeply to be compared")
    match left, right:
        case bool(), _:
            return left is right
        case _, bool():
            return False
        case ((list() | tuple()), (list() | tuple())):
            pairs = zip(left, right, strict=False)
            return len(left) == len(right) and all(equal_values(a, b, work, depth + 1) for a, b in pairs)
        case Mapping(), Mapping():
            return left.keys() == right.keys() and all(equal_values(left[k], right[k], work, depth + 1) for k in left)
        case _:
            return _equal_scalars(left, right, work)


def _equal_scalars(left: object, right: object, work: Work) -> bool:
    first, second = temporal(left), temporal(right)
    if first is not None and second is not None:
        return first == second
    if isinstance(left, str) and isinstance(right, str):
        work.spend(min(len(left), len(right)) // 64)
    return bool(plain_value(left) == plain_value(right))


def identity_key(value: Any, work: Work) -> bytes:
    """What makes two values the same for `unique`, paid for."""
    plain: JsonValue = plain_value(work.whole(value))
    return canonical_json(plain)
