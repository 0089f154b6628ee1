"""The reference, made from the code. `python -m request_models.reference` writes what concerns models.

The pages of the actions are made by `connectors.reference`, where connectors may be imported.
"""

from collections.abc import Mapping
from pathlib import Path

from request_models.reference.calendars_page import calendars_page
from request_models.reference.checks_page import checks_page
from request_models.reference.expressions_page import expressions_page
from request_models.reference.language_page import language_page


def reference_pages(root: Path) -> Mapping[str, str]:
    """The pages by file name; `root` is the clone, whose refused models and examples they show."""
    examples = root / "docs" / "examples"
    return {
        "README.md": _CONTENTS,
        "calendars.md": calendars_page(examples),
        "checks.md": checks_page(root / "tests" / "golden"),
        "expressions.md": expressions_page(),
        "language.md": language_page(examples),
    }


_CONTENTS = """\
# Reference

What models are written in:

- [The language](language.md): every key of a model, with an example of each part, and which names can be read where
- [Expressions](expressions.md): what may stand between `{{` and `}}`, and in conditions
- [Calendars](calendars.md): files that say when there is work
- [Checks](checks.md): every code that `orderly check` tells, what it means, and what to write instead

What steps can use:

- [Actions](actions.md): every action that Orderly brings: people, waiting, HTTP, mail, runbooks
- [AWS](aws.md): how operations are typed, and what is known of repeating and undoing them

The examples are pieces of [two models](../examples/models/project-store.yaml) that use every part of the language, and
compile. These pages are made from the code by `make docs`; a test holds them to it. Change the code, not the pages.
"""
