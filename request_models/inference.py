"""The types of expressions, known before anything runs; and what is known of names once a condition holds.

Names that do not exist are reported by the check of names; here they are of any type, so that one mistake is told once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from jinja2 import nodes

from request_models.durations import parse_duration
from request_models.errors import TypeRuleError
from request_models.expression_filters import FILTERS
from request_models.expression_functions import Function
from request_models.expression_syntax import chain_of
from request_models.expression_tests import TESTS
from request_models.filter_rules import constant_text
from request_models.operation_types import arithmetic, check_comparable, item_type
from request_models.scope_types import ROOTS
from request_models.type_algebra import (
    any_secret,
    item_of,
    join,
    member_names,
    member_of,
    options,
    say_type,
    type_of,
    without_literal,
)
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
    OmitType,
    StringType,
    ValueType,
)


@dataclass(frozen=True)
class Problem:
    """Something wrong within an expression; `at` is the text in it that is at fault."""

    code: str
    message: str
    hint: str = ""
    at: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known where an expression stands: paths that are there, conditions that hold, types made narrower."""

    present: frozenset[tuple[str, ...]] = frozenset()
    holds: frozenset[str] = frozenset()
    narrowed: Mapping[tuple[str, ...], ValueType] = field(default_factory=dict)

    def without(self, names: Iterable[str]) -> "Facts":
        """What is still known where the names stand for something else."""
        present = frozenset(path for path in self.present if path[0] not in names)
        return Facts(present, self.holds, {path: kind for path, kind in self.narrowed.items() if path[0] not in names})

    def __or__(self, other: "Facts") -> "Facts":
        narrowed = {**self.narrowed, **other.narrowed}
        return Facts(self.present | other.present, self.holds | other.holds, narrowed)


@dataclass(frozen=True)
class TypeScope:
    """The types of the names in scope.

    `guards` are paths that may be absent (a result of a step with `when`, an optional input), each with the conditions
    that, when they all hold, make sure it is there; None where only `is defined` helps.
    """

    names: Mapping[str, ValueType]
    guards: Mapping[tuple[str, ...], frozenset[str] | None] = field(default_factory=dict)
    facts: Facts = Facts()

    def knowing(self, facts: Facts) -> "TypeScope":
        """The scope where more is known."""
        return replace(self, facts=self.facts | facts)

    def hiding(self, names: Mapping[str, ValueType]) -> "TypeScope":
        """The scope where names stand for something else: nothing is known of them beside their type."""
        guards = {path: needed for path, needed in self.guards.items() if path[0] not in names}
        return TypeScope({**self.names, **names}, guards, self.facts.without(names))

    def with_names(self, names: Mapping[str, ValueType]) -> "TypeScope":
        """The scope with further names."""
        return replace(self, names={**self.names, **names})


@dataclass(frozen=True)
class Inferred:
    """The type of an expression and what is wrong in it."""

    type: ValueType
    problems: tuple[Problem, ...] = ()


def infer(tree: nodes.Expr, scope: TypeScope) -> Inferred:
    """The type an expression yields in a scope."""
    inference = _Inference(scope)
    return Inferred(inference.of(tree), tuple(dict.fromkeys(inference.problems)))


def infer_text(tree: nodes.Template, scope: TypeScope) -> Inferred:
    """The type of a text that is rendered: text, secret if anything in it is."""
    inference = _Inference(scope)
    secret = inference.body(tree.body)
    return Inferred(StringType(secret=secret), tuple(dict.fromkeys(inference.problems)))


def facts_if(tree: nodes.Expr, scope: TypeScope, holds: bool = True) -> Facts:
    """What is known once a condition has come out true (or false)."""
    inference = _Inference(scope)
    return inference.facts(tree, holds)


def conjuncts(tree: nodes.Node) -> frozenset[str]:
    """The conditions that all hold when this one does, each in one way of writing."""
    if isinstance(tree, nodes.And):
        return conjuncts(tree.left) | conjuncts(tree.right)
    return frozenset({repr(tree)})


