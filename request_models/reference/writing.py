"""Pages written into a clone's `docs/reference`."""

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The clone; an installed Orderly has no docs."""


def write_pages(pages: Mapping[str, str]) -> None:
    """Write the pages by file name, and say which; one that is the same is not written."""
    folder = ROOT / "docs" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote docs/reference/{name}\n")


def is_clone() -> bool:
    """Whether the models that the pages show are at hand; says what is missing where they are not."""
    if (ROOT / "tests" / "golden").is_dir() and (ROOT / "docs" / "examples").is_dir():
        return True
    sys.stderr.write("The reference is made in a clone: it shows models of tests/golden and docs/examples.\n")
    return False
