"""Whether what came of an example is what must come of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flows.examples.course import REFUSED, Course
from flows.masking import masked
from request_models.json_values import JsonValue, canonical_json
from request_models.schema import ExampleDocument
from request_models.yaml_source import Path, YamlSource

_SECRET = "a secret"
_LONGEST = 400


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as expected, and where the expectation stands. `expected` and `found` are for people."""

    what: str
    expected: str
    found: str
    file: str
    line: int


@dataclass(frozen=True)
class _Difference:
    path: Path
    what: str
    expected: str
    found: str


def mismatches(example: ExampleDocument, index: int, course: Course, source: YamlSource) -> tuple[Mismatch, ...]:
    """Everything that is not as the example number `index` of a file expects; none for one that passed."""
    found = []
    for one in _differences(example, course):
        place = source.diagnostic(("examples", index, "then", *one.path), "", "", on_key=True)
        shown = masked(one.found, course.secrets)
        found.append(Mismatch(one.what, one.expected, shown, source.file, place.line))
    return tuple(found)


def _differences(example: ExampleDocument, course: Course) -> Iterator[_Difference]:
    then = example.then
    if course.state != then.state:
        yield _Difference(("state",), "state", then.state, f"{course.state}: {course.reason}")
    if then.says is not None and then.says not in course.reason:
        yield _Difference(("says",), "the reason", f"a text that holds {then.says!r}", repr(course.reason))
    if course.state == REFUSED:
        return  # nothing else came of it
    for name, wanted in then.outputs.items():
        yield from _output(name, wanted, course)
    for name, state in then.steps.items():
        found = course.state_of(name)
        if found != state:
            yield _Difference(("steps", name), f"step {name}", state, found)
    for name, calls in then.attempts.items():
        attempts = sum(step.attempts for step in course.called(name))
        if attempts != calls:
            yield _Difference(("attempts", name), f"calls of {name}", str(calls), str(attempts))
    for name, arguments in then.calls.items():
        yield from _arguments(name, arguments, course)
    if then.approvals is not None and sorted(then.approvals) != sorted(course.approvals):
        yield _Difference(("approvals",), "approvals", _said(then.approvals), _said(course.approvals))


def _output(name: str, wanted: JsonValue, course: Course) -> Iterator[_Difference]:
    path, what = ("outputs", name), f"output {name}"
    if course.outputs is None or name not in course.outputs:
        yield _Difference(path, what, _show(wanted), "no such output")
    elif not _same(wanted, course.outputs[name]):
        yield _Difference(path, what, _show(wanted), _show(course.outputs[name]))


def _arguments(name: str, wanted: Mapping[str, JsonValue], course: Course) -> Iterator[_Difference]:
    """The arguments of a step; of several items, one must be called so."""
    steps = course.called(name)
    if not steps:
        yield _Difference(("calls", name), f"call of {name}", "a call", course.state_of(name))
        return
    best = min((list(_unlike(dict(wanted), dict(step.arguments), ())) for step in steps), key=len)
    for path, value, found in best:
        what = f"argument {'.'.join(map(str, path))} of {name}"
        yield _Difference(("calls", name, *path), what, _show(value), found)


def _unlike(wanted: JsonValue, found: JsonValue, path: Path) -> Iterator[tuple[Path, JsonValue, str]]:
    """Where a value differs; of a map only the members that are wanted count, of which null may be left out."""
    if not isinstance(wanted, dict) or not isinstance(found, dict):
        if not _same(wanted, found):
            yield path, wanted, _show(found)
        return
    for key, value in wanted.items():
        if key in found:
            yield from _unlike(value, found[key], (*path, key))
        elif value is not None:
            yield (*path, key), value, "left out"


def _same(one: JsonValue, other: JsonValue) -> bool:
    return canonical_json(one) == canonical_json(other)


def _show(value: JsonValue) -> str:
    text = canonical_json(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _said(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
