"""Rendering: types are kept, what a user typed stays data, and nothing hostile gets anywhere."""

import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from request_models.expressions import (
    OMIT,
    ExpressionError,
    ExpressionSyntaxError,
    evaluate,
    expression_of,
    node_of,
    references,
    render,
)
from request_models.json_values import JsonValue
from request_models.plan import Expression, ListOf, Literal, MapOf, Text
from request_models.scope_values import DateText, DateTimeText

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

SCOPE: dict[str, object] = {
    "inputs": {
        "project": "alpha",
        "number": 7,
        "code": "007",
        "yes": True,
        "items": [{"k": "b", "v": 2}, {"k": "a", "v": 1}],
        "ends": DateText("2026-01-31"),
        "evil": "{{ values.secret }}{% for x in y %}",
    },
    "values": {"secret": "s3cret"},
    "request": {"submitted": datetime(2026, 1, 1, 12, tzinfo=UTC)},
    "steps": {"make": {"state": "done", "result": {"Arn": "arn:x", "Tags": [1, 2]}}},
}


def rendered(value: JsonValue) -> object:
    return render(node_of(value), SCOPE)


@given(json_values)
def test_one_expression_keeps_the_type_and_identity_of_every_json_value(value: JsonValue) -> None:
    assert render(Expression("x"), {"x": value}) is value


@given(st.text())
def test_a_value_is_never_rendered_twice(text: str) -> None:
    hostile = f"{{{{ {text} }}}}{{% if %}}"
    assert render(node_of("<{{ x }}>"), {"x": hostile}) == f"<{hostile}>"
    assert render(node_of("{{ x }}"), {"x": hostile}) == hostile
    assert render(MapOf({"a": Literal(hostile)}), {}) == {"a": hostile}


@given(json_values)
def test_values_of_a_model_without_braces_are_literal(value: JsonValue) -> None:
    if "{" not in repr(value).replace("{'", "").replace("{}", ""):
        assert render(node_of(value), {}) == value


@given(st.text(alphabet="{}%#|.()[]'\"+-*/~ abinotrelsx0123456789_,:<>=\n", max_size=60))
def test_no_text_makes_the_parser_or_the_interpreter_fail_otherwise_than_by_saying_so(text: str) -> None:
    with suppress(ExpressionSyntaxError, ExpressionError):
        render(node_of(text), SCOPE)
    with suppress(ExpressionSyntaxError, ExpressionError):
        evaluate(expression_of(text), SCOPE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ inputs.code }}", "007"),
        ("{{ inputs.number }}", 7),
        ("{{ inputs['items'] | map(attribute='k') | sort | join('-') }}", "a-b"),
        ("{{ inputs.items | selectattr('v', 'equalto', 2) | map(attribute='k') | first }}", "b"),
        ("{{ inputs.items | sort(attribute='v') | map(attribute='k') | list }}", ["a", "b"]),
        ("{{ inputs.missing | default('x') }}", "x"),
        ("{{ inputs.missing is defined }}", False),
        ("{{ inputs.missing.deeper is defined }}", False),
        ("{{ 1 == true }}", False),
        ("{{ 1 == 1.0 and [1, {'a': [true]}] == [1, {'a': [true]}] }}", True),
        ("{{ 'a' < 'b' < 'c' and not 2 > 3 }}", True),
        ("{{ 7 // 2 }}/{{ 7 % 2 }}/{{ 7 / 2 }}/{{ -7 }}", "3/1/3.5/-7"),
        ("{{ inputs.yes }} {{ none }} {{ [1, 'a'] }}", 'true null [1,"a"]'),
        ("{{ inputs.ends }}", "2026-01-31"),
        ("{{ inputs.ends + duration('P1D') }}", "2026-02-01"),
        ("{{ inputs.ends.year }}", 2026),
        ("{{ request.submitted + duration('PT90M') }}", "2026-01-01T13:30:00Z"),
        ("{{ inputs.ends > (request.submitted | as_date) }}", True),
        ("{{ duration('P1D') + duration('PT12H') }}", "P1DT43200S"),
        ("{{ inputs.items[0].k ~ inputs.items[-1].v }}", "b1"),
        ("{{ 'abcdef'[1:3] }}{{ [1, 2, 3][1:] }}", "bc[2,3]"),
        ("{{ {'a': 1, 'b': omit} }}", {"a": 1}),
        ("{{ 'x' in ['x', 'y'] and 'project' in inputs and 'lph' in inputs.project }}", True),
        ("{{ {'b': 1, 'a': 2} | tojson }}", '{"a":2,"b":1}'),
        ("{{ [3, 1, 2] | max }}{{ [3, 1, 2] | sum }}{{ ['a', 'a'] | unique | length }}", "361"),
        ("{{ 'a,b' | split(',') }}", ["a", "b"]),
        ("{{ inputs.project | upper | replace('A', '4') }}", "4LPH4"),
        ("{{ ' x ' | trim }}{{ 'x' | capitalize }}{{ 2.5 | round }}{{ '12' | int + 1 }}", "xX213"),
        ("{% raw %}{{ not }}{% endraw %}", "{{ not }}"),
        ("{{ inputs.evil }}", "{{ values.secret }}{% for x in y %}"),
    ],
)
def test_the_language_says(source: str, expected: JsonValue) -> None:
    assert rendered(source) == expected
    assert type(rendered(source)) is type(expected)


