"""The errors that a person can do something about, whichever package they come from, and their exit codes."""

from connectors.errors import ConnectorError
from flows.commands.exits import REFUSED, UNAVAILABLE
from flows.errors import OrderlyError
from flows.records.errors import RecordsError, RecordsUnavailable
from request_models.errors import RequestModelsError

EXPECTED = (OrderlyError, RequestModelsError, ConnectorError, RecordsError)
"""They end a command with their message, never with a traceback."""


def exit_code_of(error: Exception) -> int:
    """The exit code of an expected error."""
    return UNAVAILABLE if isinstance(error, RecordsUnavailable) else REFUSED
