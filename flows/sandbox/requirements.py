"""Whether the packages of the extra `sandbox` are there, asked before anything of them is imported."""

import importlib.util

from flows.sandbox.errors import SandboxMissing

_NEEDED = ("moto", "flask", "flask_cors", "werkzeug", "aiosmtpd")


def check_installed() -> None:
    """Raises SandboxMissing, which says how to install what is missing."""
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise SandboxMissing(module)