def test_a_long_text_has_conditions_and_loops() -> None:
    opening = "{% for tag in steps.make.result.Tags if tag > 1 %}\n"
    text = f"Tags:\n{opening}{{{{ loop.index }}}}={{{{ tag }}}}\n{{% else %}}\nnone\n{{% endfor %}}\n"
    assert rendered(text) == "Tags:\n1=2\n"


def test_omit_leaves_out_members_items_and_whole_arguments() -> None:
    node = node_of({"a": "{{ omit }}", "b": [1, "{{ omit }}", "{{ inputs.number }}"], "c": {"d": "{{ omit }}"}})
    assert render(node, SCOPE) == {"b": [1, 7], "c": {}}
    assert render(node_of("{{ omit }}"), SCOPE) is OMIT
    with pytest.raises(ExpressionError, match="omit"):
        rendered("a{{ omit }}")
    with pytest.raises(ExpressionError, match="omitted"):
        evaluate(Expression("omit"), SCOPE)


def test_the_kinds_of_nodes() -> None:
    assert isinstance(node_of("{{ a }}"), Expression)
    assert isinstance(node_of("{{ a }} "), Expression)
    assert isinstance(node_of("{{ a }}{{ b }}"), Text)
    assert isinstance(node_of(["x", "{{ a }}"]), ListOf)
    assert node_of({"a": ["x"]}) == Literal({"a": ["x"]})


def test_references_are_dotted_names_without_loop_variables() -> None:
    assert references("steps.make.result['Arn'] ~ inputs.x[values.i] | default(omit)") == (
        "inputs.x",
        "steps.make.result.Arn",
        "values.i",
    )
    assert references(Text("\n{% for a in inputs.l %}{{ a.b ~ loop.index ~ values.c }}{% endfor %}")) == (
        "inputs.l",
        "values.c",
    )


@pytest.mark.parametrize(
    "source",
    [
        "2 ** 3",
        "10 ** 7000000",
        "f()",
        "inputs.project.upper()",
        "''.join(x)",
        "duration()",
        "duration('P1D', 2)",
        "x if y",
        "_x",
        "(" * 500 + "1",
        "not " * 500 + "x",
        "9" * 5000,
        "1e999",
        "a b",
        "",
        "lambda: 1",
        "x | map(*y)",
        "a := 1",
        "{{ x }}",
    ],
)
def test_what_is_not_in_the_language_is_refused_when_parsed(source: str) -> None:
    with pytest.raises(ExpressionSyntaxError):
        expression_of(source)


