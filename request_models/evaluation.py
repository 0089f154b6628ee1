"""The interpreter of expression trees: no attribute, method or code of Python can be reached, and its work is bounded.

Values are JSON, dates and durations. Absent names and members are `Undefined`, which everything but `is defined` and
`default` refuses.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, cast

from jinja2 import nodes

from request_models.durations import parse_duration
from request_models.errors import DurationError, ExpressionError, TypeRuleError
from request_models.expression_filters import FILTERS
from request_models.expression_functions import MAX_PRODUCED_TEXT, Work, equal_values, say_kind, text_of, truth
from request_models.expression_syntax import chain_of
from request_models.expression_tests import TESTS
from request_models.scope_values import OMIT, DateText, Omitted, Undefined, temporal

_DATE_PARTS = frozenset({"year", "month", "day", "hour", "minute", "second"})
_LARGEST = 2**128


class Evaluator:
    """Evaluates one tree in one scope, once. Trees that are rendered together share what `work` may still be spent."""

    def __init__(self, scope: Mapping[str, object], source: str, work: Work | None = None) -> None:
        self._scope = dict(scope)
        self._source = source
        self._work = work or Work()
        self._written = 0

    def expression(self, tree: nodes.Expr) -> object:
        """The value of an expression; `OMIT` for omit. Raises ExpressionError."""
        try:
            value = self._value(tree)
            return value if isinstance(value, Omitted) else self._work.whole(_present(value))
        except TypeRuleError as error:
            raise ExpressionError(str(error), self._source) from None
        except RecursionError:
            raise ExpressionError("a value is nested too deeply", self._source) from None

    def text(self, tree: nodes.Template) -> str:
        """The text a template renders to. Raises ExpressionError."""
        parts: list[str] = []
        try:
            self._render(tree.body, parts)
        except TypeRuleError as error:
            raise ExpressionError(str(error), self._source) from None
        except RecursionError:
            raise ExpressionError("a value is nested too deeply", self._source) from None
        return "".join(parts)

    # texts

    def _render(self, body: list[nodes.Node], parts: list[str]) -> None:
        for node in body:
            self._work.spend(1)
            match node:
                case nodes.Output(nodes=children):
                    for child in children:
                        self._write(child, parts)
                case nodes.If():
                    self._render_if(node, parts)
                case nodes.For():
                    self._render_for(node, parts)
                case _:
                    raise TypeRuleError("this tag is not part of the language")

    def _write(self, node: nodes.Node, parts: list[str]) -> None:
        if isinstance(node, nodes.TemplateData):
            written = self._work.text(node.data)
        else:
            written = text_of(self._used(node), self._work)
        self._written += len(written)
        if self._written > MAX_PRODUCED_TEXT:
            raise TypeRuleError(f"the text grows longer than {MAX_PRODUCED_TEXT} characters")
        parts.append(written)

    def _render_if(self, node: nodes.If, parts: list[str]) -> None:
        for branch in (node, *node.elif_):
            if truth(self._used(branch.test)):
                self._render(branch.body, parts)
                return
        self._render(node.else_, parts)

    def _render_for(self, node: nodes.For, parts: list[str]) -> None:
        name = cast(nodes.Name, node.target).name
        outer = dict(self._scope)
        items = self._loop_items(node, name)
        for index, item in enumerate(items):
            first, last = index == 0, index == len(items) - 1
            loop = {"index": index + 1, "index0": index, "first": first, "last": last, "length": len(items)}
            self._scope |= {name: item, "loop": loop}
            self._render(node.body, parts)
        self._scope = outer
        if not items:
            self._render(node.else_, parts)

    def _loop_items(self, node: nodes.For, name: str) -> list[object]:
        items = self._used(node.iter)
        if isinstance(items, Mapping):
            items = sorted(items)  # the keys, in an order that storing does not change
        if not isinstance(items, list | tuple):
            raise TypeRuleError(f"a loop goes through a list or a map's keys, not {say_kind(items)}")
        outer = dict(self._scope)
        kept = []
        for item in items:
            self._work.spend(1)
            self._scope[name] = item
            if node.test is None or truth(self._used(node.test)):
                kept.append(item)
        self._scope = outer
        return kept

    # expressions

    def _used(self, node: nodes.Node) -> object:
        """The value of a part that is used for something: it must be there."""
        return _present(self._value(node))

    def _value(self, node: nodes.Node) -> object:
        self._work.spend(1)
        return self._METHODS[type(node)](self, node)

    def _constant(self, node: nodes.Const) -> object:
        return node.value

    def _list(self, node: nodes.List | nodes.Tuple) -> object:
        return [self._used(item) for item in node.items]

    def _dict(self, node: nodes.Dict) -> object:
        members: dict[str, object] = {}
        for pair in node.items:
            key = self._used(pair.key)
            if not isinstance(key, str):
                raise TypeRuleError(f"the keys of a map are text, not {say_kind(key)}")
            value = self._value(pair.value)
            if not isinstance(value, Omitted):
                members[str(key)] = _present(value)
        return members

    def _name(self, node: nodes.Name) -> object:
        if node.name == "omit":
            return OMIT
        return self._scope[node.name] if node.name in self._scope else Undefined(node.name)

    def _attribute(self, node: nodes.Getattr) -> object:
        return self._named(self._member(self._value(node.node), node.attr), node)

    def _item(self, node: nodes.Getitem) -> object:
        base = self._value(node.node)
        if isinstance(node.arg, nodes.Slice):
            return self._slice(_present(base), node.arg)
        key = self._used(node.arg)
        return self._named(self._member(base, key, known=isinstance(node.arg, nodes.Const)), node)

    @staticmethod
    def _named(value: object, node: nodes.Node) -> object:
        """An absent member by its whole path, so that the message says `inputs.network` and not `network`."""
        chain = chain_of(node) if isinstance(value, Undefined) else None
        return value if chain is None else Undefined(".".join(chain))

    def _member(self, base: object, key: object, *, known: bool = True) -> object:
        """What lies under a key. One not `known` from the source alone is a value, which no message may hold."""
        name = str(key) if known else "[...]"
        match base, key:
            case Undefined(), str() | int():
                return Undefined(f"{base.path}.{name}")
            case Mapping(), str():
                return base[key] if key in base else Undefined(name)
            case ((list() | tuple()), int()) if not isinstance(key, bool):
                return base[key] if -len(base) <= key < len(base) else Undefined(name)
            case ((date() | DateText()), str()) if key in _DATE_PARTS:
                return getattr(temporal(base), key, Undefined(name))
            case str(), str() if (moment := temporal(base)) is not None and key in _DATE_PARTS:
                return getattr(moment, key)
            case _:
                raise TypeRuleError(f"{say_kind(_present(base))} has no `{name}`")

    def _slice(self, base: object, cut: nodes.Slice) -> object:
        if not isinstance(base, list | tuple | str):
            raise TypeRuleError(f"only lists and texts can be cut, not {say_kind(base)}")
        bounds = [None if part is None else self._used(part) for part in (cut.start, cut.stop, cut.step)]
        if any(bound is not None and type(bound) is not int for bound in bounds) or bounds[2] == 0:
            raise TypeRuleError("the bounds of a cut are whole numbers")
        start, stop, step = cast(list[int | None], bounds)
        self._work.spend(len(base) // 64)
        return str(base)[start:stop:step] if isinstance(base, str) else list(base)[start:stop:step]

    def _condition(self, node: nodes.CondExpr) -> object:
        return self._value(node.expr1 if truth(self._used(node.test)) else cast(nodes.Expr, node.expr2))

    def _and(self, node: nodes.And) -> object:
        left = self._used(node.left)
        return self._used(node.right) if truth(left) else left

    def _or(self, node: nodes.Or) -> object:
        left = self._used(node.left)
        return left if truth(left) else self._used(node.right)

    def _not(self, node: nodes.Not) -> object:
        return not truth(self._used(node.node))

    def _compare(self, node: nodes.Compare) -> object:
        left = self._used(node.expr)
        for operand in node.ops:
            right = self._used(operand.expr)
            if not _COMPARISONS[operand.op](left, right, self._work):
                return False
            left = right
        return True

    def _sum(self, node: nodes.Add) -> object:
        left, right = self._used(node.left), self._used(node.right)
        first, second = temporal(left), temporal(right)
        if first is not None or second is not None:
            return _add_times(first, second)
        match left, right:
            case str(), str():
                return self._work.text(left + right)
            case ((list() | tuple()), (list() | tuple())):
                return self._work.items([*left, *right])
            case _:
                return _number(_numeric(left, "+") + _numeric(right, "+"))

    def _difference(self, node: nodes.Sub) -> object:
        left, right = self._used(node.left), self._used(node.right)
        first, second = temporal(left), temporal(right)
        if first is not None or second is not None:
            return _subtract_times(first, second)
        return _number(_numeric(left, "-") - _numeric(right, "-"))

    def _product(self, node: nodes.Mul) -> object:
        left, right = self._used(node.left), self._used(node.right)
        return _number(_numeric(left, "*") * _numeric(right, "*"))

    def _quotient(self, node: nodes.Div | nodes.FloorDiv | nodes.Mod) -> object:
        left, right = _numeric(self._used(node.left), node.operator), _numeric(self._used(node.right), node.operator)
        if right == 0:
            raise TypeRuleError("a division by zero")
        if isinstance(node, nodes.Mod):
            return _number(left % right)
        return _number(left / right if isinstance(node, nodes.Div) else left // right)

    def _negative(self, node: nodes.Neg) -> object:
        value = self._used(node.node)
        return -value if isinstance(value, timedelta) else -_numeric(value, "-")

    def _positive(self, node: nodes.Pos) -> object:
        return _numeric(self._used(node.node), "+")

    def _concatenation(self, node: nodes.Concat) -> object:
        return self._work.text("".join(text_of(self._used(part), self._work) for part in node.nodes))

    def _filter(self, node: nodes.Filter) -> object:
        found = FILTERS.get(node.name)
        if found is None:
            raise TypeRuleError(f"there is no filter `{node.name}`")
        value = self._value(cast(nodes.Expr, node.node))
        if not found.takes_absent:
            value = _present(value)
        arguments = [self._used(argument) for argument in node.args]
        return found.apply(self._work, value, *found.bind(arguments, self._named_arguments(node)))

    def _test(self, node: nodes.Test) -> object:
        found = TESTS.get(node.name)
        if found is None:
            raise TypeRuleError(f"there is no test `{node.name}`")
        value = self._value(node.node)
        if not found.takes_absent:
            value = _present(value)
        arguments = [self._used(argument) for argument in node.args]
        return found.apply(self._work, value, *found.bind(arguments, self._named_arguments(node)))

    def _named_arguments(self, node: nodes.Filter | nodes.Test) -> dict[str, object]:
        return {str(keyword.key): self._used(keyword.value) for keyword in node.kwargs}

    def _call(self, node: nodes.Call) -> object:
        text = self._used(node.args[0])
        if not isinstance(text, str):
            raise TypeRuleError(f"duration() takes a text such as 'P1D', not {say_kind(text)}")
        try:
            return parse_duration(text)
        except DurationError:
            raise TypeRuleError("duration() takes text such as 'P2D' or 'PT15M', and this is another text") from None

    _METHODS: ClassVar[Mapping[type[nodes.Node], Callable[[Any, Any], object]]] = {
        nodes.Const: _constant,
        nodes.List: _list,
        nodes.Tuple: _list,
        nodes.Dict: _dict,
        nodes.Name: _name,
        nodes.Getattr: _attribute,
        nodes.Getitem: _item,
        nodes.CondExpr: _condition,
        nodes.And: _and,
        nodes.Or: _or,
        nodes.Not: _not,
        nodes.Compare: _compare,
        nodes.Add: _sum,
        nodes.Sub: _difference,
        nodes.Mul: _product,
        nodes.Div: _quotient,
        nodes.FloorDiv: _quotient,
        nodes.Mod: _quotient,
        nodes.Neg: _negative,
        nodes.Pos: _positive,
        nodes.Concat: _concatenation,
        nodes.Filter: _filter,
        nodes.Test: _test,
        nodes.Call: _call,
    }
    """By kind of node; `expression_syntax` lets no other kind through."""


def _present(value: object) -> object:
    if isinstance(value, Undefined):
        raise TypeRuleError(f"`{value.path}` is not defined")
    if isinstance(value, Omitted):
        raise TypeRuleError("`omit` can only be the whole of an argument")
    return value


def _numeric(value: object, operator: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeRuleError(f"`{operator}` does not work on {say_kind(value)}")
    if abs(value) > _LARGEST:
        raise TypeRuleError("a number is too large to calculate with")
    return value


def _number(value: float) -> int | float:
    if not -_LARGEST <= value <= _LARGEST:
        raise TypeRuleError("the result of a calculation is too large")
    return value


def _add_times(left: date | timedelta | None, right: date | timedelta | None) -> object:
    if isinstance(left, timedelta) and isinstance(right, date):
        left, right = right, left
    if left is None or not isinstance(right, timedelta):
        raise TypeRuleError("only a duration can be added to a date, a moment or a duration")
    return _shifted(left, right)


def _subtract_times(left: date | timedelta | None, right: date | timedelta | None) -> object:
    if isinstance(left, date) and isinstance(right, date):
        if isinstance(left, datetime) != isinstance(right, datetime):
            raise TypeRuleError("a date and a moment cannot be subtracted: make both a date with `| as_date`")
        return left - right
    if left is None or not isinstance(right, timedelta):
        raise TypeRuleError("only a duration can be subtracted from this")
    return _shifted(left, -right)


def _shifted(start: date | timedelta, length: timedelta) -> object:
    if isinstance(start, date) and not isinstance(start, datetime) and length.seconds + length.microseconds:
        raise TypeRuleError("only whole days can be added to a date")
    try:
        shifted = start + length
        return shifted if not isinstance(shifted, datetime) else _writable(shifted)
    except OverflowError:
        raise TypeRuleError("the date lies beyond the calendar") from None


def _writable(moment: datetime) -> datetime:
    moment.astimezone(UTC)  # it is written in UTC, where it may lie beyond the calendar although it does not here
    return moment


def _ordered(left: object, right: object, work: Work) -> int:
    first, second = temporal(left), temporal(right)
    if first is not None and second is not None:
        if _time_kind(first) is not _time_kind(second):
            raise TypeRuleError("a date, a moment and a duration cannot be compared: make both a date with `| as_date`")
        return -1 if first < second else int(first > second)  # type: ignore[operator]  # both are of one kind: see above
    if isinstance(left, str) and isinstance(right, str):
        work.spend(min(len(left), len(right)) // 64)
        return -1 if left < right else int(left > right)
    a, b = _comparable(left), _comparable(right)
    return -1 if a < b else int(a > b)


def _time_kind(value: date | timedelta) -> type:
    return datetime if isinstance(value, datetime) else date if isinstance(value, date) else timedelta


def _comparable(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeRuleError(f"{say_kind(value)} cannot be ordered with what it is compared with")
    return value


def _contains(item: object, container: object, work: Work) -> bool:
    match container:
        case str():
            if not isinstance(item, str):
                raise TypeRuleError(f"`in` a text looks for a text, not {say_kind(item)}")
            work.spend((len(container) + len(item)) // 64)
            return str(item) in str(container)
        case list() | tuple():
            return any(equal_values(item, other, work) for other in container)
        case Mapping():
            return isinstance(item, str) and item in container
        case _:
            raise TypeRuleError(f"`in` looks into lists, maps and texts, not {say_kind(container)}")


_COMPARISONS: Mapping[str, Callable[[object, object, Work], bool]] = {
    "eq": equal_values,
    "ne": lambda left, right, work: not equal_values(left, right, work),
    "lt": lambda left, right, work: _ordered(left, right, work) < 0,
    "lteq": lambda left, right, work: _ordered(left, right, work) <= 0,
    "gt": lambda left, right, work: _ordered(left, right, work) > 0,
    "gteq": lambda left, right, work: _ordered(left, right, work) >= 0,
    "in": _contains,
    "notin": lambda left, right, work: not _contains(left, right, work),
}
