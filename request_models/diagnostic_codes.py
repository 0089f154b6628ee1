"""Every code a diagnostic may bear: what it means, and what to write instead."""

from collections.abc import Mapping
from dataclasses import dataclass

_READING = "Reading the file"
_SHAPE = "The shape of the document"
_CHECKS = "The checks"


@dataclass(frozen=True)
class Code:
    """A code, the part of the compiler that tells it, what it means, and what to write instead."""

    code: str
    part: str
    meaning: str
    instead: str


PARTS = (_READING, _SHAPE, _CHECKS)
"""The parts of the compiler, in the order they work in."""

ALL_CODES: tuple[Code, ...] = (
    Code("unreadable", _READING, "The file cannot be opened.", "Mend its rights, or name another."),
    Code("empty", _READING, "The file holds nothing.", "Write a model, starting with `model: NAME`."),
    Code("not-utf8", _READING, "The file is not UTF-8 text.", "Save it as UTF-8."),
    Code(
        "too-large", _READING, "The file, or what its aliases stand for, is too large.", "A model is small: split it."
    ),
    Code("too-deep", _READING, "Maps and lists are nested too deeply.", "Write it flatter."),
    Code("yaml-syntax", _READING, "The file is not YAML 1.2.", "Indent with spaces; quote texts that hold `: `."),
    Code(
        "yaml-documents", _READING, "The file holds a second document.", "Write one model a file, without `---` in it."
    ),
    Code("yaml-tag", _READING, "A tag (`!name`) is not part of the language.", "Quotes make text; others need no tag."),
    Code(
        "yaml-alias", _READING, "An alias names no complete anchor before it.", "Write the anchor first, or the value."
    ),
    Code("yaml-key", _READING, "A key is not text.", "Put the key in quotes."),
    Code("yaml-number", _READING, "A number is not one of JSON.", "Put it in quotes if it is text."),
    Code("duplicate-key", _READING, "A key stands twice in one map.", "Keep one of the two."),
    Code(
        "wrong-shape",
        _SHAPE,
        "A value is not of the shape its key takes.",
        "The reference of the language has each key.",
    ),
    Code("unknown-key", _SHAPE, "There is no such key here.", "Write the key that is meant; the hint names it or all."),
    Code("missing-key", _SHAPE, "A key that must be written is missing.", "Add it."),
    Code(
        "bad-name", _SHAPE, "A name is not one of the language.", "Small letters, digits, underscores; a letter first."
    ),
    Code("one-accountable", _SHAPE, "Not exactly one is accountable.", "Name one; others go under `responsible`."),
    Code("duplicate-model", _SHAPE, "Two models of a folder bear one name.", "Give one of them another name."),
    Code(
        "not-yet-runnable",
        _SHAPE,
        "Something is part of the language, but this version cannot run it yet.",
        "Leave it out; it is refused, so that it is never silently ignored.",
    ),
    Code("input-schema", _CHECKS, "An input is not described by JSON Schema.", "Use the keywords of 2020-12."),
    Code(
        "bad-default", _CHECKS, "A default does not fit its input, or is a secret.", "Mend the default or the schema."
    ),
    Code(
        "bad-expression",
        _CHECKS,
        "This is not in the expression language.",
        "The reference of expressions has what is.",
    ),
    Code("unknown-action", _CHECKS, "There is no action of this name.", "Write the one meant: `SYSTEM.NAME`."),
    Code(
        "broken-action", _CHECKS, "The action is there, but cannot be used.", "Mend it: the message says what is wrong."
    ),
    Code("duplicate-id", _CHECKS, "Two steps have one id.", "Results are bound to ids: give each step its own."),
    Code("unknown-name", _CHECKS, "A name is not there, or not at this place.", "Write one in scope, or quote text."),
    Code(
        "forward-reference",
        _CHECKS,
        "A step's result is read before the step has run.",
        "Move the step up, or this down; a step's own answer is `result`.",
    ),
    Code("value-cycle", _CHECKS, "A value reads itself in the end.", "Break the circle."),
    Code(
        "undo-missing",
        _CHECKS,
        "A step changes the world, and nothing says how to take that back.",
        "Write `undo: {uses: ..., with: {...}}`, `{covered_by: STEP}` or `{none: WHY}`.",
    ),
    Code("undo-read-only", _CHECKS, "A step that only reads has an undo.", "Leave the undo out."),
    Code(
        "undo-covered-by",
        _CHECKS,
        "The step that is to cover this one's undo is missing, later, or has no undoing action.",
        "Name an earlier step whose undo is an action.",
    ),
    Code(
        "retry-not-repeatable",
        _CHECKS,
        "An action that must not be repeated is retried after an unknown outcome.",
        "Retry `[transient]` only.",
    ),
    Code(
        "due-too-short",
        _CHECKS,
        "Timeouts and retries do not fit within what is due.",
        "Fewer attempts, shorter timeouts or pauses, or promise less.",
    ),
    Code("unused-input", _CHECKS, "Nothing reads an input. A warning.", "Use it, or do not ask for it."),
    Code("unused-value", _CHECKS, "Nothing reads a value. A warning.", "Use it, or leave it out."),
    Code(
        "wrong-operation", _CHECKS, "An operation does not exist for these types.", "Convert first; the hint says how."
    ),
    Code("unknown-member", _CHECKS, "A map has no member of this name.", "Write the member that is meant."),
    Code(
        "absent-input",
        _CHECKS,
        "An input that may be absent is read without asking.",
        "Write `inputs.x | default(...)`, or `inputs.x if inputs.x is defined else omit`; or give it a default.",
    ),
    Code(
        "unguarded-result",
        _CHECKS,
        "The result of a step that may have been skipped or failed is read without asking.",
        "Give this the same `when`, or ask `steps.ID.state == 'done'` or `result is defined` first.",
    ),
    Code(
        "condition-type", _CHECKS, "A condition is not true or false.", "Compare it: `... | length > 0`, `... != ''`."
    ),
    Code("otherwise-without-expect", _CHECKS, "`otherwise` without `expect` is never said.", "Add `expect`."),
    Code("omit-misplaced", _CHECKS, "`omit` stands where nothing can be left out.", "Use it in `with` only."),
    Code("missing-argument", _CHECKS, "An action's required argument is missing.", "Write it; the hint says its type."),
    Code("unknown-argument", _CHECKS, "An action takes no such argument.", "Write the one that is meant."),
    Code(
        "argument-type", _CHECKS, "An argument is not of the type the action takes.", "The message says what it takes."
    ),
    Code("hosts-missing", _CHECKS, "The action acts on hosts, but none are named.", "Write `hosts: GROUP`."),
    Code("hosts-not-taken", _CHECKS, "The action acts on no hosts.", "Leave `hosts` out."),
    Code(
        "hosts-type", _CHECKS, "`hosts` is neither a group nor a list of groups.", "Write one group, or a list of them."
    ),
    Code("target-type", _CHECKS, "A target is not what the system takes.", "See the hint for what it takes."),
    Code("unknown-target", _CHECKS, "Nothing here acts on this system.", "Name a system that an action is of."),
    Code(
        "secret-shown",
        _CHECKS,
        "A secret would be shown: in an output, address, message, host or target.",
        "Mark the output `secret: true`, or leave the secret out of it.",
    ),
    Code(
        "secret-in-argument",
        _CHECKS,
        "A secret would go to an argument that its action does not keep secret.",
        "The action must declare the argument secret; otherwise it may show or log it.",
    ),
    Code(
        "secret-in-model",
        _CHECKS,
        "A secret argument's value stands in the model. A warning.",
        "Take it from a secret input, or let the connector's settings hold it.",
    ),
)
"""Every code, in the order in which the compiler works."""

CODES: Mapping[str, Code] = {code.code: code for code in ALL_CODES}
"""By the code."""