@pytest.mark.parametrize(
    "text",
    [
        "{% if x %}y{% endif %}",
        "a\n{% set x = 1 %}",
        "a\n{% include 'x' %}",
        "a\n{% macro f() %}{% endmacro %}",
        "{{ x",
        "a\n{% for a, b in x %}{% endfor %}",
        "a\n{% filter upper %}x{% endfilter %}",
        "a\n{% for x in y recursive %}{% endfor %}",
        "a\n{% call f() %}{% endcall %}",
        "a\n{% from 'os' import system %}",
    ],
)
def test_tags_that_are_not_in_the_language_are_refused(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError):
        node_of(text)


@pytest.mark.parametrize(
    "source",
    [
        "'x' * 1000000000",
        "[1] * 1000000",
        "'%1000000000d' % 1",
        "''.__class__",
        "inputs.__class__.__mro__",
        "inputs.project.format",
        "1 / 0",
        "1 % 0",
        "inputs.missing",
        "inputs.missing.x",
        "[1, 'a'] | sort",
        "9999999999999999 * 9999999999999999 * 9999999999999999",
        "1 < 'a'",
        "inputs.ends < request.submitted",
        "inputs.ends + duration('PT1H')",
        "inputs.ends + duration('P999999D') + duration('P999999W')",
        "'x' | nope",
        "x is nope",
        "'x' | replace('', 'y')",
        "-'x'",
        "'a' + 1",
        "inputs + inputs",
        "lipsum",
        "range",
        "self",
        "cycler",
        "namespace",
        "'a' | join",
        "5 | length",
        "'x' | int",
        "{1: 2}",
        "[1][none]",
        "'abc'['x']",
        "'nan' | float",
        "[] | first ~ 'x'",
        "duration('P1M')",
    ],
)
def test_hostile_or_senseless_expressions_are_refused_when_evaluated(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(Expression(source), SCOPE)


NESTED = "{% for a in inputs.many %}" * 6 + "x" * 50 + "{% endfor %}" * 6


@pytest.mark.parametrize(
    "source",
    [
        "\n" + NESTED,
        "{{ inputs.long | replace('a', inputs.long) }}",
        "{{ inputs.long ~ inputs.long ~ inputs.long }}",
        "{{ [inputs.long, inputs.long, inputs.long] | join(inputs.long) }}",
        "{{ inputs.nested == inputs.nested2 }}",
    ],
)
def test_work_and_output_are_bounded(source: str) -> None:
    nested: list[object] = []
    nested2: list[object] = []
    for _ in range(500):
        nested, nested2 = [nested], [nested2]
    scope = {"inputs": {"many": list(range(100)), "long": "a" * 1_000_000, "nested": nested, "nested2": nested2}}
    started = time.process_time()
    with pytest.raises(ExpressionError):
        render(node_of(source), scope)
    assert time.process_time() - started < 10


HUGE = {
    "big": list(range(50_000)),
    "long": "a" * 1_000_000,
    "maps": [{"a": "b"}] * 50_000,
    "early": DateTimeText("0001-01-01T00:00:00+13:00"),
    "late": datetime(9999, 12, 31, 23, tzinfo=UTC),
    "half": "\ud800",
    "deep": [[[[[]]]]],
}


@pytest.mark.parametrize(
    "source",
    [
        "[" + ", ".join(["inputs.big"] * 200) + "]",
        "[" + ", ".join(["inputs.big"] * 200) + "] | tojson",
        "[" + ", ".join(["inputs.big"] * 200) + "] | unique",
        "[" + ", ".join(["inputs.big"] * 200) + "] | map('string')",
        "inputs.big | join(inputs.long)",
        "inputs.maps | map(attribute=inputs.long)",
        "inputs.maps | sort(attribute=inputs.long | replace('a', 'a.'))",
        "inputs.maps | selectattr('a.a.a.a.a.a.a.a.a', 'defined')",
        "inputs.big | select('in', inputs.big)",
        "1.7976931348623157e308 | round(-308)",
        "inputs.early | as_date",
        "inputs.late + duration('P1D')",
        "inputs.early - duration('PT1H')",
        "request.submitted - request.submitted - duration('P1D')",
        "inputs.half",
        "inputs.half | tojson",
        "[inputs.half] | unique",
        "[[]] | map('first')",
        "[[]] | map('max') | list",
        "'1' * 3",
        "'{0.__class__}'.format",
        "inputs | map('attr')",
        "().__class__",
        "[].append",
        "inputs.big | batch(3)",
        "'%s' | format(inputs)",
        "inputs.long | wordwrap(1)",
    ],
)
def test_what_grows_without_bound_or_is_no_json_is_refused(source: str) -> None:
    scope = {"inputs": HUGE, "request": {"submitted": datetime(2026, 1, 1, tzinfo=UTC)}}
    started = time.process_time()
    with pytest.raises(ExpressionError):
        evaluate(Expression(source), scope)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "source", ["'\\ud800'", "9" * 5000, "[" * 5000, "x" * 10_001, "not " * 5000 + "x", "x" + ".a" * 4000]
)
def test_hostile_sources_are_refused_when_parsed(source: str) -> None:
    with pytest.raises(ExpressionSyntaxError):
        expression_of(source)


