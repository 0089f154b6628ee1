"""Examples speak of steps, outputs and approvals that are there, and steps answer what their actions could answer."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from request_models.example_names import step_named
from request_models.example_values import completed
from request_models.findings import Finding
from request_models.formats import is_date_time
from request_models.json_values import JsonValue
from request_models.schema import ExampleDocument
from request_models.typed import Typed
from request_models.value_types import ValueType, check_value
from request_models.yaml_source import Path

_FIRST_YEAR, _LAST_YEAR = "2000", "2999"
_GIVEN = ("results", "looks", "failures", "delays")
_THEN = ("steps", "calls", "attempts")


def check(typed: Typed) -> Iterator[Finding]:
    """`bad-example`."""
    results = result_types(typed)
    seen: set[str] = set()
    for index, example in enumerate(typed.resolved.document.examples):
        path: Path = ("examples", index)
        if example.name in seen:
            yield _bad((*path, "name"), f"another example is called `{example.name}` too", "give each its own name")
        seen.add(example.name)
        yield from _names(example, path, typed, list(results))
        yield from _answers(example, path, results)
        if example.given.event is not None and not typed.resolved.document.triggers:
            hint = "write `triggers`, or say who orders and with which `inputs`"
            yield _bad((*path, "given", "event"), "no event orders this model: it has no triggers", hint)
        if not is_date_time(example.given.at) or not _FIRST_YEAR <= example.given.at[:4] <= _LAST_YEAR:
            hint = f"write a date-time of the years {_FIRST_YEAR} to {_LAST_YEAR}: 2030-01-07T09:00:00Z"
            yield _bad((*path, "given", "at"), "this is no moment to order at", hint)


def result_types(typed: Typed) -> dict[str, ValueType]:
    """What each step, prerequisite and look of `verify` answers, by the name that examples give it."""
    reads = {f"prerequisites.{read.resolved.id}": read.result for read in typed.prerequisites if read.resolved.uses}
    looks = {f"verify.{number}": look.result for number, look in enumerate(typed.verify, start=1)}
    return {**{step.resolved.id: step.result for step in typed.steps}, **reads, **looks}


def _names(example: ExampleDocument, path: Path, typed: Typed, steps: Sequence[str]) -> Iterator[Finding]:
    document = typed.resolved.document
    for part, keys in (("given", _GIVEN), ("then", _THEN)):
        for key in keys:
            for name in getattr(getattr(example, part), key):
                if step_named(name) not in steps:
                    yield _unknown((*path, part, key, name), "step", step_named(name), steps)
    for name in example.then.outputs:
        if name not in document.outputs:
            yield _unknown((*path, "then", "outputs", name), "output", name, list(document.outputs))
    approvals = [approval.id for approval in document.approvals]
    asked: list[tuple[Path, str]] = [
        (("then", "approvals", index), name) for index, name in enumerate(example.then.approvals or ())
    ]
    decided: list[tuple[Path, str]] = [(("given", "decisions", name), name) for name in example.given.decisions]
    for rest, name in decided + asked:
        if name not in approvals:
            yield _unknown((*path, *rest), "approval", name, approvals)


def _answers(example: ExampleDocument, path: Path, results: dict[str, ValueType]) -> Iterator[Finding]:
    """What steps are said to answer is what they could answer; required members may be left out."""
    given = example.given
    answers: list[tuple[str, Path, JsonValue]] = [
        (name, ("results", name), answer) for name, answer in given.results.items()
    ]
    answers += [
        (name, ("looks", name, index), answer)
        for name, looks in given.looks.items()
        for index, answer in enumerate(looks)
    ]
    for name, rest, answer in answers:
        kind = results.get(step_named(name))
        for mismatch in [] if kind is None else check_value(kind, completed(kind, answer)):
            where = tuple(int(part) if part.isdigit() else part for part in _parts(mismatch.pointer))
            message = f"`{step_named(name)}` never answers so: {mismatch.pointer or 'it'} {mismatch.message}"
            yield _bad((*path, "given", *rest, *where), message)


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _unknown(path: Path, what: str, name: str, known: Sequence[str]) -> Finding:
    near = get_close_matches(name, known, n=1)
    hint = f"is `{near[0]}` meant?" if near else f"there is {', '.join(known) or 'none'}"
    return Finding(path, "bad-example", f"there is no {what} `{name}`", hint, on_key=not isinstance(path[-1], int))


def _bad(path: Path, message: str, hint: str = "") -> Finding:
    return Finding(path, "bad-example", message, hint)
