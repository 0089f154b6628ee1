"""`python -m flows.sandbox --state DIR`: run the sandbox until it is told to stop."""

import argparse
import logging
import sys
from pathlib import Path

from flows.sandbox.errors import SandboxError
from flows.sandbox.requirements import check_installed

_log = logging.getLogger("flows.sandbox")

GIVES_UP = 2
"""Exit code when trying again is useless."""


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.sandbox", description="Run a local estate to act on.")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="Orderly's state folder")
    state: Path = parser.parse_args().state
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        check_installed()
        from flows.sandbox.estate import Estate, run  # noqa: PLC0415 - imports what check_installed looks for

        def announce(estate: Estate) -> None:
            hosts = ", ".join(estate.hosts.running) or "none"
            _log.info("ready: AWS %s, mail port %s, hosts: %s", estate.aws.url, estate.mail.port, hosts)

        run(state.absolute(), announce)
    except SandboxError as error:
        _log.error("%s", error)
        return GIVES_UP
    return 0


if __name__ == "__main__":
    sys.exit(main())