def test_what_is_rendered_together_is_bounded_together() -> None:
    node = node_of([f"{{{{ inputs.big }}}}{'' if n else ' '}" for n in range(50)])
    with pytest.raises(ExpressionError, match="work"):
        render(node, {"inputs": HUGE})


@pytest.mark.parametrize("name", ["inputs", "values", "loop", "omit", "steps"])
def test_a_loop_cannot_hide_a_name_of_the_language(name: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match="already"):
        node_of(f"\n{{% for {name} in x %}}{{% endfor %}}")


def test_the_message_of_an_error_holds_no_value() -> None:
    for source in (
        "values.secret + 1",
        "values.secret | int",
        "[1][values.secret]",
        "inputs[values.secret]",
        "inputs.nope[values.secret]",
        "values.secret < 1",
        "duration(values.secret)",
        "[1] | map(values.secret)",
        "[1] | map(attribute=values.secret)",
        "[1] | select(values.secret)",
        "values.secret | as_date",
    ):
        with pytest.raises(ExpressionError) as caught:
            evaluate(Expression(source), SCOPE)
        assert "s3cret" not in str(caught.value)


def test_braces_in_a_condition_are_told_with_what_to_write() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        expression_of("{{ inputs.yes }}")
    assert caught.value.hint == "write `inputs.yes`"


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_renders_as_it_was_written(moment: datetime) -> None:
    written = DateTimeText(moment.isoformat())
    assert render(Expression("x"), {"x": written}) == str(written)
    assert evaluate(Expression("x == y"), {"x": written, "y": moment}) is True


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("[[1, 2], 3, [[4]], []] | flatten", [1, 2, 3, [4]]),
        ("['ab', 'b'] | select('startswith', 'a') | list", ["ab"]),
        ("'amphora-7' is startswith('amphora-')", True),
        ("'amphora-7' is endswith('amphora-')", False),
        ("'web-12' is match('^web-[0-9]+$')", True),
        ("'web-12\n' is match('^web-[0-9]+$')", False),
        ("'a web-12' is match('web')", True),
    ],
)
def test_lists_are_flattened_and_texts_compared_in_part(source: str, value: JsonValue) -> None:
    assert evaluate(expression_of(source), {}) == value


@pytest.mark.parametrize(
    "source", ["1 is startswith('a')", "'a' is endswith(none)", "'a' | flatten", "('ab' * 2) is match('a')"]
)
def test_what_has_no_parts_to_compare_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression_of(source), {})


def test_a_pattern_that_could_run_away_is_not_tried_on_a_long_text() -> None:
    with pytest.raises(ExpressionError, match="too large"):
        evaluate(expression_of("values.text is match('^(a+)+$')"), {"values": {"text": "a" * 60 + "!"}})
