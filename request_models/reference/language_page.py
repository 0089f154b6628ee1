"""The page of the language: every key with its type, default and description, from the schema for editors.

The order of its parts, and which piece of the examples stands beside which part, is said here; all else is asked.
"""

from collections.abc import Mapping
from pathlib import Path

from request_models.editor_schema import editor_schema
from request_models.engine_actions import ENGINE_SPECS
from request_models.reference.excerpts import Excerpts
from request_models.reference.markdown import code
from request_models.reference.schema_table import Schema, SchemaTables
from request_models.reference.scope_table import scope_table
from request_models.yaml_source import MAX_BYTES, MAX_DEPTH, MAX_NODES

# What each part of a model is called on the page, in the order in which they are shown; others follow by name.
_TITLES = {
    "OwnersDocument": "Owners",
    "SupplierDocument": "Supplier",
    "EligibleDocument": "Eligible",
    "PrerequisiteDocument": "Prerequisite",
    "InputDocument": "An input",
    "ChoicesDocument": "Choices",
    "InputSchema": "A schema within an input",
    "ApprovalDocument": "Approval",
    "DueDocument": "Due",
    "StartsDocument": "Starts",
    "StepDocument": "A step",
    "RetryDocument": "Retry",
    "GroupDocument": "Group",
    "ParallelDocument": "Parallel",
    "UndoDocument": "Undo",
    "UndoActionDocument": "An action of an undo",
    "VerifyDocument": "Verify",
    "OutputDocument": "An output",
    "NotifyDocument": "Notify",
    "FeedbackDocument": "Feedback",
    "QuestionDocument": "Question",
    "TriggerDocument": "Trigger",
    "LeaseDocument": "Lease",
    "OrderDocument": "Order",
    "ExampleDocument": "Example",
    "GivenDocument": "Given",
    "PersonDocument": "Person",
    "FailureDocument": "Failure",
    "ThenDocument": "Then",
}

# By title, what stands below the keys: texts, each with the piece of the examples that it ends with.
_SHOWN: Mapping[str, Mapping[str, str]] = {
    "The model": {
        "model": "The head of a file:",
        "target": "Where all steps act:",
        "values": "Values are computed once, before the first step, and are the same in every retry:",
        "locks": "Only one request at a time works on what a lock names:",
    },
    "Owners": {"owners": ""},
    "Supplier": {"supplier": ""},
    "Eligible": {"eligible": ""},
    "Prerequisite": {"prerequisite": "The second reads nothing, and asks what the first read:"},
    "An input": {"input": ""},
    "Choices": {"choices": "An input whose choices are read from AWS:"},
    "Approval": {
        "approval": "By default nothing starts before all is decided. With `before`, the steps before that one run:"
    },
    "Due": {"due": ""},
    "Starts": {"starts": ""},
    "A step": {
        "step": "",
        "polling": "**Polling.** With `until`, an action that only reads is called again and again. No worker is held "
        "between two looks:",
        "loop": "**Loops.** With `for_each`, a step or a group is done for each item of a list, which is `item` in it. "
        "Results are bound to the item's `key`, never to its place in the list:",
        "nested loop": "**Loops in loops.** `item` is that of the innermost loop; in the inner `for_each` itself it is "
        "still the outer one's. Within a round, a step reads another's result by its id. From outside, a loop is read "
        "as `steps.LOOP.items`: a list of maps with `item` and `state`, and of a step `args` and `result`, of a group "
        "`steps`:",
        "engine": "**The engine's own actions**, for people, waiting and other models "
        "([all of them](actions.md#the-engine)):",
    },
    "Retry": {"retry": ""},
    "Group": {"group": "A group with a condition, and what is done instead:"},
    "Parallel": {"parallel": "Of the undos, one is done by another step's, one has an action of its own:"},
    "Undo": {
        "undo action": "What was done last is taken back first, and only what this request made or changed. An action:",
        "undo list": "A list of them:",
    },
    "Verify": {"verify": ""},
    "An output": {"output": ""},
    "Notify": {"notify": ""},
    "Feedback": {"feedback": ""},
    "Trigger": {"trigger": ""},
    "Lease": {"lease": ""},
    "Example": {"example": ""},
}


