"""Plan -> Prefect: what a flow run of ours does, and what an operator sees of it in Prefect's UI.

Prefect is neutral (design section 2): no retries, caches, results or time limits of its own, each switched off
explicitly, since profiles have defaults. The flow asks our records what it may do; its one parameter is the request.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, assert_never

from prefect import Flow, Task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed, Suspended
from prefect.utilities.engine import propose_state_sync

from flows.execution import End, Execution, FlowRunIdentity, Proceed, Session, Suspend, Wait
from flows.records.errors import ClaimLost
from flows.records.states import StepState
from flows.settings import load_settings
from flows.summary import summarise
from flows.walk import StepReport, Unit
from flows.wiring import Application

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

LEAVE_STATE_ALONE = 75
"""Exit code that tells our worker to report nothing: another process runs the request and will (EX_TEMPFAIL)."""

_LONGEST_LINE = 20_000
"""Characters; Prefect drops log lines over a megabyte, and nobody reads one of this length."""


def flow_of(model: str) -> "Flow[[str], State[Any]]":
    """The Prefect flow of a model."""
    return Flow(
        fn=fulfil,
        name=model,
        version="1",
        retries=0,
        retry_delay_seconds=0,
        timeout_seconds=None,
        validate_parameters=True,
        persist_result=False,
        cache_result_in_memory=False,
        # Nothing is ever kept there; without it, each run asks the server where results are to be kept.
        result_storage=Path("results"),
        log_prints=False,
    )


def fulfil(request_id: str) -> "State[Any]":
    """Fulfil the request, as far as its record allows this flow run to."""
    application = Application.open(load_settings())
    try:
        return _state_of(_run(application, request_id))
    except ClaimLost as lost:
        _leave(lost)
    finally:
        application.close()


def _run(application: Application, request_id: str) -> End:
    log = _line_logger()
    entry = _enter(application.execution, request_id, log)
    if isinstance(entry, Suspend):
        _suspend(entry.message)
    if isinstance(entry, End):
        log(entry.message)
        return entry
    with entry.session as session:
        reports: list[StepReport] = []
        passage = session.walk(lambda unit: _run_step(session, unit, reports))
        end = session.finish(passage)
    _publish_summary(application, session, reports, end)
    if isinstance(end, Suspend):
        _suspend(end.message)
    return end


def _enter(execution: Execution, request_id: str, log: Callable[[str], None]) -> Proceed | Suspend | End:
    """Enter the request, waiting while another process holds it."""
    identity = _identity()
    told = ""
    while True:
        entry = execution.enter(request_id, identity)
        if not isinstance(entry, Wait):
            return entry
        if entry.message != told:
            log(entry.message)
            told = entry.message
        time.sleep(entry.seconds)


def _run_step(session: Session, unit: Unit, reports: list[StepReport]) -> StepReport:
    """Run one step as a Prefect task that bears its name. May run in a thread of its own, in the run's context."""
    outcome: StepReport | Exception | None = None

    def run() -> "State[Any]":
        nonlocal outcome
        try:
            outcome = session.run_step(unit, _line_logger())
        except ClaimLost as lost:
            _leave(lost)
        except Exception as error:
            # The task shows it as failed; the flow must not take it for the step's outcome.
            outcome = error
            raise
        return _state_of_step(outcome)

    Task(
        fn=run,
        name=unit.step.path,
        task_run_name=unit.label.replace("{", "{{").replace("}", "}}"),
        retries=0,
        retry_delay_seconds=0,
        timeout_seconds=None,
        cache_policy=NO_CACHE,
        persist_result=False,
        cache_result_in_memory=False,
        log_prints=False,
    )(return_state=True)
    if isinstance(outcome, Exception):
        raise outcome
    if outcome is None:
        raise RuntimeError(f"Prefect did not run the task of step {unit.label!r}; see its state in Prefect's UI.")
    reports.append(outcome)
    return outcome


def _state_of_step(report: StepReport) -> "State[Any]":
    if report.pause is not None:
        return Completed(name="Waiting", message=report.message)
    match report.state:
        case StepState.FAILED:
            return Failed(message=report.message)
        case StepState.SKIPPED:
            return Completed(name="Skipped", message=report.message or "Its condition is false.")
        case _ if report.cached:
            return Completed(name="Cached", message="Done before; nothing was called again.")
        case _:
            return Completed(message=report.message or report.outcome or "")


def _state_of(end: End) -> "State[Any]":
    match end.kind:
        case "completed":
            return Completed(name=end.name, message=end.message)
        case "failed":
            return Failed(name=end.name, message=end.message)
        case "cancelled":
            return Cancelled(name=end.name, message=end.message)
        case _:
            assert_never(end.kind)


def _suspend(message: str) -> NoReturn:
    """Put the run to sleep without a time limit; it holds no worker then."""
    context = _context()
    state = propose_state_sync(context.client, Suspended(timeout_seconds=None, message=message), context.flow_run.id)
    raise Pause(message, state=state)


def _leave(lost: ClaimLost) -> NoReturn:
    """Another process runs the request: end at once and report nothing, neither to our records nor to Prefect."""
    with suppress(OSError):
        print(lost, file=sys.stderr, flush=True)  # noqa: T201 - nothing that reports to Prefect may be used any more
    os._exit(LEAVE_STATE_ALONE)


def _publish_summary(application: Application, session: Session, reports: list[StepReport], end: End | Suspend) -> None:
    """Leave an artifact for the operator. The request has its outcome already, so no failure here may change it."""
    try:
        create_markdown_artifact(
            markdown=summarise(session.plan, session.request, reports, end, application.settings),
            key=f"request-{session.request.id[:8]}",
            description=f"Request {session.request.id}",
        )
    except Exception:
        logging.getLogger(__name__).warning("The summary could not be left in Prefect.", exc_info=True)


def _identity() -> FlowRunIdentity:
    run = _context().flow_run
    return FlowRunIdentity(flow_run_id=str(run.id), idempotency_key=run.idempotency_key)


def _context() -> Any:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("This runs only as a Prefect flow run.")
    return context


def _line_logger() -> Callable[[str], None]:
    """Writes plain lines to the log of the task or flow run we are in now, from whatever thread it is called later."""
    logger = get_run_logger()
    return lambda line: logger.info("%s", line[:_LONGEST_LINE])
