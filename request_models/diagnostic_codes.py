"""Every code a diagnostic may bear: what it means, and what to write instead."""

from collections.abc import Mapping
from dataclasses import dataclass

_READING = "Reading the file"
_SHAPE = "The shape of the document"
_CHECKS = "The checks"
_CALENDARS = "Calendars"


@dataclass(frozen=True)
class Code:
    """A code, the part of the compiler that tells it, what it means, and what to write instead."""

    code: str
    part: str
    meaning: str
    instead: str


PARTS = (_READING, _SHAPE, _CHECKS, _CALENDARS)
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
    Code("yaml-braces", _READING, "An expression stands without quotes.", 'Quote the whole value: `"{{ ... }}"`.'),
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
    Code("enum-type", _CHECKS, "A choice is not of its input's type.", "Put in quotes what is text."),
    Code(
        "yaml-leading-zero",
        _CHECKS,
        "A number starts with a zero, which some readers of YAML take for octal.",
        "Put it in quotes if it is text; write `0o755` for an octal number.",
    ),
    Code(
        "yaml-ambiguous",
        _CHECKS,
        "A value without quotes is not what it looks like, or other readers of YAML take it for something else. A "
        "warning.",
        "Put it in quotes if it is text.",
    ),
    Code(
        "yaml-comment",
        _CHECKS,
        "A text ends where a `#` starts a comment, perhaps not meant as one. A warning.",
        "Put the text in quotes, or a space after the `#` of a comment.",
    ),
    Code("yaml-empty", _CHECKS, "Nothing stands after a key. A warning.", "Write its value, or leave the key out."),
    Code(
        "yaml-final-newline",
        _CHECKS,
        "A block of one line ends with a line end, which becomes part of the value.",
        "Write `|-` or `>-`, or quotes.",
    ),
    Code(
        "pattern-runs-away",
        _CHECKS,
        "A regular expression could take minutes or years on a text made for that.",
        "Write it so that a text can be read in one way only, or bound the text with `maxLength`.",
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
    Code("duplicate-id", _CHECKS, "Two steps, prerequisites or approvals have one id.", "Give each its own."),
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
        "undo-after-removal",
        _CHECKS,
        "An undo needs what an undo that runs before it takes away.",
        "Put what removes the thing last; what is made last is undone first.",
    ),
    Code(
        "retry-at-once",
        _CHECKS,
        "Several attempts are made without a pause between them. A warning.",
        "Write a `delay`, and a `factor` by which it grows.",
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
        "unused-fact",
        _CHECKS,
        "Nothing reads what a prerequisite answers, and it has no `expect`. A warning.",
        "Write `expect`, or leave it out.",
    ),
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
    Code(
        "never-true",
        _CHECKS,
        "A condition can never be true: an error where something is then never done or always refused, else a warning.",
        "Mend it; or leave out what it guards. The message says what follows from it.",
    ),
    Code(
        "always-true",
        _CHECKS,
        "A condition is always true. A warning, and an error where polling then ends as failed at once.",
        "Leave the condition out, or mend it.",
    ),
    Code("unreachable", _CHECKS, "An `else` is never done, since its `when` is always true.", "Leave it out."),
    Code(
        "needless-default",
        _CHECKS,
        "`default` stands at an input that is always there. A warning.",
        "Leave it out; for empty text write `| default(..., true)`.",
    ),
    Code(
        "compared-with-true",
        _CHECKS,
        "What is true or false is compared with `true` or `false`. A warning.",
        "Write it as it is, or `not ...`.",
    ),
    Code(
        "part-of-text",
        _CHECKS,
        "`in` looks for a part of a text that is one of a few: `'prod' in 'preprod'` is true. A warning.",
        "Compare with `==`, or write a list: `in [...]`.",
    ),
    Code(
        "json-in-text",
        _CHECKS,
        "A map or a list would stand in a text as JSON. A warning.",
        "Name the member that is meant, write `... | join(', ')`, or `... | tojson` if JSON is meant.",
    ),
    Code("otherwise-without-expect", _CHECKS, "`otherwise` without `expect` is never said.", "Add `expect`."),
    Code(
        "read-only",
        _CHECKS,
        "A prerequisite, a look of `verify` or the choices of an input use an action that changes the world.",
        "Use an action that reads; make what changes a step.",
    ),
    Code(
        "unknown-calendar",
        _CHECKS,
        "There is no calendar of this name.",
        "Write one that is there, or add a file in `calendars/`.",
    ),
    Code("poll-not-read-only", _CHECKS, "What is polled does not only read.", "Poll with an action that reads."),
    Code("poll-endless", _CHECKS, "Polling has no end.", "Write `within`."),
    Code("poll-option", _CHECKS, "A key of polling stands without `until`.", "Add `until`, or leave the key out."),
    Code("poll-once", _CHECKS, "The pause is as long as polling may take.", "Look more often, or allow more time."),
    Code("poll-timeout", _CHECKS, "One look may take longer than polling altogether.", "Shorten `timeout`."),
    Code("loop-type", _CHECKS, "`for_each` is no list.", "Give it a list."),
    Code("loop-key", _CHECKS, "`key` does not name an item.", "Write `item`, or a member of it such as `item.id`."),
    Code("loop-unnamed", _CHECKS, "A loop has no id.", "Write `id`: its items are read under that name."),
    Code("loop-option", _CHECKS, "A key of loops stands without `for_each`.", "Add `for_each`, or leave the key out."),
    Code("else-without-when", _CHECKS, "`else` without `when` is never done.", "Add `when`."),
    Code(
        "returns-not-taken",
        _CHECKS,
        "`returns` stands at a step whose action has a type of its own.",
        "Leave it out; it is for `human.task` and `wait.event`.",
    ),
    Code("returns-schema", _CHECKS, "`returns` is not JSON Schema.", "Use the keywords of 2020-12."),
    Code("unknown-model", _CHECKS, "The model that is ordered is not there.", "Name one that is, outright."),
    Code("model-cycle", _CHECKS, "A model would order itself in the end.", "Break the circle."),
    Code(
        "approval-by-requester",
        _CHECKS,
        "An approval could only be given by the requester, or by the person it is for.",
        "Name a group, or `manager:requester`.",
    ),
    Code(
        "approver-form",
        _CHECKS,
        "An approver is not written as one.",
        "Write `person:ID`, `group:NAME`, `manager:requester` or `manager:user`.",
    ),
    Code("approval-quorum", _CHECKS, "More must approve than may.", "Name more, or a group; or ask fewer."),
    Code("approval-time", _CHECKS, "The times of an approval do not fit together.", "Write `within`; remind earlier."),
    Code("approval-step", _CHECKS, "`before` names no step, or one in a loop.", "Name a step that runs once."),
    Code("supplier-step", _CHECKS, "A supplier's step is not there.", "Write the step that is meant."),
    Code("supplier-twice", _CHECKS, "A supplier, or a step of one, is named twice.", "Name each once."),
    Code("once-not-secret", _CHECKS, "`once` or `to` stands at an output that is not secret.", "Add `secret: true`."),
    Code("moment-type", _CHECKS, "What is to be a moment is none.", "Write 2026-11-05T22:00:00Z, or an expression."),
    Code(
        "recipient-form",
        _CHECKS,
        "Somebody who is to be told is not written as one.",
        "Write `requester`, `user`, `person:ID`, `group:NAME`, `mail:ADDRESS` or `chat:CHANNEL`.",
    ),
    Code(
        "lock-for-all",
        _CHECKS,
        "All requests of the model take one and the same lock, and so run one after the other. A warning.",
        "Name what one request works on: `bucket:{{ inputs.name }}`; or, if it is meant, the model itself.",
    ),
    Code("omit-misplaced", _CHECKS, "`omit` stands where nothing can be left out.", "Use it in `with` only."),
    Code("missing-argument", _CHECKS, "An action's required argument is missing.", "Write it; the hint says its type."),
    Code("unknown-argument", _CHECKS, "An action takes no such argument.", "Write the one that is meant."),
    Code(
        "argument-type", _CHECKS, "An argument is not of the type the action takes.", "The message says what it takes."
    ),
    Code(
        "checked-at-run-time",
        _CHECKS,
        "Whether an argument fits can only be seen at run time, before the call. A note, told with `--notes`.",
        "Nothing need be done; an input that is described as narrowly is checked when somebody orders.",
    ),
    Code("hosts-missing", _CHECKS, "The action acts on hosts, but none are named.", "Write `hosts: GROUP`."),
    Code("hosts-not-taken", _CHECKS, "The action acts on no hosts.", "Leave `hosts` out."),
    Code(
        "hosts-type", _CHECKS, "`hosts` is neither a group nor a list of groups.", "Write one group, or a list of them."
    ),
    Code(
        "hosts-pattern",
        _CHECKS,
        "`hosts` is a pattern, or every host.",
        "Write names of groups or hosts, one by one: nothing is ever run on all hosts.",
    ),
    Code(
        "unknown-hosts",
        _CHECKS,
        "The inventory has no such group or host.",
        "Write one that it has; the hint names the nearest. Or add it to the inventory.",
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
    Code(
        "secret-not-marked",
        _CHECKS,
        "A secret argument is taken from an input that is not marked secret. A warning where no name says so.",
        "Mark the input `secret: true`: what is typed there is then shown nowhere and stored encrypted.",
    ),
    Code(
        "secret-logged",
        _CHECKS,
        "A task of the runbook writes a secret argument into a log, the host's own say. A warning.",
        "Write `no_log: true` on the task, its block or its role.",
    ),
    Code(
        "hazardous-argument",
        _CHECKS,
        "Any text may be given to an argument that the action's content makes part of a command.",
        "Quote it where the message says (`{{ name | quote }}`), or let the input be an enum or match a pattern.",
    ),
    Code(
        "bad-example",
        _CHECKS,
        "An example speaks of what is not there, or lets a step answer what its action never answers.",
        "Name steps as the model does, in loops `ID[KEY]`; what a step answers has the type of its action's result.",
    ),
    Code(
        "untested-branch",
        _CHECKS,
        "No example goes this way of the model. A warning of `orderly test`.",
        "Write an example that does: other inputs, `given.results`, `given.failures`.",
    ),
    Code("unread-argument", _CHECKS, "Nothing in the runbook reads the argument. A warning.", "Leave it out."),
    Code(
        "calendar-hours",
        _CALENDARS,
        "An opening is no two times of a day, overlaps another, or its days are not of the week.",
        'Write `mon-fri: ["09:00-12:30", "13:30-17:00"]`; an end before the start is on the next day.',
    ),
    Code("calendar-date", _CALENDARS, "A day is no date, or days end before they start.", "Write `2026-12-24`."),
    Code("calendar-zone", _CALENDARS, "There is no such time zone.", "Write an IANA name: `Europe/Berlin`, `UTC`."),
    Code(
        "calendar-holidays",
        _CALENDARS,
        "No public holidays are known of this country, or of this part of it.",
        "Write codes of ISO 3166, or list the days under `closed`.",
    ),
    Code("calendar-never-open", _CALENDARS, "A calendar has no opening.", "Write when it is open, under `open`."),
    Code(
        "duplicate-calendar",
        _CALENDARS,
        "Two calendars of a folder bear one name, or one takes the name of the built-in.",
        "Give one of them another name.",
    ),
)
"""Every code, in the order in which the compiler works."""

CODES: Mapping[str, Code] = {code.code: code for code in ALL_CODES}
"""By the code."""
