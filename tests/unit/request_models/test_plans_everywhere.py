"""One model is one plan on any machine; and what a user typed is data, wherever it comes to stand."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from request_models.expressions import node_of, render
from request_models.json_values import JsonValue
from request_models.yaml_source import read_yaml

GOLDEN = Path(__file__).parents[2] / "golden"
MODELS = sorted(plan.parent for plan in GOLDEN.glob("*/plan.json"))
CATALOGUE = Path(__file__).with_name("conftest.py")

CHILD = """
import importlib.util, json, locale, sys
locale.setlocale(locale.LC_ALL, "")
spec = importlib.util.spec_from_file_location("catalogue", sys.argv[1])
catalogue = importlib.util.module_from_spec(spec)
spec.loader.exec_module(catalogue)
from request_models.compiler import compile_model, load_model
found = {}
for name, text in json.load(sys.stdin).items():
    source, _ = load_model("model.yaml", text)
    stages = compile_model(source, catalogue.FewActions(), catalogue.SETTINGS).stages
    found[name] = [stages["planned"].digest, json.dumps(stages["planned"].to_json(), sort_keys=True)]
json.dump(found, sys.stdout)
"""


def plans_of(models: dict[str, str], **environment: str) -> dict[str, list[str]]:
    """Digest and JSON of each model's plan, as another process sees them."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(CATALOGUE)],
        input=json.dumps(models),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
        cwd=CATALOGUE.parents[3],
    )
    return cast(dict[str, list[str]], json.loads(done.stdout))


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {model.name: (model / "model.yaml").read_text(encoding="utf-8") for model in MODELS}


def test_the_same_model_gives_the_same_plan_whatever_the_machine(texts: dict[str, str]) -> None:
    here = plans_of(texts, PYTHONHASHSEED="0", TZ="UTC", LC_ALL="C.UTF-8")
    there = plans_of(texts, PYTHONHASHSEED="4711", TZ="Pacific/Apia", LC_ALL="C", LANG="C")
    assert here == there
    assert here.keys() == texts.keys()


def test_the_order_of_keys_where_it_means_nothing_is_not_in_the_digest(texts: dict[str, str]) -> None:
    """All keys, of the document as of steps and arguments, in the other order; lists keep theirs."""
    turned = {name: json.dumps(backwards(read_yaml("m", text.encode()).value)) for name, text in texts.items()}
    before, after = plans_of(texts), plans_of(turned)
    assert {name: plan[0] for name, plan in before.items()} == {name: plan[0] for name, plan in after.items()}


def backwards(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {key: backwards(value[key]) for key in reversed(value)}
        case list():
            return [backwards(item) for item in value]
        case _:
            return value


def test_a_json_file_is_the_same_model(texts: dict[str, str]) -> None:
    written = {name: json.dumps(YAML(typ="safe", pure=True).load(text)) for name, text in texts.items()}
    assert {name: plan[0] for name, plan in plans_of(written).items()} == {
        name: plan[0] for name, plan in plans_of(texts).items()
    }


# what a user typed

LIKE_TEMPLATES = st.sampled_from(
    [
        "{{ 7*7 }}",
        "{% for x in y %}",
        "{# gone #}",
        "{{ values.secret }}",
        "!unsafe x",
        "{{",
        "}}",
        "{% raw %}",
        "${7*7}",
    ]
)
TYPED = LIKE_TEMPLATES | st.text(max_size=12) | st.tuples(st.text(max_size=4), LIKE_TEMPLATES).map("".join)
VALUES = st.recursive(
    TYPED | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TYPED, inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, TYPED)
def test_what_a_user_typed_comes_out_as_it_went_in_wherever_it_stands(value: JsonValue, text: str) -> None:
    scope: dict[str, object] = {"inputs": {"v": value, "t": text}, "values": {"secret": "s3cret"}}
    model: JsonValue = {
        "whole": "{{ inputs.v }}",
        "part": "<{{ inputs.t }}>",
        "several": "a\n{% for x in [inputs.t] %}{{ x }}{% endfor %}",
        "nested": [{"deep": ["{{ inputs.v }}", "{{ [inputs.v, {'k': inputs.v}] }}"]}],
        "chosen": "{{ inputs.v if true else omit }}",
        "key": "{{ {inputs.t: inputs.v} }}",
        "joined": "{{ [inputs.t, inputs.t] | join }}",
    }
    rendered = render(node_of(model), scope)
    assert rendered == {
        "whole": value,
        "part": f"<{text}>",
        "several": f"a\n{text}",
        "nested": [{"deep": [value, [value, {"k": value}]]}],
        "chosen": value,
        "key": {text: value},
        "joined": text + text,
    }
    assert isinstance(rendered, dict)
    assert rendered["whole"] is value


@given(VALUES, TYPED)
def test_what_was_rendered_is_rendered_no_second_time(value: JsonValue, text: str) -> None:
    """Values, then arguments made of them, then outputs made of those: three times through, and still as typed."""
    scope: dict[str, object] = {"inputs": {"v": value, "t": text}}
    scope["values"] = render(node_of({"v": "{{ inputs.v }}", "t": "-{{ inputs.t }}-"}), scope)
    scope["args"] = render(node_of({"v": "{{ values.v }}", "t": "-{{ values.t }}-"}), scope)
    outputs = render(node_of({"v": "{{ args.v }}", "t": "-{{ args.t }}-"}), scope)
    assert outputs == {"v": value, "t": f"---{text}---"}
    assert isinstance(outputs, dict)
    assert outputs["v"] is value
