"""What can be wrong with a runbook itself, found before it is ever run."""

from pathlib import Path

from connectors.errors import ConnectorError
from request_models.actions import ActionBroken


class RunbookError(ConnectorError, ActionBroken):
    """A runbook that cannot be offered as an action; the message says which file, what is wrong, what to do.

    `line` counts from 1; 0 when it is not known, or when the whole file is meant.
    """

    def __init__(self, file: Path, why: str, line: int = 0) -> None:
        super().__init__(f"{file}:{line}: {why}" if line else f"{file}: {why}")
        self.file = file
        self.why = why
        self.line = line


class BadMeta(RunbookError):
    """A NAME.meta.yml that is missing, cannot be read, or says something it may not."""


class UnsafeRunbook(RunbookError):
    """A playbook or role in which an argument could be overwritten, or whose content cannot be told from its files."""