def language_page(examples: Path) -> str:
    """The page, with pieces of the models among the examples."""
    schema: Schema = editor_schema()
    definitions: Mapping[str, Schema] = schema["$defs"]
    tables, excerpts = SchemaTables(definitions, _title), Excerpts(examples)
    names = [*(name for name in _TITLES if name in definitions), *sorted(definitions.keys() - _TITLES.keys())]
    parts = [("The model", schema), *((_title(name), definitions[name]) for name in names)]
    contents = "".join(f"- [{title}](#{_anchor(title)})\n" for title in [title for title, _ in parts] + list(_MORE))
    sections = [_section(title, part, tables, excerpts) for title, part in parts]
    engine = ", ".join(code(name) for name in sorted(ENGINE_SPECS))
    return "\n".join(
        [
            _INTRODUCTION,
            contents,
            *sections,
            _ACTIONS.format(engine=engine),
            _SCOPE.format(table=scope_table(examples / "models" / "project-store.yaml")),
            _DIGEST,
        ]
    )


def _title(name: str) -> str:
    return _TITLES.get(name, name.removesuffix("Document"))


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _section(title: str, schema: Schema, tables: SchemaTables, excerpts: Excerpts) -> str:
    lines = [f"## {title}\n", f"{schema['description']}\n", tables.keys(schema)]
    for piece, words in _SHOWN.get(title, {}).items():
        lines += [*([f"{words}\n"] if words else []), excerpts.show(piece)]
    return "\n".join(lines)


_INTRODUCTION = f"""\
# The language

A model is one YAML 1.2 file in UTF-8: one document, no tags, each key once. It may have {MAX_BYTES // 1024} KiB,
{MAX_NODES} values (aliases count each time) and {MAX_DEPTH} levels. Keys that are not listed are refused. A duration
is ISO 8601 of weeks, days, hours, minutes and seconds: `PT15M`, `P1DT12H`. Values may hold
[expressions](expressions.md) where the description says so, and in `with`, `target`, `hosts`, `values`, `otherwise`,
and the `value` and `url` of outputs. `orderly schema` gives all this to editors.

The pieces of YAML are from [one model](../examples/models/project-store.yaml) that uses every part. What this version
cannot run yet, `orderly check` says of each ([not-yet-runnable](checks.md#not-yet-runnable)).
"""

_MORE = ("Actions", "Names", "What counts as a change")

_ACTIONS = """\
## Actions

`uses` names an action: `SYSTEM.NAME`. Each connector brings its own: `aws.SERVICE.OPERATION` is any operation of any
[AWS](aws.md) service, `runbook.NAME` a playbook, `http.METHOD` a call, `mail.send` a mail. The engine's own are
{engine}. [All of them](actions.md).
"""

_SCOPE = """\
## Names

Which names can be read where. `item` is that of the innermost loop. `args`, `result` and `item` in an undo are those
of the step that is undone; `result` may be absent there, as a step that failed is undone too. In `notify`, `request`
has the members `state` and `reason` as well. The `when` of a step in a loop of its own is asked of each item, that of
a group once. `target` and `hosts` read what `with` beside them reads.

{table}"""

_DIGEST = """\
## What counts as a change

A published model has a digest of what it does, and a new digest is a new version. Outside it are the texts that only
people read: `title` and `summary` of the model, `title` of inputs, steps, groups and outputs, `ask` of questions.
Outside it are also the order of inputs and of keys, comments, and `examples`. All else counts, texts that are sent,
shown to approvers or said in a refusal too. A request keeps the version it was accepted with, whatever is published
later.
"""
