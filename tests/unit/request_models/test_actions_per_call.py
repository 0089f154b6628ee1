"""What repeating one call means, by its spec and its arguments."""

from datetime import timedelta

import pytest

from connectors.memory import Memory
from connectors.registry import Registry
from request_models.actions import ActionResult, ActionSpec, EffectClass, Finding, Outcome, Presence, Repeating
from request_models.compiler import compile_model
from request_models.errors import DurationError
from request_models.loading import load_model
from request_models.value_types import Member, ObjectType, StringType

POST = ActionSpec(
    name="web.post",
    title="Post",
    arguments=ObjectType(members={"honours_key_for": Member(type=StringType())}),
    result=ObjectType(),
    lifetime_argument="honours_key_for",
)


def test_a_promised_lifetime_makes_a_call_take_a_token() -> None:
    promised = Repeating(EffectClass.TAKES_TOKEN, timedelta(hours=24))
    assert POST.per_call({"honours_key_for": "PT24H"}) == promised
    assert POST.per_call({}) == Repeating(EffectClass.NOT_REPEATABLE)


def test_a_lifetime_that_is_none_is_no_promise() -> None:
    with pytest.raises(DurationError):
        POST.per_call({"honours_key_for": "for ever"})


def test_an_effect_class_that_needs_a_probe_needs_one() -> None:
    with pytest.raises(ValueError, match="has none"):
        ActionSpec("web.post", "Post", ObjectType(), ObjectType(), EffectClass.HAS_PROBE)


def test_only_what_is_ours_comes_with_an_answer() -> None:
    with pytest.raises(ValueError, match="answer"):
        Finding(Presence.OURS, "it is there")
    with pytest.raises(ValueError, match="answer"):
        Finding(Presence.FOREIGN, "it is there", ActionResult(Outcome.MADE))


MODEL = """
model: posted
title: Posted
kind: resource
service: web
owners: {{accountable: web-owner}}
due: {{within: PT1H}}
steps:
  - id: post
    uses: web.post
    with: {{{promise}}}
    retry: {{attempts: 2, errors: [transient, unknown]}}
    undo: {{none: It stays.}}
"""


@pytest.mark.parametrize(("promise", "codes"), [("", ["retry-not-repeatable"]), ("honours_key_for: PT1H", [])])
def test_a_retry_after_an_unknown_outcome_is_refused_unless_the_model_makes_the_promise(
    promise: str, codes: list[str]
) -> None:
    web = Memory("web")
    web.define(POST)
    source, diagnostics = load_model("model.yaml", MODEL.format(promise=promise))
    assert source is not None, diagnostics
    found = compile_model(source, Registry([web]), {}).diagnostics
    assert [diagnostic.code for diagnostic in found] == codes
