"""The process of one flow run: `python -I -m flows.worker.engine FLOW-RUN-ID`.

It stands in for `python -m prefect.engine`, which puts the current folder first on `sys.path` and loads whatever the
deployment names as storage, pull steps and entrypoint. Here nothing of that is read: the flow is always ours, and what
it does is decided by our records.
"""

import ctypes
import logging
import os
import signal
import sys
from uuid import UUID

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Run the flow run of this id; the second argument is the pid of the worker, which it does not outlive."""
    flow_run_id, worker_pid = UUID(arguments[0]), int(arguments[1])
    _die_with(worker_pid)

    # Imported late: a second of imports must not pass before this process is tied to its worker's life.
    from prefect._internal.control_listener import configure_from_env  # noqa: PLC0415 - see above
    from prefect.engine import handle_engine_signals  # noqa: PLC0415 - see above

    configure_from_env()
    with handle_engine_signals(flow_run_id):
        from prefect.flow_engine import load_flow_run, run_flow  # noqa: PLC0415 - as prefect.engine does

        from flows.lowering import flow_for_run  # noqa: PLC0415 - after Prefect's signals are handled

        logging.getLogger("prefect.task_runs").addFilter(_is_worth_reading)
        flow_run = load_flow_run(flow_run_id)
        # return_type "state": a failed request is an outcome, not an exception with a traceback in the operator's log.
        run_flow(flow_for_run(flow_run), flow_run=flow_run, return_type="state")


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Not Prefect's report of a failed state with a traceback of nothing; the step's own line says what failed."""
    return not (record.exc_info is not None and record.exc_info[0] is None)


def _die_with(worker_pid: int) -> None:
    """Have the kernel kill this process when the worker ends, however it ends; at once when it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker_pid:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
