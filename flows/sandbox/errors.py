"""What can go wrong with the sandbox, in words for the person who started it."""


class SandboxError(Exception):
    """Anything the sandbox cannot do. Its text says what, where and what to do."""


class SandboxMissing(SandboxError):
    """The packages of the extra `sandbox` are not installed."""

    def __init__(self, module: str) -> None:
        super().__init__(
            f"The sandbox needs the Python package that provides `{module}`, which is not installed."
            " Install Orderly with its extra: pip install 'orderly[sandbox]'."
        )


class SandboxRunning(SandboxError):
    """Another sandbox has this state folder."""


class JournalDamaged(SandboxError):
    """The AWS endpoint's journal cannot be trusted."""


class HostUnreachable(SandboxError):
    """A host of the sandbox is not there to be asked."""
