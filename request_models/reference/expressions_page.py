"""The page of the expressions: what is in scope, operators, filters, tests and functions, each with its type rule.

Type rules are asked, not copied: each rule is given a value of every kind, and the page says what it answers.
"""

from collections.abc import Iterator, Mapping, Sequence

from jinja2 import nodes

from request_models.errors import TypeRuleError
from request_models.expression_filters import ALL_FILTERS, FILTERS
from request_models.expression_functions import MAX_PRODUCED_TEXT, Function
from request_models.expression_syntax import CALLS, MAX_EXPRESSION, MAX_NESTING, MAX_TEXT
from request_models.expression_tests import ALL_TESTS, TESTS
from request_models.operation_types import arithmetic
from request_models.reference.markdown import code, table
from request_models.scope_types import PERSON, REQUEST, STEP_STATE
from request_models.type_algebra import say_type
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
    ValueType,
)

_NAMED = ObjectType(members={"name": Member(type=StringType(), required=True)})
_SCALARS: tuple[ValueType, ...] = (
    StringType(), IntegerType(), NumberType(), BooleanType(), DateType(), DateTimeType(), DurationType(), NullType(),
)  # fmt: skip
_KINDS: tuple[ValueType, ...] = (
    *_SCALARS,
    ArrayType(items=StringType()),
    ArrayType(items=IntegerType()),
    ArrayType(items=NumberType()),
    ArrayType(items=_NAMED),
    _NAMED,
)


def _constant(text: str) -> StringType:
    return StringType(enum=(text,))


# Filters are asked for their rule as they are written here; those that are not listed, without arguments.
_WRITTEN: Mapping[str, Mapping[str, Sequence[ValueType | None]]] = {
    "default": {"default('text')": [StringType(), None], "default('text', true)": [StringType(), BooleanType()]},
    "map": {"map('string')": [_constant("string"), None], "map(attribute='name')": [None, _constant("name")]},
    "replace": {"replace('old', 'new')": [StringType(), StringType()]},
    "rejectattr": {"rejectattr('name')": [_constant("name"), None, None]},
    "round": {"round": [None], "round(2)": [IntegerType()]},
    "selectattr": {"selectattr('name')": [_constant("name"), None, None]},
}

SYNTAX: Mapping[type[nodes.Node], tuple[str, str]] = {
    nodes.Const: ("`'text'` `42` `1.5` `true` `none`", "a value as it is"),
    nodes.List: ("`[a, b]`", "a list"),
    nodes.Tuple: ("`(a, b)`", "a list"),
    nodes.Dict: ("`{'key': value}`", "a map; a member that equals `omit` is left out"),
    nodes.Pair: ("`'key': value`", "a member of a map"),
    nodes.Name: ("`inputs`", "a name in scope"),
    nodes.Getattr: ("`inputs.region`", "a member; an item wins over an attribute, so `inputs.items` is the input"),
    nodes.Getitem: ("`list[0]` `map['key']`", "an item of a list or map"),
    nodes.Slice: ("`list[1:3]`", "a part of a list or text"),
    nodes.CondExpr: ("`a if condition else b`", "one of two; `else` is required, `omit` may be one of them"),
    nodes.And: ("`a and b`", "whether both hold"),
    nodes.Or: ("`a or b`", "whether one holds"),
    nodes.Not: ("`not a`", "whether it does not hold"),
    nodes.Compare: ("`a == b` `!=` `<` `<=` `>` `>=`", "a comparison of one kind with its like; kinds never mix"),
    nodes.Operand: ("`a in b` `a not in b`", "whether a list has it, a map has the key, or a text holds the text"),
    nodes.Add: ("`a + b`", "a sum; lists are joined"),
    nodes.Sub: ("`a - b`", "a difference"),
    nodes.Mul: ("`a * b`", "a product of numbers; nothing is repeated"),
    nodes.Div: ("`a / b`", "a quotient"),
    nodes.FloorDiv: ("`a // b`", "a quotient without its fraction"),
    nodes.Mod: ("`a % b`", "a remainder"),
    nodes.Neg: ("`-a`", "a number's negative"),
    nodes.Pos: ("`+a`", "the number"),
    nodes.Concat: ("`a ~ b`", "both as one text"),
    nodes.Filter: ("`value \\| filter`", "a filter, see below"),
    nodes.Test: ("`value is test`", "a test, see below"),
    nodes.Call: ("`duration('P1D')`", "a function, see below"),
    nodes.Keyword: ("`name=value`", "a named argument of a filter or test"),
    nodes.If: ("`{% if a %}...{% endif %}`", "in texts of several lines only"),
    nodes.For: ("`{% for item in list %}...{% endfor %}`", "in texts of several lines only"),
}
"""Every construct of the language: how it is written, and what it is."""

FUNCTIONS: Mapping[str, str] = {
    "duration": "A length of time, from ISO 8601 text of weeks, days, hours, minutes and seconds: `duration('PT15M')`.",
}
"""What may be called, described."""


