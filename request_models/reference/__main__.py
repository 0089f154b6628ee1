"""`python -m request_models.reference`: write the pages of the language anew. Nothing is written that is the same."""

import sys

from request_models.reference import reference_pages
from request_models.reference.writing import ROOT, is_clone, write_pages


def main() -> int:
    """Write into `docs/reference/`; the exit code is 1 where this is no clone."""
    if not is_clone():
        return 1
    write_pages(reference_pages(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
