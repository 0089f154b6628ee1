"""The process of one flow run: `python -I -m flows.worker.engine FLOW-RUN-ID WORKER-PID [LIMITS]`.

It stands in for `python -m prefect.engine`, which puts the current folder first on `sys.path` and loads whatever the
deployment names as storage, pull steps and entrypoint. Here nothing of that is read: the flow is always ours, and what
it does is decided by our records.
"""

import json
import logging
import os
import sys
from uuid import UUID

from flows.worker.confinement import Limits, confine, die_with

FLOW_NAME = "PREFECT__FLOW_NAME"
DEPLOYMENT_NAME = "PREFECT__DEPLOYMENT_NAME"
WORK_POOL_ID = "PREFECT__ORDERLY_WORK_POOL_ID"
"""Variables in which the worker passes on what it knows of a run; what is missing is asked for."""


def main(arguments: list[str]) -> None:
    """Run the flow run of this id; the second argument is the pid of the worker, which it does not outlive."""
    flow_run_id, worker_pid = UUID(arguments[0]), int(arguments[1])
    # First of all: a second of imports must not pass before this process is tied to its worker's life.
    die_with(worker_pid)
    if len(arguments) > 2:
        confine(Limits.from_json(json.loads(arguments[2])))
    run(flow_run_id)


def run(flow_run_id: UUID) -> None:
    """Run the flow run in this process. Ends in SystemExit where Prefect wants an exit code of its own."""
    from prefect._internal.control_listener import configure_from_env  # noqa: PLC0415 - see main
    from prefect.engine import handle_engine_signals  # noqa: PLC0415 - see main

    configure_from_env()
    with handle_engine_signals(flow_run_id):
        from prefect.context import SyncClientContext  # noqa: PLC0415 - as prefect.engine does

        from flows.lowering import flow_of  # noqa: PLC0415 - after Prefect's signals are handled
        from flows.worker.lean_engine import run_to_its_end, tell_related  # noqa: PLC0415 - see above

        logging.getLogger("prefect.task_runs").addFilter(_is_worth_reading)
        # One client, and so one connection, for all that is asked of Prefect.
        with SyncClientContext.get_or_create() as context:
            flow_run = context.client.read_flow_run(flow_run_id)
            name = os.environ.get(FLOW_NAME) or context.client.read_flow(flow_run.flow_id).name
            pool = os.environ.get(WORK_POOL_ID)
            tell_related(flow_run, name, os.environ.get(DEPLOYMENT_NAME), UUID(pool) if pool else None)
            run_to_its_end(flow_of(name), flow_run)


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Not Prefect's report of a failed state with a traceback of nothing; the step's own line says what failed."""
    return not (record.exc_info is not None and record.exc_info[0] is None)


if __name__ == "__main__":
    main(sys.argv[1:])
