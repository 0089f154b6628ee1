"""Which ways of a model its examples go: every branch is told that none of them takes, at its place."""

from collections.abc import Callable

from flows.examples.testing import ModelResult, Outcome
from request_models.diagnostics import render_text

Tried = Callable[[str], ModelResult]

MODEL = """\
inputs:
  names: {type: array, items: {type: string, pattern: "^[a-z0-9-]{1,20}$"}, default: []}
  large: {type: boolean, default: false}
steps:
  - id: look
    uses: box.look
    with: {name: start}
    expect: result.state != 'broken'
    otherwise: It is broken.
  - id: size
    when: inputs.large
    steps:
      - {id: big, uses: box.make, with: {name: big}, undo: {none: Never.}}
    else:
      - {id: small, when: inputs.names | length > 0, uses: box.make, with: {name: small}, undo: {none: Never.}}
  - {id: each, for_each: inputs.names, key: item, uses: box.make, with: {name: "{{ item }}"}, undo: {none: Never.}}
  - id: care
    on_failure: continue
    steps:
      - {id: risky, uses: box.make, with: {name: risky}, undo: {none: Never.}}
"""


def untested(result: ModelResult) -> set[str]:
    assert result.wrong == (), render_text(result.wrong)
    assert all(one.outcome is Outcome.PASSED for one in result.examples), result.examples
    return {f"{one.line}: {one.message.removesuffix(' in an example')}" for one in result.warnings}


def test_each_branch_that_is_not_taken_is_told_at_its_line(tried: Tried) -> None:
    result = tried(
        MODEL
        + """\
examples:
  - {name: plain, then: {state: fulfilled, steps: {big: skipped, small: skipped, each: skipped, risky: done}}}
"""
    )
    assert untested(result) == {
        "14: what step `look` expects is always so",
        "17: the condition of group `size` never holds",
        "19: step `big` is never done",
        "21: step `small` is never done",
        "21: the condition of step `small` never holds",
        "22: step `each` is never done",
        "22: the loop step `each` never has exactly one item",
        "22: the loop step `each` never has several items",
        "24: group `care` never fails, so `on_failure` is never taken",
    }
    assert result.coverage is not None
    assert (result.coverage.steps, result.coverage.all_steps) == (2, 5)
    assert (result.coverage.branches, result.coverage.all_branches) == (3, 9)


def test_nothing_is_told_of_a_model_whose_every_way_is_gone(tried: Tried) -> None:
    result = tried(
        MODEL
        + """\
examples:
  - {name: plain, then: {state: fulfilled}}
  - {name: large, given: {inputs: {large: true, names: [a]}}, then: {state: fulfilled}}
  - name: small with two
    given: {inputs: {names: [a, b]}, failures: {risky: [{class: permanent}]}}
    then: {state: fulfilled, steps: {risky: failed, each: done}}
  - {name: broken, given: {results: {look: {state: broken}}}, then: {state: on_hold, says: It is broken.}}
"""
    )
    assert untested(result) == set()
    assert result.coverage is not None
    assert result.coverage.full


def test_the_condition_of_a_group_is_not_that_of_the_one_step_in_it(tried: Tried) -> None:
    result = tried(
        """\
inputs: {outer: {type: boolean}, inner: {type: boolean}}
steps:
  - when: inputs.outer
    steps:
      - {id: one, when: inputs.inner, uses: box.make, with: {name: a}, undo: {none: Never.}}
examples:
  - {name: not inside, given: {inputs: {outer: true, inner: false}}, then: {state: fulfilled, steps: {one: skipped}}}
  - {name: inside, given: {inputs: {outer: true, inner: true}}, then: {state: fulfilled}}
"""
    )
    assert untested(result) == {"9: the condition of this group always holds"}


def test_branches_of_parallel_blocks_and_in_loops_are_found_where_they_are_recorded(tried: Tried) -> None:
    result = tried(
        """\
inputs: {names: {type: array, items: {type: string, pattern: "^[a-z0-9-]{1,20}$"}}}
steps:
  - parallel:
      - {id: left, uses: box.make, with: {name: left}, undo: {none: Never.}}
      - id: outer
        for_each: inputs.names
        key: item
        steps:
          - when: item != 'a'
            steps:
              - {id: right, uses: box.make, with: {name: "{{ item }}"}, undo: {none: Never.}}
examples:
  - {name: a and b, given: {inputs: {names: [a, b]}}, then: {state: fulfilled, steps: {"right[b]": done}}}
  - {name: none, given: {inputs: {names: []}}, then: {state: fulfilled}}
"""
    )
    assert untested(result) == {"12: the loop group `outer` never has exactly one item"}


def test_a_model_without_examples_is_told_once(tried: Tried) -> None:
    result = tried("steps:\n  - {id: look, uses: box.look, with: {name: a}}\n")
    assert untested(result) == {"1: this model has no examples"}


def test_who_may_order_what_is_asked_and_what_is_verified_are_branches(tried: Tried) -> None:
    model = """\
eligible: {requester: "'team' in requester.groups", user: user.active, otherwise: Join the team first.}
inputs:
  large: {type: boolean, default: false}
  size: {type: integer, when: inputs.large}
steps:
  - {id: make, uses: box.make, with: {name: a}, undo: {none: Never.}}
verify:
  - {uses: box.look, with: {name: a}, expect: result.state == 'ready', otherwise: It is not ready.}
examples:
  - {name: plain, given: {requester: {groups: [team]}}, then: {state: fulfilled, steps: {verify.1: done}}}
"""
    assert untested(tried(model)) == {
        "7: nobody is ever refused by `eligible.requester`",
        "7: nobody is ever refused by `eligible.user`",
        "10: input `size` is never asked and given",
        "14: what `verify.1` expects is always so",
    }
    more = """\
  - name: large
    given: {requester: {groups: [team]}, inputs: {large: true, size: 9}}
    then: {state: fulfilled}
  - name: of no team
    then: {state: refused, says: Join the team first.}
  - name: for somebody who left
    given: {requester: {groups: [team]}, user: {id: bob, active: false}}
    then: {state: refused, says: user.active}
  - name: made, and yet not there
    given: {requester: {groups: [team]}, results: {verify.1: {state: busy}}}
    then: {state: on_hold, says: It is not ready., steps: {make: done, verify.1: failed}}
"""
    assert untested(tried(model + more)) == set()
