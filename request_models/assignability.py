"""Whether every value of one type is a value of another: yes, no, or only to be known at run time."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from request_models.formats import FORMATS
from request_models.json_schema import as_json
from request_models.json_values import escape_pointer
from request_models.type_algebra import DEEPEST, options, resolved, say_type
from request_models.value_types import (
    AnyType,
    ArrayType,
    IntegerType,
    LazyType,
    Mismatch,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
    check_value,
    key_problems,
)


class Fit(StrEnum):
    """The three answers. `RUN_TIME`: the value is checked before it is used."""

    FITS = "fits"
    RUN_TIME = "run-time"
    NEVER = "never"


@dataclass(frozen=True)
class Assignment:
    """The answer for one type given to another. `mismatches` say what cannot fit; `doubts` what is left to run time."""

    fit: Fit
    mismatches: tuple[Mismatch, ...] = ()
    doubts: tuple[Mismatch, ...] = ()


def assignment(source: ValueType, target: ValueType) -> Assignment:
    """Whether values of `source` fit `target`.

    A source that may be one of several kinds, or one of several listed values, fits only if each of them does.
    """
    found = list(_compare(source, target, "", 0))
    wrong = tuple(mismatch for never, mismatch in found if never)
    doubts = tuple(mismatch for never, mismatch in found if not never)
    fit = Fit.NEVER if wrong else Fit.RUN_TIME if doubts else Fit.FITS
    return Assignment(fit, wrong, doubts)


def mismatches(source: ValueType, target: ValueType) -> tuple[Mismatch, ...]:
    """What of `source` can never fit `target`."""
    return assignment(source, target).mismatches


_Found = tuple[bool, Mismatch]


def _compare(source: ValueType, target: ValueType, pointer: str, depth: int) -> Iterator[_Found]:
    if source is target:
        return
    if isinstance(source, LazyType) and isinstance(target, LazyType) and source.name == target.name:
        return
    if depth > DEEPEST:
        yield _doubt(pointer, "is nested too deeply to be known now")
        return
    target = resolved(target)
    if isinstance(target, AnyType):
        return
    for option in options(source):
        yield from _compare_one(as_json(option), target, pointer, depth)


def _compare_one(source: ValueType, target: ValueType, pointer: str, depth: int) -> Iterator[_Found]:
    if isinstance(source, AnyType):
        yield _doubt(pointer, f"must be {say_type(target)}")
        return
    if isinstance(target, UnionType):
        yield from _compare_union(source, target, pointer, depth)
        return
    match source, target:
        case StringType(), StringType():
            yield from _compare_texts(source, target, pointer)
        case IntegerType(), IntegerType() | NumberType():
            yield from _compare_numbers(source, target, pointer)
        case NumberType(), NumberType():
            yield from _compare_numbers(source, target, pointer)
        case ArrayType(), ArrayType():
            yield from _compare_lists(source, target, pointer, depth)
        case ObjectType(), ObjectType():
            yield from _compare_maps(source, target, pointer, depth)
        case _ if type(source) is type(target):
            return
        case _:
            yield _never(pointer, f"must be {say_type(target)}, but this is {say_type(source)}")


def _compare_union(source: ValueType, target: UnionType, pointer: str, depth: int) -> Iterator[_Found]:
    tried = [list(_compare(source, option, pointer, depth + 1)) for option in options(target)]
    if not all(tried):
        return
    possible = [found for found in tried if not any(never for never, _ in found)]
    if possible:
        yield from min(possible, key=len)
        return
    closest = [found for found in tried if any(mismatch.pointer != pointer for _, mismatch in found)]
    if closest:
        yield from min(closest, key=len)
    else:
        yield _never(pointer, f"must be {say_type(target)}, but this is {say_type(source)}")


def _compare_texts(source: StringType, target: StringType, pointer: str) -> Iterator[_Found]:
    if source.enum is not None:
        for text in source.enum:
            yield from ((True, Mismatch(pointer, f"`{text}` {wrong.message}")) for wrong in check_value(target, text))
        return
    if target.enum is not None:
        yield _doubt(pointer, f"must be {say_type(target)}")
    yield from _compare_range(
        (source.min_length or 0, source.max_length), (target.min_length, target.max_length), pointer, "characters"
    )
    if target.pattern is not None and target.pattern != source.pattern:
        yield _doubt(pointer, f"must match the pattern {target.pattern}")
    if target.format in FORMATS and target.format != source.format:
        wrong_time = source.format in _TIMES and target.format in _TIMES
        yield (wrong_time, Mismatch(pointer, f"must be text of format {target.format}"))


_TIMES = {"date", "date-time", "duration", "time"}


def _compare_numbers(
    source: IntegerType | NumberType, target: IntegerType | NumberType, pointer: str
) -> Iterator[_Found]:
    if isinstance(source, IntegerType) and source.enum is not None:
        for number in source.enum:
            yield from ((True, Mismatch(pointer, f"{number} {wrong.message}")) for wrong in check_value(target, number))
        return
    if isinstance(target, IntegerType) and target.enum is not None:
        yield _doubt(pointer, f"must be {say_type(target)}")
    yield from _compare_range((source.minimum, source.maximum), (target.minimum, target.maximum), pointer, "in value")


_Range = tuple[float | None, float | None]


def _compare_range(source: _Range, target: _Range, pointer: str, what: str) -> Iterator[_Found]:
    (low, high), (least, most) = source, target
    if least is not None and (low is None or low < least):
        yield (high is not None and high < least, Mismatch(pointer, f"must have {least} {what} at least"))
    if most is not None and (high is None or high > most):
        yield (low is not None and low > most, Mismatch(pointer, f"must have {most} {what} at most"))


def _compare_lists(source: ArrayType, target: ArrayType, pointer: str, depth: int) -> Iterator[_Found]:
    yield from _compare_range(
        (source.min_items or 0, source.max_items), (target.min_items, target.max_items), pointer, "items"
    )
    if target.unique and not source.unique and source.max_items not in {0, 1}:
        yield _doubt(pointer, "must not hold an item twice")
    if source.max_items != 0:
        yield from _compare(source.items, target.items, f"{pointer}/*", depth + 1)


def _compare_maps(source: ObjectType, target: ObjectType, pointer: str, depth: int) -> Iterator[_Found]:
    named = {alias: member for name, member in target.members.items() for alias in (name, *member.aliases)}
    for name, wanted in target.members.items():
        if wanted.required:
            yield from _compare_required(source, (name, *wanted.aliases), f"{pointer}/{escape_pointer(name)}")
    for name, member in source.members.items():
        place = f"{pointer}/{escape_pointer(name)}"
        inner = named[name].type if name in named else target.others
        if inner is None:
            yield _never(place, "is not known here")
            continue
        if name not in named:
            yield from ((member.required, Mismatch(place, why)) for why in key_problems(target, name))
        yield from _compare(member.type, inner, place, depth + 1)
    if source.others is not None and target.others is None:
        yield _doubt(pointer, "must have no members but those known")
    elif source.others is not None and target.others is not None:
        if target.keys is not None and source.keys != target.keys:
            yield _doubt(pointer, "must have keys that fit")
        yield from _compare(source.others, target.others, f"{pointer}/*", depth + 1)


def _compare_required(source: ObjectType, names: tuple[str, ...], place: str) -> Iterator[_Found]:
    given = [source.members[name] for name in names if name in source.members]
    if not given:
        yield (source.others is None, Mismatch(place, "is missing"))
    elif not any(member.required for member in given):
        yield _doubt(place, "must be there")


def _never(pointer: str, message: str) -> _Found:
    return True, Mismatch(pointer, message)


def _doubt(pointer: str, message: str) -> _Found:
    return False, Mismatch(pointer, message)
