"""Models with one random edit, and what must then be true of them: a plan that shows it, or a diagnostic where it is.

An edit is made in the text of the file, or in its tree, written again by ruamel.yaml (the model itself is written the
same way first, so that nothing but the edit differs). The *edited lines* are those in which the two texts differ; where
lines were only taken out, the lines around the gap.
"""

import io
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from request_models.compiler import Compilation
from request_models.diagnostics import Diagnostic, Severity, render_text
from request_models.json_values import JsonValue
from request_models.plan import Plan

NOT_YET_RUNNABLE = "not-yet-runnable"
OUTSIDE_THE_PLAN = frozenset({"title", "summary", "ask", "examples"})
"""Keys whose values no digest holds, as the language says: what people read, and the model's own tests."""

Compile = Callable[[str], Compilation]


@dataclass(frozen=True)
class Mutant:
    """A model's text before and after one edit; `edit` says what was done."""

    before: str
    after: str
    edit: str
    in_text: bool = False

    @property
    def edited_lines(self) -> frozenset[int]:
        """Line numbers, from 1, in the text after the edit."""
        old, new = self.before.split("\n"), self.after.split("\n")
        found: set[int] = set()
        for tag, _, _, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                found |= set(range(start, end + 2)) if tag == "delete" else set(range(start + 1, end + 1))
        return frozenset(found)

    @property
    def touched(self) -> frozenset[str]:
        """The words that stand in changed lines on one side only: names that came, went or were changed."""
        old, new = self.before.split("\n"), self.after.split("\n")
        words: list[set[str]] = [set(), set()]
        for tag, old_start, old_end, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                words[0] |= set(_WORD.findall("\n".join(old[old_start:old_end])))
                words[1] |= set(_WORD.findall("\n".join(new[start:end])))
        if self.in_text:  # what stands next to a line that is lost may belong to something else now
            around = {line + step for line in self.edited_lines for step in (-1, 0, 1)}
            words[1] |= set(_WORD.findall("\n".join(new[line - 1] for line in around if 0 < line <= len(new))))
        return frozenset(words[0] | words[1])


