"""The types of expressions, known before anything runs; and what is known of names once a condition holds.

Names that do not exist are reported by the check of names; here they are of any type, so that one mistake is told once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from jinja2 import nodes

from request_models.comparisons import check_comparable
from request_models.diagnostics import Severity
from request_models.durations import parse_duration
from request_models.errors import TypeRuleError
from request_models.expression_filters import FILTERS
from request_models.expression_functions import Function
from request_models.expression_syntax import chain_of
from request_models.expression_tests import TESTS
from request_models.known_facts import facts_of, is_given, outcome_of
from request_models.operation_types import arithmetic, item_type
from request_models.scope_types import ROOTS
from request_models.type_algebra import (
    any_secret,
    constant_text,
    is_secret,
    item_of,
    join,
    member_names,
    member_of,
    options,
    say_type,
    type_of,
    with_secrecy,
    without_literal,
)
from request_models.type_scopes import Condition, Facts, TypeScope
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DurationType,
    IntegerType,
    Member,
    NullType,
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
    severity: Severity = Severity.ERROR


@dataclass(frozen=True)
class Inferred:
    """The type of an expression and what is wrong in it.

    `outcome` is what it comes out as when it is used as a condition, where that is known before anything runs.
    """

    type: ValueType
    problems: tuple[Problem, ...] = ()
    outcome: bool | None = None


def infer(tree: nodes.Expr, scope: TypeScope) -> Inferred:
    """The type an expression yields in a scope."""
    inference = _Inference(scope)
    found = inference.of(tree)
    return Inferred(found, tuple(dict.fromkeys(inference.problems)), inference.outcome(tree))


def infer_text(tree: nodes.Template, scope: TypeScope) -> Inferred:
    """The type of a text that is rendered: text, secret if anything in it is."""
    inference = _Inference(scope)
    secret = inference.body(tree.body)
    return Inferred(StringType(secret=secret), tuple(dict.fromkeys(inference.problems)))


def facts_if(tree: nodes.Expr, scope: TypeScope, holds: bool = True) -> Facts:
    """What is known once a condition has come out true (or false)."""
    inference = _Inference(scope)
    return inference.facts(tree, holds)


class _Inference:
    """Infers one tree; problems are gathered on the way."""

    def __init__(self, scope: TypeScope, *, guarding: bool = True) -> None:
        self.scope = scope
        self._guarding = guarding
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
        known = options(found)
        if all(isinstance(option, ObjectType | ArrayType) for option in known):
            lists = all(isinstance(option, ArrayType) for option in known)
            hint = "write `... | join(', ')`" if lists else "name the member that is meant"
            message = f"{say_type(found)} would stand in this text as JSON"
            hint = f"{hint}, or `... | tojson` if JSON is meant"
            self._warn("json-in-text", message, hint=hint, at=_first_path(node))
        return found

    def _if(self, node: nodes.If) -> bool:
        secret = is_secret(self.of(node.test))
        before = self.scope
        self.scope = before.knowing(self.facts(node.test, True))
        secret |= self.body(node.body)
        self.scope = before.knowing(self.facts(node.test, False))
        for branch in node.elif_:
            secret |= self._if(branch)
        secret |= self.body(node.else_)
        self.scope = before
        return secret

    def _for(self, node: nodes.For) -> bool:
        found = self.of(node.iter)
        maps = all(isinstance(option, ObjectType) for option in options(found))
        items = StringType(secret=found.secret) if maps else item_of(found)
        if items is None:
            self._problem("wrong-operation", f"a loop goes through a list, but this is {say_type(found)}")
        before = self.scope
        number, boolean = IntegerType(minimum=0), BooleanType()
        members = {"index": number, "index0": number, "length": number, "first": boolean, "last": boolean}
        loop = ObjectType(members={name: Member(type=kind, required=True) for name, kind in members.items()})
        target = node.target.name if isinstance(node.target, nodes.Name) else ""
        names = {target: items or AnyType(), "loop": loop}
        self.scope = before.hiding(names)
        if node.test is not None:
            self.of(node.test)
            self.scope = self.scope.knowing(self.facts(node.test, True))
        secret = self.body(node.body)
        self.scope = before
        return self.body(node.else_) or secret or is_secret(found)

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
                asked = self._condition(test)
                found = join([self._given(first, test, True), self._given(second, test, False)])
                return with_secrecy(found, is_secret(asked))
            case nodes.And(left=left, right=right):
                return join([self._value(left), self._given(right, left, True)])
            case nodes.Or(left=left, right=right):
                return join([self._value(left), self._given(right, left, False)])
            case nodes.Not(node=inner):
                return BooleanType(secret=is_secret(self._value(inner)))
            case nodes.Compare():
                return self._comparison(node)
            case nodes.Add() | nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.FloorDiv() | nodes.Mod():
                return arithmetic(node.operator, self._value(node.left), self._value(node.right))
            case nodes.Neg(node=nodes.Const(value=int() | float() as number)) if not isinstance(number, bool):
                return type_of(-number)
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
        before = self.scope
        self.scope = before.knowing(self.facts(test, outcome))
        found = self.of(node)
        self.scope = before
        return found

    def _condition(self, node: nodes.Expr) -> ValueType:
        found = self._value(node)
        always = self.outcome(node)
        if always is not None:
            code, which = ("always-true", "after `else`") if always else ("never-true", "before `if`")
            message = f"this choice is none: its condition is {'always' if always else 'never'} true"
            self._warn(code, message, hint=f"leave out what stands {which}", at=_first_path(node))
        return found

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
            return OmitType() if node.name == "omit" else self.scope.names.get(node.name, AnyType())
        chain = chain_of(node)
        if chain is not None and chain in self.scope.facts.narrowed:
            return self.scope.facts.narrowed[chain]
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
        if chain is not None and len(chain) == 2 and chain[0] in {*ROOTS, "facts"}:
            return  # `inputs.nope`: the check of names tells it
        near = get_close_matches(name, member_names(base), n=1)
        known = ", ".join(sorted(member_names(base))[:12])
        hint = f"is `{near[0]}` meant?" if near else f"known: {known}" if known else ""
        path = ".".join(chain) if chain is not None else name
        self._problem("unknown-member", f"`{path}`: {say_type(base)} has no `{name}`", hint=hint, at=path)

    def _guarded(self, chain: tuple[str, ...] | None) -> None:
        if not self._guarding or chain is None or chain not in self.scope.guards:
            return
        facts, needed = self.scope.facts, self.scope.guards[chain]
        if chain in facts.present or (needed is not None and all(map(self._holds, needed))):
            return
        path = ".".join(chain)
        if chain[0] == "inputs":
            hint = f"write `{path} | default(...)` or `{path} if {path} is defined else omit`, or give it a default"
            self._problem("absent-input", f"`{path}` is absent when it is not given", hint=hint, at=path)
        elif chain[0] in {"result", "args"} and len(chain) == 1 + (chain[0] == "args"):
            hint = f"ask `{path} is defined` first"
            self._problem("unguarded-result", f"`{path}` may be absent here", hint=hint, at=path)
        elif chain[0] == "result" or len(chain) > 3:
            hint = f"ask `{path} is defined` first, or let `returns` require it"
            message = f"`{path}` may be absent: `returns` does not require it"
            self._problem("unguarded-result", message, hint=hint, at=path)
        else:
            hint = f"give this the same `when`, or ask `steps.{chain[1]}.state == 'done'` first"
            message = f"`{path}` may be absent: step `{chain[1]}` has a `when`"
            self._problem("unguarded-result", message, hint=hint, at=path)

    def _comparison(self, node: nodes.Compare) -> ValueType:
        left = self._value(node.expr)
        secret = any_secret(left)
        for operand in node.ops:
            right = self._value(operand.expr)
            check_comparable(operand.op, left, right)
            self._doubtful_comparison(node, operand, left, right)
            secret = secret or any_secret(right)
            left = right
        # What equals a secret is known once it is known to be equal.
        return BooleanType(secret=secret)

    def _doubtful_comparison(
        self, node: nodes.Compare, operand: nodes.Operand, left: ValueType, right: ValueType
    ) -> None:
        if operand.op in {"in", "notin"} and constant_text(left) is not None:
            for option in options(right):
                if isinstance(option, StringType) and option.enum is not None:
                    message = f"`in` looks for a part of a text, and this is {say_type(option)}"
                    hint = "compare with `==`, or write a list: `in [...]`"
                    self._warn("part-of-text", message, hint=hint, at=_first_path(operand))
                    return
        given = operand.expr.value if isinstance(operand.expr, nodes.Const) else None
        truths = all(isinstance(option, BooleanType) for option in options(left))
        if operand.op in {"eq", "ne"} and isinstance(given, bool) and truths:
            path = _first_path(node)
            says = f"{'' if given is (operand.op == 'eq') else 'not '}{path or '...'}"
            self._warn("compared-with-true", "this is true or false already", hint=f"write `{says}`", at=path)

    def _applied(self, node: nodes.Filter | nodes.Test, function: Function | None) -> ValueType:
        kind, known = ("test", TESTS) if isinstance(node, nodes.Test) else ("filter", FILTERS)
        if function is None:
            near = get_close_matches(node.name, list(known), n=1)
            hint = f"is `{near[0]}` meant?" if near else f"{kind}s are {', '.join(sorted(known))}"
            self._problem("unknown-name", f"there is no {kind} `{node.name}`", hint=hint, at=node.name)
            return AnyType()
        if function.name == "default":
            _refuse_doubtful_default(node)
            self._needless_default(node)
        arguments = [self._value(argument) for argument in node.args]
        named = {str(keyword.key): self._value(keyword.value) for keyword in node.kwargs}
        value = self._maybe_absent(node.node) if function.takes_absent else self._value(node.node or nodes.Const(None))
        return function.rule(value, *function.bind(arguments, named))

    def _needless_default(self, node: nodes.Filter | nodes.Test) -> None:
        chain = chain_of(node.node) if node.node is not None else None
        if chain is not None and len(node.args) + len(node.kwargs) == 1 and is_given(chain, self.scope):
            path = ".".join(chain)
            hint = "leave `| default(...)` out; for empty text write `| default(..., true)`"
            self._warn("needless-default", f"`{path}` is never absent", hint=hint, at=path)

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

    # what is known

    def _holds(self, condition: Condition) -> bool:
        return condition in self.scope.facts.holds or outcome_of(condition.tree, self._quiet()) is True

    def _quiet(self) -> "_Inference":
        """The same, where nothing needs a guard: to look a second time at what was looked at."""
        return _Inference(self.scope, guarding=False)

    def knowing(self, facts: Facts) -> "_Inference":
        """The same, where more is known."""
        return _Inference(self.scope.knowing(facts), guarding=self._guarding)

    def facts(self, tree: nodes.Node, holds: bool) -> Facts:
        """What is known when the condition comes out as `holds` says."""
        return facts_of(tree, holds, self._quiet())

    def outcome(self, tree: nodes.Node) -> bool | None:
        """What a condition comes out as, whatever the values; None where it depends on them."""
        return None if self._is_wrong() else outcome_of(tree, self._quiet())

    def _is_wrong(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def _problem(self, code: str, message: str, *, hint: str = "", at: str = "") -> None:
        self.problems.append(Problem(code, message, hint, at))

    def _warn(self, code: str, message: str, *, hint: str = "", at: str = "") -> None:
        self.problems.append(Problem(code, message, hint, at, Severity.WARNING))


def _refuse_doubtful_default(node: nodes.Filter | nodes.Test) -> None:
    also_empty = [*node.args[1:], *(keyword.value for keyword in node.kwargs if keyword.key == "boolean")]
    if any(not isinstance(given, nodes.Const) or given.value is not True for given in also_empty):
        raise TypeRuleError("the second argument of `default` is `true`, or is left out")


_BOUNDS = (IntegerType, NullType, AnyType)


def _first_path(node: nodes.Node) -> str:
    """The first name that a part reads, to point at; empty when it reads none."""
    chain = chain_of(node)
    if chain is not None:
        return ".".join(chain)
    return next((path for child in node.iter_child_nodes() if (path := _first_path(child))), "")
