"""Exit codes, the same for every command."""

from collections.abc import Mapping

from request_models.json_values import JsonValue

OK = 0
REFUSED = 1
"""What was asked for was refused, or failed."""
USAGE = 2
"""The command line is wrong; nothing was tried."""
UNAVAILABLE = 3
"""Something that is needed cannot be reached; trying again later may help."""
INTERRUPTED = 130


class CommandFailed(Exception):
    """Ends a command. The message says what, where, why and what to do; `details` go into the JSON answer."""

    def __init__(self, message: str, exit_code: int = REFUSED, details: Mapping[str, JsonValue] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.details = dict(details or {})
