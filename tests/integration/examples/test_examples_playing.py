"""Examples played: what steps answer, how they fail, what time does, and what is told when it is not as expected."""

from collections.abc import Callable

import pytest

from flows.examples.testing import ExampleResult, ModelResult, Outcome
from request_models.diagnostics import render_text

Tried = Callable[[str], ModelResult]

MAKE = """\
steps:
  - id: make
    uses: box.make
    with: {name: "{{ inputs.name }}"}
    retry: {attempts: 3, delay: PT10M}
    undo: {uses: box.drop, with: {name: "{{ args.name }}"}}
"""
NAMED = 'inputs: {name: {type: string, pattern: "^[a-z0-9-]{1,20}$"}}\n'


def only(result: ModelResult) -> ExampleResult:
    assert result.wrong == (), render_text(result.wrong)
    (one,) = result.examples
    return one


def passed(result: ModelResult) -> ModelResult:
    assert result.wrong == (), render_text(result.wrong)
    assert [one.mismatches for one in result.examples if one.outcome is not Outcome.PASSED] == []
    assert result.examples
    return result


def test_a_step_answers_with_what_the_model_reads_of_it(tried: Tried) -> None:
    result = tried(
        NAMED
        + MAKE
        + """\
outputs:
  id: {value: "{{ steps.make.result.id }}"}
  note: {value: "{{ steps.make.result.note }}"}
examples:
  - name: by default
    given: {inputs: {name: one}}
    then: {state: fulfilled, outputs: {id: id, note: note}, calls: {make: {name: one}}, attempts: {make: 1}}
  - name: as given, and the rest by default
    given: {inputs: {name: two}, results: {make: {note: mine}}}
    then: {state: fulfilled, outputs: {id: id, note: mine}}
"""
    )
    passed(result)
    assert (result.coverage is not None and result.coverage.full, result.warnings) == (True, ())


def test_what_is_not_as_expected_is_told_with_the_line_that_expects_it(tried: Tried) -> None:
    result = tried(
        NAMED
        + MAKE
        + """\
outputs:
  id: {value: "{{ steps.make.result.id }}"}
examples:
  - name: all wrong
    given: {inputs: {name: one}}
    then:
      state: on_hold
      says: no way
      outputs:
        id: other
      steps:
        make: skipped
      attempts: {make: 7}
      calls:
        make:
          name: two
"""
    )
    one = only(result)
    assert one.outcome is Outcome.FAILED
    found = {each.what: (each.line, each.expected, each.found) for each in one.mismatches}
    assert found == {
        "state": (20, "on_hold", "fulfilled: every step is done"),
        "the reason": (21, "a text that holds 'no way'", "'every step is done'"),
        "output id": (23, '"other"', '"id"'),
        "step make": (25, "skipped", "done"),
        "calls of make": (26, "7", "1"),
        "argument name of make": (29, '"two"', '"one"'),
    }
    assert any(line.endswith("make: made") for line in one.log)


def test_attempts_fail_as_told_and_long_pauses_take_no_time(tried: Tried) -> None:
    result = tried(
        NAMED
        + MAKE
        + """\
examples:
  - name: busy twice
    given: {inputs: {name: one}, failures: {make: [{code: Busy}, {code: Busy}]}, at: "2030-01-07T09:00:00Z"}
    then: {state: fulfilled, attempts: {make: 3}}
  - name: busy for good
    given: {inputs: {name: one}, failures: {make: [{message: no}, {message: no}, {message: not today}]}}
    then: {state: on_hold, says: not today, steps: {make: failed}, attempts: {make: 3}}
  - name: refused
    given: {inputs: {name: one}, failures: {make: [{class: rejected}]}}
    then: {state: on_hold, attempts: {make: 1}}
"""
    )
    passed(result)
    assert any(line.startswith("2030-01-07 09:20:00") for line in result.examples[0].log)


def test_a_call_that_takes_longer_than_it_may_has_an_unknown_outcome(tried: Tried) -> None:
    passed(
        tried(
            """\
steps:
  - {id: once, uses: box.once, with: {name: one}, timeout: PT1M, undo: {none: Never.}}
examples:
  - {name: slow, given: {delays: {once: PT59S}}, then: {state: fulfilled}}
  - {name: too slow, given: {delays: {once: PT2M}}, then: {state: on_hold, says: did not answer within 60 s}}
"""
        )
    )


