"""The reference, made from the code: language, checks, expressions. `python -m request_models.reference` writes it."""

from collections.abc import Mapping
from pathlib import Path

from request_models.reference.checks_page import checks_page
from request_models.reference.expressions_page import expressions_page
from request_models.reference.language_page import language_page


def reference_pages(golden: Path) -> Mapping[str, str]:
    """The pages by file name; `golden` is the folder of the refused models that show what checks say."""
    return {
        "README.md": _CONTENTS,
        "checks.md": checks_page(golden),
        "expressions.md": expressions_page(),
        "language.md": language_page(),
    }


_CONTENTS = """\
# Reference

- [The language](language.md): every key of a model
- [Expressions](expressions.md): what may stand between `{{` and `}}`, and in conditions
- [Checks](checks.md): every code that `orderly check` tells, what it means, and what to write instead

These pages are made from the code by `make docs`; a test holds them to it. Change the code, not the pages.
"""
