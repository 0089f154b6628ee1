"""Ends what a stopped run left on its hosts: modules outlive the connection they came by [findings]."""

from collections.abc import Callable
from pathlib import Path

from connectors.runbook.content import SHIPPED, archive_of
from connectors.runbook.run import RunOrder, RunReport, run
from connectors.runbook.settings import RunbookSettings

PLAYBOOK = "end_run"
"""Has no meta, so that it is no action."""

SECONDS = 60.0


def end_remote_work(
    stopped: RunReport, settings: RunbookSettings, runs: Path, log: Callable[[str], None]
) -> tuple[str, ...]:
    """Kill a stopped run's processes on the hosts it played on; gives the hosts that could not be reached."""
    if not stopped.played:
        return ()
    file = SHIPPED / "playbooks" / f"{PLAYBOOK}.yml"
    report = run(
        RunOrder(
            playbook=PLAYBOOK,
            content=archive_of({f"playbooks/{file.name}": file}),
            plain={"run_id": stopped.run_id},
            secret={},
            masks=[],
            hosts=stopped.played,
            done=(),
            timeout_seconds=SECONDS,
            log=log,
            cancelled=lambda: False,
        ),
        settings,
        runs,
    )
    return tuple(name for name in stopped.played if name not in report.outputs)