def test_a_lost_answer_is_looked_for_where_there_is_a_probe(tried: Tried) -> None:
    passed(
        tried(
            """\
steps:
  - {id: found, uses: box.found, with: {name: one}, retry: {attempts: 2, delay: PT1S}, undo: {none: Never.}}
outputs: {id: {value: "{{ steps.found.result.id }}"}}
examples:
  - name: it had happened
    given: {failures: {found: [{class: unknown, happened: true}]}, results: {found: {id: b-1}}}
    then: {state: fulfilled, outputs: {id: b-1}}
  - name: it had not
    given: {failures: {found: [{class: unknown}]}}
    then: {state: fulfilled}
"""
        )
    )


def test_each_look_of_polling_answers_in_turn(tried: Tried) -> None:
    result = passed(
        tried(
            """\
steps:
  - id: look
    uses: box.look
    with: {name: one}
    until: result.state == 'ready'
    fails: result.state == 'broken'
    every: PT1H
    within: PT5H
examples:
  - {name: ready at once, then: {state: fulfilled, attempts: {look: 1}}}
  - name: ready at the third look
    given: {looks: {look: [{state: busy}, {state: busy}, {state: ready}]}}
    then: {state: fulfilled, attempts: {look: 3}}
  - name: broken
    given: {looks: {look: [{state: busy}, {state: broken}]}}
    then: {state: on_hold, attempts: {look: 2}}
  - name: never ready
    given: {looks: {look: [{state: busy}]}}
    then: {state: on_hold, says: not as wished within, attempts: {look: 6}}
"""
        )
    )
    assert result.warnings == ()


def test_items_of_a_loop_are_told_apart_by_their_keys(tried: Tried) -> None:
    result = passed(
        tried(
            """\
inputs: {names: {type: array, items: {type: string, pattern: "^[a-z0-9-]{1,20}$"}}}
steps:
  - id: each
    for_each: inputs.names
    key: item
    concurrency: 4
    on_failure: continue
    steps:
      - {id: make, uses: box.make, with: {name: "{{ item }}"}, undo: {none: Never.}}
outputs:
  ids:
    value: >-
      {{ steps.each.items | selectattr('state', 'equalto', 'done') | map(attribute='steps.make.result.id') | list }}
examples:
  - name: three, of which one fails
    given:
      inputs: {names: [a, b, c]}
      results: {"make[a]": {id: id-a}, "each[c].make": {id: id-c}}
      failures: {"make[b]": [{class: permanent}]}
    then:
      state: fulfilled
      outputs: {ids: [id-a, id-c]}
      steps: {"make[a]": done, "each[b].make": failed}
      calls: {"make[c]": {name: c}}
  - {name: one, given: {inputs: {names: [a]}}, then: {state: fulfilled}}
  - {name: none, given: {inputs: {names: []}}, then: {state: fulfilled, steps: {make: skipped}}}
"""
        )
    )
    assert result.warnings == ()


def test_an_order_that_is_not_accepted_is_refused(tried: Tried) -> None:
    passed(
        tried(
            NAMED
            + MAKE
            + """\
examples:
  - {name: good, given: {inputs: {name: one}}, then: {state: fulfilled}}
  - {name: no name, given: {inputs: {name: "NO!"}}, then: {state: refused, says: /name}}
"""
        )
    )


def test_who_orders_for_whom_when_and_under_which_settings_is_seen(tried: Tried) -> None:
    passed(
        tried(
            MAKE.replace("inputs.name", "user.id ~ '-' ~ requester.groups | first")
            + """\
outputs:
  until: {value: "{{ request.submitted + duration('P1D') }}"}
  size: {value: "{{ settings.size }}"}
examples:
  - name: for somebody else
    given:
      at: 2031-02-28T10:00:00Z
      requester: {id: ada, groups: [team]}
      user: {id: bob}
    then: {state: fulfilled, outputs: {size: 3, until: "2031-03-01T10:00:00Z"}, calls: {make: {name: bob-team}}}
"""
        )
    )


def test_polling_that_never_ends_is_given_up(tried: Tried) -> None:
    one = only(
        tried(
            """\
steps:
  - {id: look, uses: box.look, with: {name: one}, until: result.state == 'ready', every: PT1S, within: PT20H}
examples:
  - {name: for ever, given: {results: {look: {state: busy, items: []}}}, then: {state: fulfilled}}
"""
        )
    )
    assert "It was called 200 times. Give `looks` for it" in one.mismatches[0].found


def test_a_model_that_cannot_run_yet_says_why_for_each_example(tried: Tried) -> None:
    result = tried(
        NAMED
        + MAKE
        + """\
notify: [{states: [fulfilled], to: requester, text: Done.}]
lease: {for: P1D, retire: {model: other}}
examples:
  - {name: good, given: {inputs: {name: one}}, then: {state: fulfilled}}
"""
    )
    one = only(result)
    assert one.outcome is Outcome.CANNOT_RUN
    assert "(line " in one.why
    assert result.coverage is None
    assert result.warnings == ()


