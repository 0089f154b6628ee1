"""Examples are no part of what a model does."""

from collections.abc import Callable

from request_models.compiler import Compilation

MODEL = """\
model: box
title: Box
kind: information
service: boxes
owners: {accountable: box-owner}
target: {cloud: {account: main}}
due: {within: PT1H}
steps:
  - {id: look, uses: cloud.read_box, with: {Name: box}}
"""
EXAMPLES = """\
examples:
  - {name: ready, given: {results: {look: {State: ready}}}, then: {state: fulfilled}}
"""

CompileText = Callable[[str], Compilation]


def test_a_models_digest_does_not_depend_on_its_examples(compile_text: CompileText) -> None:
    without, with_them = compile_text(MODEL).plan, compile_text(MODEL + EXAMPLES).plan
    assert without is not None
    assert with_them is not None
    assert without == with_them
    assert without.digest == with_them.digest