def negated(tree: nodes.Node) -> frozenset[str]:
    """The condition that holds when this one does not, in the same way of writing as `conjuncts`."""
    return conjuncts(tree.node) if isinstance(tree, nodes.Not) else frozenset({repr(nodes.Not(tree))})


class _Inference:
    """Infers one tree; problems are gathered on the way."""

    def __init__(self, scope: TypeScope) -> None:
        self._scope = scope
        self.problems: list[Problem] = []

    # texts

    def body(self, body: Iterable[nodes.Node]) -> bool:
        """Types all parts of a text; whether a secret flows into it."""
        secret = False
        for node in body:
            match node:
                case nodes.Output(nodes=parts):
                    for part in parts:
                        secret |= not isinstance(part, nodes.TemplateData) and any_secret(self._written(part))
                case nodes.If():
                    secret |= self._if(node)
                case nodes.For():
                    secret |= self._for(node)
                case _:
                    pass
        return secret

    def _written(self, node: nodes.Expr) -> ValueType:
        found = self.of(node)
        if any(isinstance(option, OmitType) for option in options(found)):
            self._problem("omit-misplaced", "`omit` has no place in a text", hint="write '' for nothing")
        return found

    def _if(self, node: nodes.If) -> bool:
        secret = any_secret(self.of(node.test))
        before = self._scope
        self._scope = before.knowing(self.facts(node.test, True))
        secret |= self.body(node.body)
        self._scope = before.knowing(self.facts(node.test, False))
        for branch in node.elif_:
            secret |= self._if(branch)
        secret |= self.body(node.else_)
        self._scope = before
        return secret

    def _for(self, node: nodes.For) -> bool:
        found = self.of(node.iter)
        maps = all(isinstance(option, ObjectType) for option in options(found))
        items = StringType(secret=found.secret) if maps else item_of(found)
        if items is None:
            self._problem("wrong-operation", f"a loop goes through a list, but this is {say_type(found)}")
        before = self._scope
        number, boolean = IntegerType(minimum=0), BooleanType()
        members = {"index": number, "index0": number, "length": number, "first": boolean, "last": boolean}
        loop = ObjectType(members={name: Member(type=kind, required=True) for name, kind in members.items()})
        target = node.target.name if isinstance(node.target, nodes.Name) else ""
        names = {target: items or AnyType(), "loop": loop}
        self._scope = before.hiding(names)
        if node.test is not None:
            self.of(node.test)
            self._scope = self._scope.knowing(self.facts(node.test, True))
        secret = self.body(node.body)
        self._scope = before
        return self.body(node.else_) or secret or any_secret(found)

    # expressions

    def of(self, node: nodes.Node) -> ValueType:
        """The type of a part; any type after something wrong in it."""
        try:
            return self._of(node)
        except TypeRuleError as error:
            self._problem("wrong-operation", error.why, hint=error.hint)
            return AnyType()

    def _of(self, node: nodes.Node) -> ValueType:  # noqa: C901, PLR0911, PLR0912 - one case a kind of node, nothing nested
        match node:
            case nodes.Const(value=value):
                return type_of(value)
            case nodes.List(items=items) | nodes.Tuple(items=items):
                types = [self._value(item) for item in items]
                return ArrayType(items=join(types), min_items=len(types), max_items=len(types))
            case nodes.Dict(items=pairs):
                return self._map(pairs)
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._path(node)
            case nodes.CondExpr(test=test, expr1=first, expr2=nodes.Expr() as second):
                self._condition(test)
                return join([self._given(first, test, True), self._given(second, test, False)])
            case nodes.And(left=left, right=right):
                return join([self._value(left), self._given(right, left, True)])
            case nodes.Or(left=left, right=right):
                return join([self._value(left), self._given(right, left, False)])
            case nodes.Not(node=inner):
                self._value(inner)
                return BooleanType()
            case nodes.Compare():
                return self._comparison(node)
            case nodes.Add() | nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.FloorDiv() | nodes.Mod():
                return arithmetic(node.operator, self._value(node.left), self._value(node.right))
            case nodes.Neg(node=inner) | nodes.Pos(node=inner):
                return arithmetic("-", IntegerType(enum=(0,)), self._value(inner))
            case nodes.Concat(nodes=parts):
                types = [self._value(part) for part in parts]
                return StringType(secret=any(any_secret(kind) for kind in types))
            case nodes.Filter():
                return self._applied(node, FILTERS.get(node.name))
            case nodes.Test():
                return self._applied(node, TESTS.get(node.name))
            case nodes.Call(args=[argument]):
                return self._duration(argument)
            case _:
                return AnyType()

    def _value(self, node: nodes.Node) -> ValueType:
        """The type of a part that is used for something: it cannot be `omit`."""
        found = self.of(node)
        if any(isinstance(option, OmitType) for option in options(found)):
            raise TypeRuleError("`omit` can only be the whole of an argument, or of a map's member")
        return found

    def _given(self, node: nodes.Node, test: nodes.Expr, outcome: bool) -> ValueType:
        before = self._scope
        self._scope = before.knowing(self.facts(test, outcome))
        found = self.of(node)
        self._scope = before
        return found

    def _condition(self, node: nodes.Expr) -> None:
        self._value(node)

    def _map(self, pairs: list[nodes.Pair]) -> ValueType:
        members: dict[str, Member] = {}
        others: list[ValueType] = []
        for pair in pairs:
            key = self._key(pair.key)
            found = self.of(pair.value)
            kept = [option for option in options(found) if not isinstance(option, OmitType)]
            if key is None:
                others.extend(kept)
            elif kept:
                sure = len(kept) == len(options(found))
                before = [members[key].type] if key in members and not sure else []
                members[key] = Member(type=join([*before, *kept]), required=sure or key in members)
        # A key known only at run time may be one of the others again.
        members = {key: replace(member, type=join([member.type, *others])) for key, member in members.items()}
        return ObjectType(members=members, others=join(others) if others else None)

    def _key(self, node: nodes.Expr) -> str | None:
        found = self._value(node)
        for option in options(found):
            if not isinstance(option, StringType | AnyType):
                raise TypeRuleError(f"the keys of a map are text, but this is {say_type(option)}")
        return constant_text(found)

    def _path(self, node: nodes.Name | nodes.Getattr | nodes.Getitem, may_be_absent: bool = False) -> ValueType:
        if isinstance(node, nodes.Name):
            if not may_be_absent:
                self._guarded((node.name,))
            return OmitType() if node.name == "omit" else self._scope.names.get(node.name, AnyType())
        chain = chain_of(node)
        if chain is not None and chain in self._scope.facts.narrowed:
            return self._scope.facts.narrowed[chain]
        base = self._maybe_absent(node.node) if may_be_absent else self.of(node.node)
        if isinstance(node, nodes.Getattr):
            return self._member(base, node.attr, chain, may_be_absent)
        if isinstance(node.arg, nodes.Slice):
            return self._slice(base, node.arg)
        key = self._value(node.arg)
        name = constant_text(key)
        return self._member(base, name, chain, may_be_absent) if name is not None else item_type(base, key)

    def _slice(self, base: ValueType, cut: nodes.Slice) -> ValueType:
        for bound in (cut.start, cut.stop, cut.step):
            if bound is not None and not all(isinstance(kind, _BOUNDS) for kind in options(self._value(bound))):
                raise TypeRuleError("the bounds of a cut are whole numbers")
        for option in options(base):
            if not isinstance(option, ArrayType | StringType | AnyType):
                raise TypeRuleError(f"only lists and texts can be cut, but this is {say_type(option)}")
        return join(
            ArrayType(items=option.items, secret=option.secret)
            if isinstance(option, ArrayType)
            else without_literal(option)
            for option in options(base)
        )

    def _member(
        self, base: ValueType, name: str, chain: tuple[str, ...] | None, may_be_absent: bool = False
    ) -> ValueType:
        member = member_of(base, name)
        if member is None:
            self._unknown_member(base, name, chain)
            return AnyType(secret=base.secret)
        known = options(base)
        without = (kind for kind in known if not isinstance(kind, ObjectType) and member_of(kind, name) is None)
        other = next(without, None)
        if other is not None:
            what = f"`{'.'.join(chain[:-1])}`" if chain is not None else "this"
            hint = f"ask `{'.'.join(chain[:-1])} is mapping` first" if chain is not None else ""
            raise TypeRuleError(f"{what} may be {say_type(other)}, which has no `{name}`", hint=hint)
        if not may_be_absent:
            self._guarded(chain)
        return member.type

    def _unknown_member(self, base: ValueType, name: str, chain: tuple[str, ...] | None) -> None:
        if chain is not None and len(chain) == 2 and chain[0] in ROOTS:
            return  # `inputs.nope`: the check of names tells it
        near = get_close_matches(name, member_names(base), n=1)
        known = ", ".join(sorted(member_names(base))[:12])
        hint = f"is `{near[0]}` meant?" if near else f"known: {known}" if known else ""
        path = ".".join(chain) if chain is not None else name
        self._problem("unknown-member", f"`{path}`: {say_type(base)} has no `{name}`", hint=hint, at=path)

    def _guarded(self, chain: tuple[str, ...] | None) -> None:
        if chain is None or chain not in self._scope.guards:
            return
        facts, needed = self._scope.facts, self._scope.guards[chain]
        if chain in facts.present or (needed is not None and needed <= facts.holds):
            return
        path = ".".join(chain)
        if chain[0] == "inputs":
            hint = f"write `{path} | default(...)` or `{path} if {path} is defined else omit`, or give it a default"
            self._problem("absent-input", f"`{path}` is absent when it is not given", hint=hint, at=path)
        elif chain[0] in {"result", "args"}:
            hint = f"ask `{path} is defined` first"
            self._problem("unguarded-result", f"`{path}` may be absent here", hint=hint, at=path)
        else:
            hint = f"give this the same `when`, or ask `steps.{chain[1]}.state == 'done'` first"
            message = f"`{path}` may be absent: step `{chain[1]}` has a `when`"
            self._problem("unguarded-result", message, hint=hint, at=path)

    def _comparison(self, node: nodes.Compare) -> ValueType:
        left = self._value(node.expr)
        for operand in node.ops:
            right = self._value(operand.expr)
            check_comparable(operand.op, left, right)
            left = right
        return BooleanType()

    def _applied(self, node: nodes.Filter | nodes.Test, function: Function | None) -> ValueType:
        kind, known = ("test", TESTS) if isinstance(node, nodes.Test) else ("filter", FILTERS)
        if function is None:
            near = get_close_matches(node.name, list(known), n=1)
            hint = f"is `{near[0]}` meant?" if near else f"{kind}s are {', '.join(sorted(known))}"
            self._problem("unknown-name", f"there is no {kind} `{node.name}`", hint=hint, at=node.name)
            return AnyType()
        if function.name == "default":
            _refuse_doubtful_default(node)
        arguments = [self._value(argument) for argument in node.args]
        named = {str(keyword.key): self._value(keyword.value) for keyword in node.kwargs}
        value = self._maybe_absent(node.node) if function.takes_absent else self._value(node.node or nodes.Const(None))
        return function.rule(value, *function.bind(arguments, named))

    def _maybe_absent(self, node: nodes.Node | None) -> ValueType:
        """The type of a part that may be absent: a path here need not be guarded, but what is calculated must be."""
        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._path(node, may_be_absent=True)
            case None:
                return AnyType()
            case _:
                return self._value(node)

    def _duration(self, argument: nodes.Expr) -> ValueType:
        given = self._value(argument)
        for option in options(given):
            if not isinstance(option, StringType | AnyType):
                raise TypeRuleError(f"duration() takes text such as 'P1D', but this is {say_type(option)}")
        text = constant_text(given)
        if text is not None:
            try:
                parse_duration(text)
            except ValueError as error:
                raise TypeRuleError(str(error)) from None
        return DurationType(secret=given.secret)

    # facts

    def facts(self, tree: nodes.Node, holds: bool) -> Facts:
        """What is known when the condition comes out as `holds` says."""
        match tree:
            case nodes.Not(node=inner):
                return self.facts(inner, not holds) | _condition_fact(tree, holds)
            case nodes.And(left=left, right=right) if holds:
                return self.facts(left, True) | self.facts(right, True)
            case nodes.Or(left=left, right=right) if not holds:
                return self.facts(left, False) | self.facts(right, False) | _condition_fact(tree, holds)
            case nodes.Test(name="defined" | "undefined" as name, node=inner) if (chain := chain_of(inner)) is not None:
                there = (name == "defined") is holds
                return Facts(present=_prefixes(chain)) if there else Facts()
            case nodes.Test(name=name, node=inner) if name in _TESTED and chain_of(inner) is not None:
                return self._tested_facts(inner, _TESTED[name], holds)
            case nodes.Compare(expr=left, ops=[operand]):
                return self._compared_facts(left, operand, holds) | _condition_fact(tree, holds)
            case _:
                return _condition_fact(tree, holds)

    def _compared_facts(self, left: nodes.Expr, operand: nodes.Operand, holds: bool) -> Facts:
        chain, values = chain_of(left), _constants(operand)
        if chain is None or values is None:
            return Facts()
        equal = (operand.op in {"eq", "in"}) is holds
        narrowed = self._narrowed(left, values, equal)
        facts = Facts(narrowed={chain: narrowed}) if narrowed is not None else Facts()
        # A step that is `done` has its result.
        if chain[0] == "steps" and chain[-1] == "state" and len(chain) == 3 and equal and values == ["done"]:
            return facts | Facts(present=frozenset({(*chain[:2], "result"), (*chain[:2], "args")}))
        return facts

    def _tested_facts(self, node: nodes.Node, kinds: tuple[type[ValueType], ...], holds: bool) -> Facts:
        quiet = _Inference(replace(self._scope, guards={}))
        known, chain = options(quiet.of(node)), chain_of(node)
        if chain is None or any(isinstance(option, AnyType) for option in known):
            return Facts()
        # Of a date, whether it was written as text or calculated is not known: it may be either.
        kept = [option for option in known if isinstance(option, kinds) is holds or isinstance(option, _TIMES)]
        return Facts(narrowed={chain: join(kept)}) if kept else Facts()

    def _narrowed(self, node: nodes.Expr, values: list[object], equal: bool) -> ValueType | None:
        quiet = _Inference(replace(self._scope, guards={}))
        found = quiet.of(node)
        kept: list[ValueType] = []
        for option in options(found):
            match option:
                case NullType():
                    kept.extend([option] if (None in values) is equal else [])
                case StringType(enum=tuple() as texts):
                    left = tuple(text for text in texts if (text in values) is equal)
                    kept.extend([replace(option, enum=left)] if left else [])
                case StringType() if equal and all(isinstance(value, str) for value in values):
                    kept.append(replace(option, enum=tuple(str(value) for value in values)))
                case _:
                    kept.append(option)
        return join(kept) if kept else None

    def _problem(self, code: str, message: str, *, hint: str = "", at: str = "") -> None:
        self.problems.append(Problem(code, message, hint, at))


def _refuse_doubtful_default(node: nodes.Filter | nodes.Test) -> None:
    also_empty = [*node.args[1:], *(keyword.value for keyword in node.kwargs if keyword.key == "boolean")]
    if any(not isinstance(given, nodes.Const) or given.value is not True for given in also_empty):
        raise TypeRuleError("the second argument of `default` is `true`, or is left out")


_BOUNDS = (IntegerType, NullType, AnyType)
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
