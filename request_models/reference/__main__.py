"""`python -m request_models.reference`: write the reference of a clone anew. Nothing is written that is the same."""

import sys
from pathlib import Path

from request_models.reference import reference_pages

_ROOT = Path(__file__).parents[2]


def main() -> int:
    """Write `docs/reference/`; the exit code is 1 where the tests' golden models are not at hand."""
    golden = _ROOT / "tests" / "golden"
    if not golden.is_dir():
        sys.stderr.write("The reference is made in a clone: it shows models of tests/golden.\n")
        return 1
    folder = _ROOT / "docs" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in reference_pages(golden).items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote docs/reference/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
