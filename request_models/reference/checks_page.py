"""The page of the checks: every code, what it means, what to write instead, and a refused model's own diagnostic."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from request_models import checks
from request_models.diagnostic_codes import ALL_CODES, PARTS, Code
from request_models.reference.markdown import table

_HEAD = re.compile(r"^model\.yaml:\d+:\d+: (?:error|warning): .* \[(?P<code>[a-z0-9-]+)\]$")


def checks_page(golden: Path) -> str:
    """The page. Examples are what the compiler says of the models in `golden`, which the tests hold it to."""
    examples = _examples(golden)
    rules = dict(_rules())
    parts = [
        _INTRODUCTION,
        table(["Code", "Means"], [[f"[`{one.code}`](#{one.code})", one.meaning] for one in ALL_CODES]),
    ]
    for part in PARTS:
        parts.append(f"## {part}\n")
        parts += [_section(one, rules.get(one.code, []), examples) for one in ALL_CODES if one.part == part]
    return "\n".join(parts)


def _section(one: Code, rules: list[str], examples: dict[str, tuple[str, str]]) -> str:
    lines = [f"### {one.code}\n", f"{one.meaning} **Instead:** {one.instead}\n"]
    if rules:
        lines.append("".join(f"- Rule: {rule}\n" for rule in rules))
    if one.code in examples:
        case, said = examples[one.code]
        lines.append(f"Said of [a model](../../tests/golden/{case}/model.yaml):\n\n```text\n{said}\n```\n")
    return "\n".join(lines)


def _rules() -> Iterator[tuple[str, list[str]]]:
    """By code, the idea of each check that names it: the first sentence of its module."""
    found: dict[str, list[str]] = {}
    for check in (*checks.LOADED, *checks.RESOLVED, *checks.TYPED):
        idea = (sys.modules[check.__module__].__doc__ or "").split("\n\n")[0].strip().replace("\n", " ")
        for code in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", check.__doc__ or ""):
            found.setdefault(code, []).append(idea)
    yield from found.items()


def _examples(golden: Path) -> dict[str, tuple[str, str]]:
    """By code, a golden case and what it is told; the case that is named after the code comes first."""
    found: dict[str, tuple[str, str]] = {}
    for errors in sorted(golden.glob("*/errors.txt")):
        case = errors.parent.name
        for block in errors.read_text(encoding="utf-8").strip("\n").split("\n\n"):
            head = _HEAD.match(block.partition("\n")[0])
            if head is None:
                continue
            code = head["code"]
            if code not in found or (case.endswith(f"-{code}") and not found[code][0].endswith(f"-{code}")):
                found[code] = (case, block)
    return found


_INTRODUCTION = """\
# Checks

`orderly check` tells everything that is wrong with all models at once, each mistake with its file, line and column, a
code, and what to write instead. Errors refuse a model; warnings do not, unless `--strict` is given.
"""
