"""What changed in the texts that people read in the catalogue: outside the digest, so the plan stays the same."""

from collections.abc import Iterator, Mapping
from typing import cast

from request_models.differences.changes import Area, Change
from request_models.differences.trees import matched, say_block
from request_models.json_values import JsonValue
from request_models.plan import Plan

_Texts = Mapping[str, object]


def changed_texts(before: Plan, after: Plan) -> Iterator[Change]:
    """The texts that are others, for what both versions have."""
    if before.title != after.title:
        yield Change(Area.TEXTS, "", "another title")
    if before.summary != after.summary:
        yield Change(Area.TEXTS, "", "another summary")
    if before.input_order != after.input_order and set(before.input_order) == set(after.input_order):
        yield Change(Area.TEXTS, "", "the form asks in another order")
    yield from _others(_input_titles(before), _input_titles(after), "title of the input")
    yield from _block_titles(before, after)
    titles = [{output.name: output.title for output in plan.outputs} for plan in (before, after)]
    yield from _others(titles[0], titles[1], "title of the output")
    asked = [{question.id: question.ask for question in plan.questions} for plan in (before, after)]
    yield from _others(asked[0], asked[1], "wording of the question")


def _others(was: _Texts, now: _Texts, what: str) -> Iterator[Change]:
    for name, text in now.items():
        if name in was and was[name] != text:
            yield Change(Area.TEXTS, name, f"another {what} `{name}`")


def _input_titles(plan: Plan) -> _Texts:
    schemas = cast(Mapping[str, Mapping[str, JsonValue]], plan.inputs.get("properties", {}))
    return {name: (schema.get("title"), schema.get("x-titles")) for name, schema in schemas.items()}


def _block_titles(before: Plan, after: Plan) -> Iterator[Change]:
    found = matched(before.blocks, after.blocks)
    for key, old in found.partners.items():
        place = found.after[key]
        was = found.before[old].block  # one that is called otherwise is titled so by default
        if was.title != place.block.title and was.path == place.block.path:
            block = say_block(place.block)
            what = f"the step {block}" if place.block.kind == "step" else block
            yield Change(Area.TEXTS, place.block.path, f"another title of {what}")
