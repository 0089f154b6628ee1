"""Random plans, made from the type hints of their dataclasses: what is added to a plan is covered at once."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from request_models.json_values import JsonValue
from request_models.plan import PLAN_FORMAT, Plan

NAMES = st.text(alphabet="abcdefgh_", min_size=1, max_size=6)
JSON_VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
DEEPEST = 2
"""How often a kind of dataclass stands within itself (blocks in blocks, nodes in nodes)."""


def plans() -> st.SearchStrategy[Plan]:
    """Plans of any content; what is in them need not make sense together."""
    schema = st.fixed_dictionaries(
        {"properties": st.dictionaries(NAMES, st.dictionaries(NAMES, JSON_VALUES, max_size=2), max_size=2)}
    )
    return _built(Plan, (), {"inputs": schema, "plan_format": st.just(PLAN_FORMAT)})


def of_type(wanted: Any, outer: tuple[type, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of a type hint; `outer` are the dataclasses that it stands in."""
    if wanted is JsonValue or (isinstance(wanted, str) and wanted == "JsonValue") or _is_json(wanted):
        return JSON_VALUES
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin in {Union, UnionType}:
        return st.one_of([of_type(part, outer) for part in parts if _may_nest(part, outer)])
    if origin is tuple:
        inner = of_type(parts[0], outer) if _may_nest(parts[0], outer) else st.nothing()
        return st.lists(inner, max_size=2).map(tuple)
    if origin in {Mapping, dict}:
        inner = of_type(parts[1], outer) if _may_nest(parts[1], outer) else st.nothing()
        return st.dictionaries(NAMES, inner, max_size=2)
    if isinstance(wanted, type) and is_dataclass(wanted):
        return _built(wanted, outer, {})
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return st.sampled_from(wanted)
    return _PLAIN[wanted]


_PLAIN: Mapping[Any, st.SearchStrategy[Any]] = {
    str: NAMES | st.sampled_from(["{{ 7 * 7 }}", "", "{% raw %}"]),
    int: st.integers(0, 9),
    float: st.floats(min_value=0, max_value=1e6),
    bool: st.booleans(),
    type(None): st.none(),
}


def _is_json(wanted: Any) -> bool:
    """Whether a hint is the union that JSON values are, however it was written."""
    return {bool, int, float, str} <= set(get_args(wanted))


def _may_nest(wanted: Any, outer: tuple[type, ...]) -> bool:
    if _is_json(wanted):
        return True
    if get_origin(wanted) in {Union, UnionType}:
        return any(_may_nest(part, outer) for part in get_args(wanted))
    return not isinstance(wanted, type) or not is_dataclass(wanted) or outer.count(wanted) < DEEPEST


def _later(hint: Any, outer: tuple[type, ...]) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: of_type(hint, outer))


def _built(
    wanted: type, outer: tuple[type, ...], given: Mapping[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    hints, inner = get_type_hints(wanted), (*outer, wanted)
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for item in fields(wanted):
        # What may be left out often is: a plan with all its parts would be too large to find anything in.
        made = given[item.name] if item.name in given else _later(hints[item.name], inner)
        parts[item.name] = made
        if item.name not in given and item.default is not MISSING:
            parts[item.name] = st.just(item.default) | made
    return st.builds(wanted, **parts)