def test_a_wrong_model_is_told_and_nothing_of_it_is_run(tried: Tried) -> None:
    result = tried(
        MAKE
        + """\
examples:
  - {name: good, then: {state: fulfilled}}
"""
    )
    assert result.examples == ()
    assert "inputs.name" in render_text(result.wrong)


def test_each_run_of_an_example_is_like_the_last(tried: Tried) -> None:
    text = """\
steps:
  - parallel:
      - {id: make, uses: box.make, with: {name: a}, retry: {attempts: 2, delay: PT5M}, undo: {none: Never.}}
      - {id: look, uses: box.look, with: {name: a}, until: result.state == 'ready', every: PT1M, within: PT1H}
examples:
  - name: waits
    given: {failures: {make: [{}]}, looks: {look: [{state: busy}, {state: busy}, {state: ready}]}, delays: {make: PT7S}}
    then: {state: fulfilled}
"""
    first, second = only(tried(text)), only(tried(text))
    assert first.outcome is Outcome.PASSED
    assert first.log == second.log


def test_no_secret_is_shown_where_something_else_was_expected(tried: Tried) -> None:
    result = tried(
        """\
inputs: {word: {type: string, secret: true}}
steps:
  - {id: look, uses: box.look, with: {name: a}}
outputs: {word: {value: "{{ inputs.word }}", secret: true}}
examples:
  - name: other
    given: {inputs: {word: open-sesame}}
    then: {state: fulfilled, outputs: {word: closed}}
"""
    )
    (mismatch,) = only(result).mismatches
    assert mismatch.what == "output word"
    assert "open-sesame" not in repr(result.examples)


def test_a_request_starts_when_the_model_says(tried: Tried) -> None:
    result = passed(
        tried(
            """\
inputs: {from: {type: string, format: date-time}}
starts: {at: "{{ inputs.from }}"}
steps:
  - {id: look, uses: box.look, with: {name: a}}
examples:
  - {name: later, given: {inputs: {from: "2030-03-01T06:00:00Z"}}, then: {state: fulfilled}}
"""
        )
    )
    assert result.examples[0].log == ("2030-03-01 06:00:00 look: read",)


ASKED = (
    NAMED
    + """\
prerequisites:
  - {id: state, uses: box.look, with: {name: "{{ inputs.name }}"}, expect: result.state != 'broken',
     otherwise: It is broken.}
approvals:
  - {id: busy, when: facts.state.state == 'busy', by: ["manager:user", "group:box-owners"], quorum: 2, order: written,
     within: P2D, remind: P1D, escalate: "person:zoe"}
  - {id: late, by: "group:box-owners", before: note, within: P1D, if_silent: wait}
steps:
  - {id: make, uses: box.make, with: {name: "{{ inputs.name }}"},
     undo: {uses: box.drop, with: {name: "{{ inputs.name }}"}}}
  - {id: note, uses: box.make, with: {name: later}, undo: {none: Never.}}
examples:
"""
)
READY = "results: {prerequisites.state: {state: ready, items: []}}"
BUSY = "results: {prerequisites.state: {state: busy, items: []}}, requester: {id: ann, manager: mo}"


@pytest.mark.parametrize(
    ("given", "then"),
    [
        (f"{READY}, inputs: {{name: one}}", "state: fulfilled, approvals: [late]"),
        (f"{BUSY}, inputs: {{name: one}}", "state: fulfilled, approvals: [busy, late]"),
        (f"{BUSY}, inputs: {{name: one}}, decisions: {{busy: reject}}", "state: rejected, says: refused `busy`"),
        (f"{BUSY}, inputs: {{name: one}}, decisions: {{busy: none}}", "state: rejected, says: Nobody decided `busy`"),
        (
            f"{READY}, inputs: {{name: one}}, decisions: {{late: reject}}",
            "state: rejected, says: refused `late`, steps: {make: undone, note: not reached}",
        ),
        (f"{READY}, inputs: {{name: one}}, decisions: {{late: none}}", "state: awaiting_approval, steps: {make: done}"),
        ("results: {prerequisites.state: {state: broken, items: []}}, inputs: {name: one}",
         "state: rejected, says: It is broken., attempts: {prerequisites.state: 1}, approvals: []"),
        (f"{READY}, inputs: {{name: one}}, failures: {{prerequisites.state: [{{}}, {{}}]}}",
         "state: fulfilled, attempts: {prerequisites.state: 3}"),
    ],
)  # fmt: skip
def test_prerequisites_and_approvals_are_played_as_the_example_says(tried: Tried, given: str, then: str) -> None:
    passed(tried(f"{ASKED}  - {{name: it, given: {{{given}}}, then: {{{then}}}}}\n"))
