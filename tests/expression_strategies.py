"""Random expressions of the published subset, over random scopes whose types are known."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from request_models.scope_values import DateText, DateTimeText
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

TEXTS = st.sampled_from(["", "a", "b", "a-b", "7", "2026-01-31", "{{ 7*7 }}", "é", "PT1H", "x" * 70])
WHOLE = st.integers(-4, 9)
KEYS = ("k", "v", "n")

json_values = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(-3, 3) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)

_SCALARS: st.SearchStrategy[ValueType] = st.one_of(
    st.just(NullType()),
    st.just(BooleanType()),
    st.just(IntegerType()),
    st.just(IntegerType(minimum=-2, maximum=5)),
    st.just(IntegerType(enum=(1, 2, 5))),
    st.just(NumberType()),
    st.just(NumberType(minimum=-3, maximum=-1)),
    st.just(StringType()),
    st.just(StringType(enum=("a", "b"))),
    st.just(StringType(enum=("a", "7", "c"))),
    st.just(StringType(max_length=3)),
    st.just(DateType()),
    st.just(DateTimeType()),
    st.just(DurationType()),
)


def _wider(inner: st.SearchStrategy[ValueType]) -> st.SearchStrategy[ValueType]:
    return (
        st.builds(ArrayType, items=inner, min_items=st.sampled_from([None, 1]))
        | st.builds(
            ObjectType,
            members=st.dictionaries(st.sampled_from(KEYS), st.builds(Member, type=inner, required=st.booleans())),
            others=st.none() | inner,
        )
        | st.builds(UnionType, options=st.lists(inner, min_size=2, max_size=3).map(tuple))
    )


KNOWN_TYPES = st.recursive(_SCALARS, _wider, max_leaves=4)
"""Types of which something is known everywhere."""
ANY_TYPES = st.recursive(_SCALARS | st.just(AnyType()), _wider, max_leaves=4)


def values_of(kind: ValueType) -> st.SearchStrategy[object]:  # noqa: PLR0911 - one case a kind
    """Values of a type, as they stand in a scope."""
    match kind:
        case NullType():
            return st.none()
        case BooleanType():
            return st.booleans()
        case IntegerType(enum=tuple() as enum):
            return st.sampled_from(enum)
        case IntegerType(minimum=low, maximum=high):
            return st.integers(low, high) if low is not None else st.integers(-(10**30), 10**30) | WHOLE
        case NumberType(minimum=least, maximum=most):
            return st.floats(least, most, allow_nan=False, allow_infinity=False) | (
                WHOLE if least is None else st.just(-2)
            )
        case StringType(enum=tuple() as texts):
            return st.sampled_from(texts)
        case StringType(max_length=longest):
            return TEXTS.filter(lambda text: longest is None or len(text) <= longest)
        case ArrayType(items=items, min_items=least_items):
            return st.lists(values_of(items), min_size=least_items or 0, max_size=3)
        case ObjectType():
            return _maps_of(kind)
        case UnionType(options=options):
            return st.one_of([values_of(option) for option in options])
        case DateType() | DateTimeType() | DurationType():
            return _TIMES[type(kind)]
        case _:
            return json_values


def _maps_of(kind: ObjectType) -> st.SearchStrategy[object]:
    required = {name: values_of(member.type) for name, member in kind.members.items() if member.required}
    optional = {name: values_of(member.type) for name, member in kind.members.items() if not member.required}
    known = st.fixed_dictionaries(required, optional=optional)
    if kind.others is None:
        return known
    further = st.dictionaries(st.sampled_from(["other", "n"]), values_of(kind.others), max_size=2)
    names = set(kind.members)
    return st.tuples(known, further).map(
        lambda parts: {**{key: value for key, value in parts[1].items() if key not in names}, **parts[0]}
    )


_TIMES: Mapping[type[ValueType], st.SearchStrategy[object]] = {
    DateType: st.dates().map(lambda day: DateText(day.isoformat())) | st.dates(date(2026, 1, 1), date(2026, 3, 1)),
    DateTimeType: st.datetimes(timezones=st.just(UTC))
    # Later than the first day of year 1: before it in UTC there is no moment, and none is let in.
    | st.datetimes(datetime(1, 1, 2)).map(  # noqa: DTZ001 - its offset is written below
        lambda moment: DateTimeText(f"{moment.isoformat(timespec='seconds')}+13:30")
    ),
    DurationType: st.timedeltas(timedelta(0), timedelta(days=4_000_000)) | st.just(timedelta(days=1)),
}


@dataclass(frozen=True)
class Scene:
    """A scope with the types of what is in it; `absent` are the inputs that need not be given."""

    inputs: Mapping[str, ValueType]
    optional: frozenset[str]
    scope: Mapping[str, object]
    paths: tuple[tuple[str, ValueType], ...] = field(default=())

    @property
    def type(self) -> ObjectType:
        members = {name: Member(type=kind, required=name not in self.optional) for name, kind in self.inputs.items()}
        return ObjectType(members=members)


@st.composite
def scenes(draw: st.DrawFn, kinds: st.SearchStrategy[ValueType] = KNOWN_TYPES) -> Scene:
    """A few inputs of any type, with values that fit."""
    inputs = {name: draw(kinds) for name in "abcde"}
    optional = draw(st.frozensets(st.sampled_from("abcde"), max_size=2))
    given = {name: draw(values_of(kind)) for name, kind in inputs.items()}
    for name in sorted(optional):
        if draw(st.booleans()):
            del given[name]
    paths = tuple(found for name, kind in inputs.items() for found in _paths(f"inputs.{name}", kind))
    return Scene(inputs, optional, {"inputs": given}, paths)


def _paths(path: str, kind: ValueType) -> Iterator[tuple[str, ValueType]]:
    yield path, kind
    match kind:
        case ObjectType(members=members, others=others):
            for name, member in members.items():
                yield from _paths(f"{path}.{name}", member.type)
            if others is not None:
                yield f"{path}['other']", others
        case ArrayType(items=items):
            yield f"{path}[0]", items
        case UnionType(options=options):
            for option in options:
                yield from ((inner, found) for inner, found in _paths(path, option) if inner != path)
        case _:
            pass


_FAMILIES: Mapping[str, tuple[type[ValueType], ...]] = {
    "number": (IntegerType, NumberType),
    "text": (StringType,),
    "boolean": (BooleanType,),
    "list": (ArrayType,),
    "map": (ObjectType,),
    "date": (DateType,),
    "moment": (DateTimeType,),
    "duration": (DurationType,),
    "null": (NullType,),
}
_FAMILY_NAMES = [*_FAMILIES, "number", "text", "boolean", "list"]

_LITERALS: Mapping[str, st.SearchStrategy[str]] = {
    "number": WHOLE.map(str) | st.sampled_from(["1.5", "-0.5", "1e30", "170141183460469231731687303715884105727"]),
    "text": TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    "boolean": st.sampled_from(["true", "false"]),
    "list": st.just("[]"),
    "map": st.just("{}"),
    "date": st.just("('2026-02-01' | as_date)"),
    "moment": st.just("('2026-02-01T10:00:00Z' | as_datetime)"),
    "duration": st.sampled_from(["duration('P1D')", "duration('PT90M')", "duration('P999999W')"]),
    "null": st.just("none"),
}

_FORMS: Mapping[str, tuple[str, ...]] = {
    "number": (
        "<number> + <number>", "<number> - <number>", "<number> * <number>", "<number> / <number>",
        "<number> // <number>", "<number> % <number>", "-<number>", "+<number>", "<text> | length", "<list> | length",
        "<map> | count", "<text> | int", "<number> | int", "<number> | float", "<text> | float", "<number> | round",
        "<number> | round(<number>)", "<number> | abs", "<list> | sum", "<date>.year", "<moment>.hour",
        "<list> | max", "<list> | first", "<moment> | length", "<date> | length",
    ),
    "text": (
        "<any> ~ <any>", "<text> + <text>", "<text> | lower", "<text> | upper", "<text> | trim",
        "<text> | trim(<text>)",
        "<text> | capitalize", "<text> | title", "<text> | replace(<text>, <text>)", "<any> | string",
        "<any> | tojson", "<list> | join(<text>)", "<list> | join", "<text>[<number>:<number>]", "<text>[::-1]",
        "<date> | upper", "<moment> | lower", "<moment> | replace('T', <text>)", "<list> | last", "<list> | min",
        "<map> | list | first | default(<text>)",
    ),
    "boolean": (
        "<any> == <any>", "<any> != <any>", "<number> < <number>", "<text> >= <text>", "<date> > <date>",
        "<moment> <= <moment>", "<duration> < <duration>", "<any> < <any>", "<any> in <list>", "<text> in <text>",
        "<text> not in <map>", "not <any>", "<boolean> and <boolean>", "<boolean> or <boolean>",
        "<any> is none", "<any> is string", "<any> is number", "<any> is mapping", "<any> is list", "<any> is boolean",
        "<number> is even", "<number> is odd", "<any> is in <list>", "<any> is equalto(<any>)", "<path> is defined",
        "<path> is undefined", "1 < <number> < <number>", "<path> == <text>", "<path> in ['a', 'b']", "<path> in 'abc'",
        "<path> == none", "<path> != none", "<path> != 'a'",
        "<text> is startswith(<text>)", "<text> is endswith(<text>)",
        "<text> is match('^a+$')", "<list> | select('startswith', <text>) | list == []",
    ),
    "list": (
        "[<any>, <any>]", "[<number>, <number>]", "[<text>, <text>]", "<list> + <list>", "<list>[<number>:]",
        "<list> | unique", "<list> | sort", "<list> | sort(reverse=true)", "<list> | sort(attribute='k')",
        "<list> | map('upper')", "<list> | map('string')", "<list> | map('first')", "<list> | map('length')",
        "<list> | map(attribute='k')", "<list> | map(attribute='v.n')", "<list> | map('abs')", "<list> | map('sort')",
        "<list> | select", "<list> | select('even')", "<list> | select('equalto', <any>)", "<list> | reject('none')",
        "<list> | select('in', <list>)", "<list> | selectattr('k')", "<list> | selectattr('k', 'defined')",
        "<list> | rejectattr('v', 'equalto', <any>)", "<list> | flatten", "[<list>, <list>] | flatten",
        "<list> | list", "<map> | list", "<map> | items",
        "<text> | split", "<text> | split(<text>)", "<list> | map('tojson')", "<list> | map('as_date')",
    ),
    "map": (
        "{'k': <any>, 'v': <any>}", "{<text>: <any>}", "{'k': <any>, <text>: <any>}",
        "{'k': <any>, 'k': <any> if <boolean> else omit}", "<list> | first", "(<map> | items)[0]",
    ),
    "date": ("<date> + <duration>", "<date> - <duration>", "<moment> | as_date", "<date> | as_date",
             "<text> | as_date"),
    "moment": ("<moment> + <duration>", "<duration> + <moment>", "<moment> - <duration>", "<moment> | as_datetime"),
    "duration": ("<duration> + <duration>", "<duration> - <duration>", "<date> - <date>", "<moment> - <moment>"),
    "null": ("<any> and none",),
    "any": (
        "<any> if <boolean> else <any>", "<any> and <any>", "<any> or <any>", "<path> | default(<any>)",
        "<path> | default(<any>, true)", "<path> | default(<any>, false)", "(<any> | default(<any>))", "<list>[0]",
        "<list>[<number>]", "<list> | first", "<list> | last", "<list> | max", "<map>.k", "<map>['v']", "<map>[<text>]",
        "<path> if <path> is defined else <any>", "<path> if <path> is not none else <any>", "<any>.k", "<any>[<any>]",
        "(<path> | default(none)).k", "<path>.k is defined", "(omit if <boolean> else <any>)",
    ),
}  # fmt: skip


@st.composite
def expressions(draw: st.DrawFn, scene: Scene, family: str | None = None, depth: int = 3) -> str:
    """The source of an expression over a scene, mostly of operations that exist for what they are given."""
    wanted = family or draw(st.sampled_from(_FAMILY_NAMES))
    if wanted == "path":
        return draw(st.sampled_from([path for path, _ in scene.paths]))
    if wanted != "any" and draw(st.integers(0, 19)) == 0:
        wanted = "any"  # now and then something that may not fit
    if depth <= 0 or draw(st.integers(0, 3)) == 0:
        return draw(_leaf(scene, wanted))
    forms = _FORMS[wanted]
    if draw(st.integers(0, 3)) == 0:
        forms = _FORMS["any"]
    parts = _SLOT.split(draw(st.sampled_from(forms)))
    for index in range(1, len(parts), 2):
        slot = wanted if parts[index] == "any" and forms is _FORMS["any"] else parts[index]
        inner = draw(expressions(scene, None if slot == "any" else slot, depth - 1))
        parts[index] = inner if slot == "path" else f"({inner})"
    return "".join(parts)


_SLOT = re.compile(f"<({'|'.join(('any', 'path', *_FAMILIES))})>")


def _leaf(scene: Scene, wanted: str) -> st.SearchStrategy[str]:
    if wanted == "any":
        return st.sampled_from([path for path, _ in scene.paths])
    fitting = [path for path, kind in scene.paths if isinstance(kind, _FAMILIES[wanted])]
    return st.one_of([*([st.sampled_from(fitting)] * 3 if fitting else []), _LITERALS[wanted]])


@st.composite
def templates(draw: st.DrawFn, scene: Scene) -> str:
    """A text of several lines with expressions, conditions and a loop in it."""

    def one(family: str | None = None) -> str:
        return draw(expressions(scene, family, 2))

    return "\n".join(
        [
            f"a {{{{ {one()} }}}}",
            f"{{% if {one('boolean')} %}}{{{{ {one()} }}}}{{% elif {one('boolean')} %}}b",
            f"{{% else %}}{{{{ {one()} }}}}{{% endif %}}",
            f"{{% for x in {one('list')} if {one('boolean')} %}}{{{{ x }}}}{{{{ loop.index + ({one('number')}) }}}}",
            f"{{% else %}}{{{{ {one()} }}}}{{% endfor %}}",
        ]
    )