def expressions_page() -> str:
    """The page."""
    return "\n".join(
        [
            _INTRODUCTION,
            "## In scope\n",
            table(["Name", "What", "Where"], _scope()),
            "## Syntax\n",
            # Rows are written as they are: what stands in a cell is escaped where it is listed.
            "| Written | Is |\n| --- | --- |\n" + "".join(f"| {how} | {what} |\n" for how, what in SYNTAX.values()),
            "## Calculating\n",
            "What is not listed does not exist. What a value of any type allows is found out at run time.\n",
            table(["Operator", "Left", "Right", "Gives"], _calculations()),
            "## Filters\n",
            "Types that are not listed are refused when compiling. A secret stays one. Maps here have a `name`.\n",
            *(_section(function) for function in ALL_FILTERS),
            "## Tests\n",
            "Each answers true or false, of a value of any type.\n",
            table(["Test", "Other names", "Means", "Value may be absent"], _tests()),
            "## Functions\n",
            table(["Function", "Gives", "What"], _functions()),
        ]
    )


def _scope() -> Iterator[tuple[str, str, str]]:
    person, request = (", ".join(code(name) for name in kind.members) for kind in (PERSON, REQUEST))
    states = ", ".join(code(state) for state in STEP_STATE.enum or ())
    yield "`inputs.NAME`", "what was asked of the requester", "everywhere"
    yield "`values.NAME`", "what the model computes", "everywhere"
    yield "`requester`, `user`", f"who asked, and for whom: {person}; and attributes of the directory", "everywhere"
    yield "`request`", f"the request: {request}; `request.submitted` is the only clock", "everywhere"
    yield "`settings.NAME`", "the public part of the settings", "everywhere"
    yield "`steps.ID.result`, `steps.ID.state`", f"a step that ran before; the state is {states}", "after that step"
    yield "`args`", "the arguments of the step's call", "`expect`, `otherwise`, `undo`"
    yield "`result`", "the step's own answer; in `undo` it may be absent", "`expect`, `otherwise`, `undo`"
    yield "`omit`", "an argument that equals it is left out", "`with`"


def _calculations() -> Iterator[tuple[str, str, str, str]]:
    for operator in ("+", "-", "*", "/", "//", "%"):
        for left in (*_SCALARS, ArrayType(items=AnyType())):
            for right in (*_SCALARS, ArrayType(items=AnyType())):
                try:
                    found = arithmetic(operator, left, right)
                except TypeRuleError:
                    continue
                yield code(operator), say_type(left), say_type(right), say_type(found)


def _section(function: Function) -> str:
    others = _other_names(function, FILTERS)
    arguments = f"({', '.join(_parameters(function))})" if function.parameters else ""
    also = f" Also written {others}." if others else ""
    absent = " The value may be absent." if function.takes_absent else ""
    head = f"### {function.name}\n\n`value | {function.name}{arguments}`\n\n{function.documentation}{also}{absent}\n"
    written = _WRITTEN.get(function.name) or {function.name: [None] * len(function.parameters)}
    tables = (table(["Value", f"`value | {call}`"], _rules(function, given)) for call, given in written.items())
    return "\n".join([head, *tables])


def _parameters(function: Function) -> Iterator[str]:
    for index, name in enumerate(function.parameters):
        yield name if index < function.required else f"{name}=..."


def _rules(function: Function, given: Sequence[ValueType | None]) -> Iterator[tuple[str, str]]:
    """What the filter gives, of what; kinds that give the same stand in one row."""
    found: dict[str, list[str]] = {}
    for kind in _KINDS:
        try:
            result = function.rule(kind, *given)
        except TypeRuleError:
            continue
        found.setdefault(say_type(result), []).append(say_type(kind))
    if all(len(kinds) == len(_KINDS) for kinds in found.values()):
        yield from (("anything", result) for result in found)
        return
    yield from ((", ".join(kinds), result) for result, kinds in found.items())


def _other_names(function: Function, functions: Mapping[str, Function]) -> str:
    return ", ".join(code(name) for name, one in functions.items() if one is function and name != function.name)


def _tests() -> Iterator[tuple[str, str, str, str]]:
    for test in ALL_TESTS:
        arguments = f"({', '.join(test.parameters)})" if test.parameters else ""
        absent = "yes" if test.takes_absent else ""
        yield code(f"is {test.name}{arguments}"), _other_names(test, TESTS), test.documentation, absent


def _functions() -> Iterator[tuple[str, str, str]]:
    for name in sorted(CALLS):
        yield code(f"{name}(text)"), say_type(DurationType()), FUNCTIONS[name]


_INTRODUCTION = f"""\
# Expressions

A published subset of Jinja2. A value that is exactly one `{{{{ ... }}}}` keeps its type; anything else renders to text.
`when` and `expect` are expressions without braces. What is absent is an error everywhere but in `is defined` and
`default`. What a user typed is data: it is never rendered again.

An expression has {MAX_EXPRESSION} characters at most, a text with expressions {MAX_TEXT}, a text that is made
{MAX_PRODUCED_TEXT}; parts are nested {MAX_NESTING} levels at most. The power operator, `set`, `include`, `import`,
`extends` and macros are left out.
"""