_NAMED = re.compile(r"`([A-Za-z_][A-Za-z0-9_]*)`")
_READ = re.compile(r"(?<=\.)[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def mutants(text: str, seed: int) -> Iterator[Mutant]:
    """Without end, one edit each; the same seed gives the same."""
    choose = random.Random(seed)
    plain = _written(_tree(text))
    while True:
        made = _edited_tree(plain, choose) if choose.random() < 0.7 else _edited_text(text, choose)
        if made is not None and made.after != made.before:
            yield made


# edits of the tree


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 100_000
    return yaml


def _tree(text: str) -> Any:
    return _yaml().load(text)


def _written(tree: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(tree, stream)
    return stream.getvalue()


def _edited_tree(text: str, choose: random.Random) -> Mutant | None:
    tree = _tree(text)
    holders = [holder for holder in _holders(tree) if len(holder)]
    holder = choose.choice(holders)
    if isinstance(holder, CommentedSeq):
        name = choose.choice([*_LIST_EDITS])
        said = _LIST_EDITS[name](holder, choose)
    else:
        name = choose.choice([*_MAP_EDITS])
        said = _MAP_EDITS[name](holder, choose)
    return None if said is None else Mutant(text, _written(tree), f"{name}: {said}")


def _holders(tree: Any) -> Iterator[CommentedMap | CommentedSeq]:
    if isinstance(tree, CommentedMap | CommentedSeq):
        yield tree
        for part in tree.values() if isinstance(tree, CommentedMap) else tree:
            yield from _holders(part)


def _rename(holder: CommentedMap, choose: random.Random) -> str:
    place = choose.randrange(len(holder))
    key = [*holder][place]
    other = choose.choice([f"{key}x", key[:-1] or "z", key[:-1] + "_" + key[-1:]])
    if other in holder:
        other = f"{other}q"
    value = holder.pop(key)
    holder.insert(place, other, value)
    return f"{key} -> {other}"


def _delete_key(holder: CommentedMap, choose: random.Random) -> str:
    key = choose.choice([*holder])
    del holder[key]
    return str(key)


def _retype_member(holder: CommentedMap, choose: random.Random) -> str:
    key = choose.choice([*holder])
    holder[key] = _of_another_type(holder[key], choose)
    return f"{key} = {holder[key]!r}"


def _of_another_type(value: object, choose: random.Random) -> object:
    others: list[object] = ["seven", 7, 7.5, True, None, ["seven"], {"seven": 7}, "{{ 7 }}"]
    return choose.choice([other for other in others if type(other) is not type(value)])


def _break_text(holder: CommentedMap, choose: random.Random) -> str | None:
    """Change a name within an expression."""
    texts = [key for key, value in holder.items() if isinstance(value, str) and _REFERENCE.search(value)]
    if not texts:
        return None
    key = choose.choice(texts)
    found = choose.choice([*_REFERENCE.finditer(holder[key])])
    written = str(holder[key])
    holder[key] = type(holder[key])(f"{written[: found.end()]}zz{written[found.end() :]}")
    return f"{key}: {found.group()}zz"


_REFERENCE = re.compile(r"\b(?:inputs|values|steps|requester|user|request|facts|args|result)(?:\.[a-zA-Z_]+)+")


def _cut_text(holder: CommentedMap, choose: random.Random) -> str | None:
    texts = [key for key, value in holder.items() if isinstance(value, str) and len(value) > 1]
    if not texts:
        return None
    key = choose.choice(texts)
    holder[key] = type(holder[key])(str(holder[key])[: choose.randrange(1, len(holder[key]))])
    return f"{key}: {holder[key]!r}"


def _swap_members(holder: CommentedMap, choose: random.Random) -> str | None:
    if len(holder) < 2:
        return None
    one, other = choose.sample([*holder], 2)
    holder[one], holder[other] = holder[other], holder[one]
    return f"{one} <-> {other}"


def _move_item(holder: CommentedSeq, choose: random.Random) -> str | None:
    if len(holder) < 2:
        return None
    start, end = choose.sample(range(len(holder)), 2)
    holder.insert(end, holder.pop(start))
    return f"{start} -> {end}"


def _repeat_item(holder: CommentedSeq, choose: random.Random) -> str:
    place = choose.randrange(len(holder))
    copied = _tree(_written({"copy": holder[place]}))["copy"]
    holder.insert(place, copied)
    return str(place)


def _delete_item(holder: CommentedSeq, choose: random.Random) -> str:
    place = choose.randrange(len(holder))
    del holder[place]
    return str(place)


def _retype_item(holder: CommentedSeq, choose: random.Random) -> str:
    place = choose.randrange(len(holder))
    holder[place] = _of_another_type(holder[place], choose)
    return f"{place} = {holder[place]!r}"


_MAP_EDITS: Mapping[str, Callable[[CommentedMap, random.Random], str | None]] = {
    "rename key": _rename,
    "delete key": _delete_key,
    "change type": _retype_member,
    "break reference": _break_text,
    "truncate text": _cut_text,
    "swap values": _swap_members,
}
_LIST_EDITS: Mapping[str, Callable[[CommentedSeq, random.Random], str | None]] = {
    "move item": _move_item,
    "repeat item": _repeat_item,
    "delete item": _delete_item,
    "change type of item": _retype_item,
}


# edits of the text


def _edited_text(text: str, choose: random.Random) -> Mutant:
    lines = text.split("\n")
    at = choose.randrange(len(lines))
    line = lines[at]
    kind = choose.choice(["indent", "dedent", "delete line", "repeat line", "swap lines", "delete character", "cut"])
    if kind == "indent":
        lines[at] = f"{' ' * choose.choice([1, 2])}{line}"
    elif kind == "dedent":
        lines[at] = line.removeprefix(" ")
    elif kind == "delete line":
        del lines[at]
    elif kind == "repeat line":
        lines.insert(at, line)
    elif kind == "swap lines" and at + 1 < len(lines):
        lines[at : at + 2] = reversed(lines[at : at + 2])
    elif kind == "delete character" and line:
        place = choose.randrange(len(line))
        lines[at] = line[:place] + line[place + 1 :]
    elif kind == "cut":
        lines = [*lines[:at], line[: choose.randrange(len(line) + 1)]]
    return Mutant(text, "\n".join(lines), f"{kind} at line {at + 1}", in_text=True)


# what must be true


def wrong_answer(mutant: Mutant, compile_text: Compile) -> str | None:
    """What is wrong with the compiler's answer to an edit, None when nothing is."""
    before, after = compile_text(mutant.before), compile_text(mutant.after)
    known = {(found.code, found.message) for found in before.diagnostics}
    errors = [found for found in after.diagnostics if _is_error(found) and (found.code, found.message) not in known]
    if errors:
        return (
            None
            if any(_well_placed(found, mutant) for found in errors)
            else _say("a diagnostic elsewhere", mutant, errors)
        )
    plan = planned(after)
    if plan is None:
        return _say("neither a plan nor an error", mutant, list(after.diagnostics))
    original = planned(before)
    assert original is not None, "only models that are right are edited"
    warned = {found.code for found in after.diagnostics} - {found.code for found in before.diagnostics}
    if plan.digest == original.digest and not warned and _means_other(before, after):
        return _say("the same digest although it means something else", mutant, [])
    return None


def planned(compilation: Compilation) -> Plan | None:
    """The plan, of a model that cannot run yet too."""
    plan = compilation.stages.get("planned")
    return plan if isinstance(plan, Plan) else None


def _is_error(found: Diagnostic) -> bool:
    return found.severity is Severity.ERROR and found.code != NOT_YET_RUNNABLE


def _well_placed(found: Diagnostic, mutant: Mutant) -> bool:
    """In an edited line; in one that the edit made wrong; or, of what is gone, in the block it is missing from."""
    return (
        any(edited in mutant.edited_lines for edited in _lines_of_text(mutant.after, found.line))
        or _names_it(found, mutant)
        or any(_heads(mutant.after, edited, found.line) for edited in mutant.edited_lines)
        or (not mutant.edit.startswith(_AT_ITS_LINE) and _encloses(found.line, mutant) and _says_it(found, mutant))
        or (_says_it(found, mutant) and any(_beside(mutant.after, line, found.line) for line in mutant.edited_lines))
        or (mutant.in_text and _next_to_it(found, mutant))
        or (mutant.edit.startswith("cut") and _says_it(found, mutant))  # it names something that was cut off
    )


_AT_ITS_LINE = ("break reference",)


def _names_it(found: Diagnostic, mutant: Mutant) -> bool:
    """Whether the line reads what was changed, or names it and so does the message."""
    line = _with_its_text(mutant.after, found.line)
    changed = mutant.touched | _defined_by(mutant)
    said = {*_NAMED.findall(found.message), *_READ.findall(found.message)}
    if changed & set(_READ.findall(line)) or _defined_by(mutant) & said:
        return True
    return bool(mutant.touched & set(_WORD.findall(line))) and _says_it(found, mutant, line)


def _defined_by(mutant: Mutant) -> frozenset[str]:
    """Names of the inputs, values, steps that the edited lines are part of."""
    lines = mutant.after.split("\n")
    found: set[str] = set()
    for edited in mutant.edited_lines:
        inner = _line(mutant.after, edited)
        found |= set(re.findall(r"^ *([A-Za-z_][A-Za-z0-9_]*):", inner))
        for line in reversed(lines[: edited - 1]):
            if line.strip() and _is_around(line, inner):
                inner = line
                found |= set(re.findall(r"^[ -]*(?:id: *)?([A-Za-z_][A-Za-z0-9_]*)", line))
    return frozenset(found)


def _says_it(found: Diagnostic, mutant: Mutant, within: str | None = None) -> bool:
    said = mutant.touched & set(_WORD.findall(f"{found.message} {found.hint}"))
    return bool(said if within is None else said & set(_WORD.findall(within)))


def _next_to_it(found: Diagnostic, mutant: Mutant) -> bool:
    """Where a line was lost or slipped, YAML may be read otherwise up to the next line, or say where it began to be."""
    if found.code == "yaml-syntax" and found.line > min(mutant.edited_lines):
        return True  # a quote that is never closed is missed where the next one stands
    if found.code == "bad-expression" and any(
        _one_block(mutant.after, edited, found.line) for edited in mutant.edited_lines
    ):
        return True
    near = any(abs(found.line - edited) <= 2 for edited in mutant.edited_lines)
    like = _line(mutant.after, found.line) in {_line(mutant.after, edited) for edited in mutant.edited_lines}
    named = {int(number) for number in re.findall(r"line (\d+)", found.message)}
    return near or like or any(abs(number - edited) <= 1 for number in named for edited in mutant.edited_lines)


def _with_its_text(text: str, number: int) -> str:
    """The line, with the lines of the text that it starts by `|` or `>`."""
    first, *rest = text.split("\n")[number - 1 :] or [""]
    if re.search(r"[|>][-+]?$", first.rstrip()) is None:
        return first
    return "\n".join([first, *takewhile(lambda line: not line.strip() or _indent(line) > _indent(first), rest)])


def _lines_of_text(text: str, number: int) -> range:
    return range(number, number + 1 + _with_its_text(text, number).count("\n"))


def _beside(text: str, one: int, other: int) -> bool:
    """Whether two lines are of one map, or of parts of it: a default beside the schema that it does not fit."""
    return _one_block(text, min(one, other), max(one, other)) and _indent(_line(text, one)) >= _indent(
        _line(text, other)
    )


def _heads(text: str, key: int, line: int) -> bool:
    """Whether a line is of the block that a key alone in its line stands over: what is in it has moved with it."""
    head, block = _line(text, key), text.split("\n")[key:line]
    return head.endswith(":") and bool(block) and all(_indent(one) > _indent(head) for one in block if one.strip())


def _one_block(text: str, start: int, end: int) -> bool:
    """Whether nothing between two lines stands further left than the first of them."""
    between = [line for line in text.split("\n")[start : end - 1] if line.strip()]
    return start <= end and all(_indent(line) >= _indent(_line(text, start)) for line in between)


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1] if number <= len(lines) else ""


def _encloses(line: int, mutant: Mutant) -> bool:
    """Whether an edited line stands in the block that starts in this line."""
    lines = mutant.after.split("\n")
    indent = _indent(lines[line - 1])
    if line == 1 or all(before.startswith("#") or not before.strip() for before in lines[: line - 1]):
        return True  # the whole document stands for itself in its first line
    end = next((n for n in range(line, len(lines)) if _ends(lines[n], indent)), len(lines))
    return any(line <= edited <= end + 1 for edited in mutant.edited_lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_around(line: str, inner: str) -> bool:
    """Whether a line starts what an inner one is part of."""
    if _indent(line) != _indent(inner):
        return _indent(line) < _indent(inner)
    return line.lstrip().startswith("- ") != inner.lstrip().startswith("- ")


def _ends(line: str, indent: int) -> bool:
    """Whether a line is behind a block of this indentation; the items of a list may stand as far left as its key."""
    deeper = _indent(line) > indent or (_indent(line) == indent and line.lstrip().startswith("- "))
    return bool(line.strip()) and not deeper


def _means_other(before: Compilation, after: Compilation) -> bool:
    return _meaning(before.stages["loaded"].to_json()) != _meaning(after.stages["loaded"].to_json())


def _meaning(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _meaning(part) for key, part in value.items() if key not in OUTSIDE_THE_PLAN}
    if isinstance(value, str):
        whole = value.strip() if value.strip().startswith("{{") and value.strip().endswith("}}") else value
        return _BRACES.sub("", whole)  # {{x}} is {{ x }}, and a line end behind it is nothing
    return [_meaning(part) for part in value] if isinstance(value, list) else value


_BRACES = re.compile(r"(?<=\{\{)\s+|\s+(?=\}\})")


def _say(what: str, mutant: Mutant, found: list[Diagnostic]) -> str:
    old, new = mutant.before.split("\n"), mutant.after.split("\n")
    changed = [f"  - {line}" for line in old if line not in new] + [
        f"  + {number}: {new[number - 1]}" for number in sorted(mutant.edited_lines) if number <= len(new)
    ]
    return "\n".join([f"{what} ({mutant.edit})", *changed[:12], render_text(found[:4])])
