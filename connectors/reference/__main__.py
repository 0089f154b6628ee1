"""`python -m connectors.reference`: write the pages of the actions anew. Nothing is written that is the same."""

import sys

from connectors.reference import action_pages
from request_models.reference.writing import is_clone, write_pages


def main() -> int:
    """Write into `docs/reference/`; the exit code is 1 where this is no clone."""
    if not is_clone():
        return 1
    write_pages(action_pages())
    return 0


if __name__ == "__main__":
    sys.exit(main())
