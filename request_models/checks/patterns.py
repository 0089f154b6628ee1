"""Patterns are matched against what users type: none may run away on a text made for that."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.formats import compiled_pattern
from request_models.json_values import JsonValue
from request_models.loading import ModelSource
from request_models.pattern_judging import MAX_STEPS, Growth, Judgement, judge_pattern
from request_models.yaml_source import Path

_VALUES = frozenset({"default", "enum", "const", "examples"})


def check(source: ModelSource) -> Iterator[Finding]:
    """`pattern-runs-away`."""
    for name, schema in source.document.inputs.items():
        yield from _in_schema(schema, ("inputs", name))


def _in_schema(schema: JsonValue, path: Path) -> Iterator[Finding]:
    if isinstance(schema, dict):
        pattern, length = schema.get("pattern"), schema.get("maxLength")
        if isinstance(pattern, str) and compiled_pattern(pattern) is not None:
            yield from _judged(pattern, length if isinstance(length, int) else None, (*path, "pattern"))
        for key, part in schema.items():
            if key not in _VALUES:
                yield from _in_schema(part, (*path, key))
    elif isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from _in_schema(part, (*path, index))


def _judged(pattern: str, length: int | None, path: Path) -> Iterator[Finding]:
    judgement = judge_pattern(pattern)
    if not judgement.is_bounded(length):
        message, hint = _say(judgement, length)
        yield Finding(path, "pattern-runs-away", message, hint)


def _say(judgement: Judgement, length: int | None) -> tuple[str, str]:
    match judgement.growth:
        case Growth.EXPONENTIAL:
            why = "this pattern can run away: what repeats in it can read one text in many ways, and each is tried"
            return why, "let each part of a repetition start or end with a character that no other part takes"
        case Growth.NOT_JUDGED:
            return f"whether this pattern can run away cannot be judged: {judgement.why}", "write a simpler one"
        case Growth.POLYNOMIAL if not judgement.ends:
            why = "a match of this pattern may never end: it repeats what may be empty"
            return why, "let each repeated part take at least one character: `(?:a|b)*`, not `(?:a?b?)*`"
        case Growth.POLYNOMIAL:
            most = int(MAX_STEPS ** (1 / judgement.degree))
            power = f"its time grows with the length to the power {judgement.degree}"
            why = f"this pattern can run away: on a long text {power}"
            if length is not None:
                return why, f"with this pattern `maxLength` may be {most} at most"
            return why, f"add `maxLength` ({most} at most), or start the pattern with `^` and let its loops not overlap"
