"""What is known once a condition has come out true or false; and which conditions can only come out one way."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from jinja2 import nodes

from request_models.comparisons import OPPOSITE, bounds, outcome
from request_models.expression_functions import truth
from request_models.expression_syntax import chain_of
from request_models.type_algebra import constant_text, join, options
from request_models.type_scopes import Facts, TypeScope, conjuncts, negated
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    IntegerType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
)


class Types(Protocol):
    """The types of the parts of expressions, where some facts are known."""

    @property
    def scope(self) -> TypeScope: ...

    def of(self, node: nodes.Node) -> ValueType: ...

    def knowing(self, facts: Facts) -> "Types": ...


def outcome_of(tree: nodes.Node, types: Types) -> bool | None:  # noqa: PLR0911 - one case a kind of node
    """What a condition comes out as, whatever the values; None where it depends on them."""
    holds = types.scope.facts.holds
    if conjuncts(tree) <= holds:
        return True
    if negated(tree) <= holds:
        return False
    match tree:
        case nodes.Const(value=value):
            return truth(value)
        case nodes.Not(node=inner):
            found = outcome_of(inner, types)
            return None if found is None else not found
        case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
            ends = isinstance(tree, nodes.Or)
            first = outcome_of(left, types)
            second = ends if first is ends else outcome_of(right, types.knowing(facts_of(left, not ends, types)))
            return second if first is (not ends) or second is ends else None
        case nodes.CondExpr(test=test, expr1=one, expr2=nodes.Expr() as other):
            outcomes = {outcome_of(one, types.knowing(facts_of(test, True, types)))}
            outcomes.add(outcome_of(other, types.knowing(facts_of(test, False, types))))
            return outcomes.pop() if len(outcomes) == 1 else None
        case nodes.Test(name="defined" | "undefined" as name, node=inner):
            chain = chain_of(inner)
            return name == "defined" if chain is not None and is_given(chain, types.scope) else None
        case nodes.Compare(expr=left, ops=operands):
            return _compared(left, operands, types)
        case _:
            return None


def _compared(left: nodes.Expr, operands: list[nodes.Operand], types: Types) -> bool | None:
    if not all(map(_is_plain, (left, *(operand.expr for operand in operands)))):
        return None
    found: set[bool | None] = set()
    for operand in operands:
        if operand.op in {"in", "notin"}:
            found.add(_among(left, operand, types))
        else:
            found.add(outcome(operand.op, types.of(left), types.of(operand.expr)))
        left = operand.expr
    return False if False in found else True if found == {True} else None


def _is_plain(node: nodes.Node) -> bool:
    """Whether no condition is in it: looking at those again and again would take for ever."""
    return not isinstance(node, _CONDITIONS) and next(node.find_all(_CONDITIONS), None) is None


_CONDITIONS = (nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare)


def _among(left: nodes.Expr, operand: nodes.Operand, types: Types) -> bool | None:
    """Whether something is in a list that is written out."""
    if not isinstance(operand.expr, nodes.List | nodes.Tuple):
        return None
    given = types.of(left)
    found = {outcome("eq", given, types.of(item)) for item in operand.expr.items}
    texts = [constant_text(types.of(item)) for item in operand.expr.items]
    all_of_them = all(
        isinstance(option, StringType) and option.enum is not None and set(option.enum) <= set(texts)
        for option in options(given)
    )
    there = True if True in found or all_of_them else False if found <= {False} else None
    return there if there is None or operand.op == "in" else not there


def facts_of(tree: nodes.Node, holds: bool, types: Types) -> Facts:
    """What is known when the condition comes out as `holds` says."""
    match tree:
        case nodes.Not(node=inner):
            return facts_of(inner, not holds, types) | _condition_fact(tree, holds)
        case nodes.And(left=left, right=right) if holds:
            first = facts_of(left, True, types)
            return first | facts_of(right, True, types.knowing(first))
        case nodes.Or(left=left, right=right) if not holds:
            first = facts_of(left, False, types)
            return first | facts_of(right, False, types.knowing(first)) | _condition_fact(tree, holds)
        case nodes.Test(name="defined" | "undefined" as name, node=inner) if (chain := chain_of(inner)) is not None:
            there = (name == "defined") is holds
            return Facts(present=_prefixes(chain)) if there else Facts()
        case nodes.Test(name=name, node=inner) if name in _TESTED and chain_of(inner) is not None:
            return _tested_facts(inner, _TESTED[name], holds, types)
        case nodes.Compare(expr=left, ops=[operand]):
            return _compared_facts(left, operand, holds, types) | _condition_fact(tree, holds)
        case _:
            return _condition_fact(tree, holds)


def _compared_facts(left: nodes.Expr, operand: nodes.Operand, holds: bool, types: Types) -> Facts:
    chain, values = chain_of(left), _constants(operand)
    if chain is None:
        return Facts()
    if values is None:
        return _bounded_facts(left, chain, operand, holds, types)
    equal = (operand.op in {"eq", "in"}) is holds
    narrowed = _narrowed(left, values, equal, types)
    facts = Facts(narrowed={chain: narrowed}) if narrowed is not None else Facts()
    # A step that is `done` has its result.
    if chain[0] == "steps" and chain[-1] == "state" and len(chain) == 3 and equal and values == ["done"]:
        return facts | Facts(present=frozenset({(*chain[:2], "result"), (*chain[:2], "args")}))
    return facts


def _bounded_facts(
    left: nodes.Expr, chain: tuple[str, ...], operand: nodes.Operand, holds: bool, types: Types
) -> Facts:
    """What `x > 5` says of a number: its bounds."""
    if not _is_plain(operand.expr):
        return Facts()
    (low, high), known = bounds(types.of(operand.expr)), types.of(left)
    operator = operand.op if holds else OPPOSITE.get(operand.op, "")
    if operator not in OPPOSITE or not all(isinstance(one, IntegerType | NumberType) for one in options(known)):
        return Facts()
    upper = operator in {"lt", "lteq"}
    bound = high if upper else low
    if bound is None:
        return Facts()
    strict = operator in {"lt", "gt"}
    kept = [kind for one in options(known) if (kind := _within(one, bound, upper=upper, strict=strict)) is not None]
    return Facts(narrowed={chain: join(kept)}) if kept else Facts()


def _tested_facts(node: nodes.Node, kinds: tuple[type[ValueType], ...], holds: bool, types: Types) -> Facts:
    known, chain = options(types.of(node)), chain_of(node)
    if chain is None or any(isinstance(option, AnyType) for option in known):
        return Facts()
    # Of a date, whether it was written as text or calculated is not known: it may be either.
    kept = [option for option in known if isinstance(option, kinds) is holds or isinstance(option, _TIMES)]
    return Facts(narrowed={chain: join(kept)}) if kept else Facts()


def _narrowed(node: nodes.Expr, values: list[object], equal: bool, types: Types) -> ValueType | None:
    found = types.of(node)
    kept: list[ValueType] = []
    for option in options(found):
        match option:
            case NullType():
                kept.extend([option] if (None in values) is equal else [])
            case StringType(enum=tuple() as texts):
                left = tuple(text for text in texts if (text in values) is equal)
                kept.extend([replace(option, enum=left)] if left else [])
            case IntegerType() if all(type(value) in {int, float} for value in values):
                kept.extend(_numbers_left(option, [value for value in values if type(value) is int], equal))
            case StringType() if equal and all(isinstance(value, str) for value in values):
                kept.append(replace(option, enum=tuple(str(value) for value in values)))
            case _:
                kept.append(option)
    return join(kept) if kept else None


def is_given(chain: tuple[str, ...], scope: TypeScope) -> bool:
    """Whether this is an input that is always there."""
    inputs = scope.names.get("inputs")
    if len(chain) != 2 or chain[0] != "inputs" or not isinstance(inputs, ObjectType):
        return False
    return chain[1] in inputs.members and (chain not in scope.guards or chain in scope.facts.present)


_TIMES = (DateType, DateTimeType)
_TESTED: Mapping[str, tuple[type[ValueType], ...]] = {
    "none": (NullType,),
    "boolean": (BooleanType,),
    "string": (StringType,),
    "number": (IntegerType, NumberType),
    "list": (ArrayType,),
    "mapping": (ObjectType,),
}
"""Tests that tell apart the types a value may be of."""


def _numbers_left(option: IntegerType, values: list[object], equal: bool) -> list[ValueType]:
    wanted = tuple(value for value in values if type(value) is int)
    if option.enum is None:
        return [replace(option, enum=wanted)] if equal and wanted else [] if equal else [option]
    left = tuple(number for number in option.enum if (number in wanted) is equal)
    return [replace(option, enum=left)] if left else []


def _within(option: ValueType, bound: float, *, upper: bool, strict: bool) -> ValueType | None:
    """The numbers of a type up to a bound, or from it on; None when there are none."""
    match option:
        case IntegerType(enum=tuple() as enum):
            left = tuple(number for number in enum if (number < bound if upper else number > bound) or number == bound)
            left = tuple(number for number in left if not (strict and number == bound))
            return replace(option, enum=left) if left else None
        case IntegerType(minimum=low, maximum=high) if upper:
            limit = math.ceil(bound) - 1 if strict else math.floor(bound)
            high = limit if high is None else min(high, limit)
            return None if low is not None and low > high else replace(option, maximum=high)
        case IntegerType(minimum=low, maximum=high):
            limit = math.floor(bound) + 1 if strict else math.ceil(bound)
            low = limit if low is None else max(low, limit)
            return None if high is not None and low > high else replace(option, minimum=low)
        case NumberType(minimum=least, maximum=most) if upper:
            return replace(option, maximum=bound if most is None else min(most, bound), minimum=least)
        case NumberType(minimum=least, maximum=most):
            return replace(option, minimum=bound if least is None else max(least, bound), maximum=most)
        case _:
            return option


def _condition_fact(tree: nodes.Node, holds: bool) -> Facts:
    return Facts(holds=conjuncts(tree) if holds else negated(tree))


def _prefixes(chain: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(chain[:length] for length in range(1, len(chain) + 1))


def _constants(operand: nodes.Operand) -> list[object] | None:
    """The values that a comparison looks for, where each of them is known."""
    match operand.op, operand.expr:
        case "eq" | "ne", nodes.Const(value=value):
            return [value]
        case "in" | "notin", nodes.List(items=items) | nodes.Tuple(items=items):
            inner = [item.value for item in items if isinstance(item, nodes.Const)]
            return inner if len(inner) == len(items) else None
        case _:
            return None
