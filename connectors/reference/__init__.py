"""The reference of the actions, made from the code. `python -m connectors.reference` writes it."""

from collections.abc import Mapping

from connectors.reference.actions_page import actions_page
from connectors.reference.aws_page import aws_page


def action_pages() -> Mapping[str, str]:
    """The pages by file name: of what Orderly brings, whatever is installed or configured beside it."""
    return {"actions.md": actions_page(), "aws.md": aws_page()}
