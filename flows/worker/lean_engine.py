"""Prefect's engine without what a short flow run does not need, and waits for all the same.

Prefect starts, before the first step, a connection over which it hears that the run is suspended, and a thread that
says that the run lives; at the end it waits up to three seconds for both. Here they begin when a run has lasted
`_SHORT_SECONDS`, and nobody waits for them. It is the one module that leans on the insides of the engine: with another
version of Prefect than those it was made for, the engine is used as it is.
"""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import prefect
from prefect.flow_engine import FlowRunEngine, run_flow

if TYPE_CHECKING:
    from uuid import UUID

    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun

_MADE_FOR = "3.8."
_SHORT_SECONDS = 5.0


def run_to_its_end(flow: "Flow[[str], Any]", flow_run: "FlowRun") -> None:
    """Run the flow; what comes of it is reported as its state, not raised. Raises what Prefect's `run_flow` raises."""
    if not prefect.__version__.startswith(_MADE_FOR):
        run_flow(flow, flow_run=flow_run, return_type="state")
        return
    engine = _LeanEngine(flow=flow, parameters=dict(flow_run.parameters), flow_run=flow_run)
    with engine.start():
        while engine.is_running():
            with engine.run_context():
                engine.call_flow_fn()


class _LeanEngine(FlowRunEngine[[str], Any]):
    @property
    def heartbeat_seconds(self) -> None:
        """None, so that Prefect's own thread is not started."""
        return

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Iterator[Any]:
        from prefect._flow_run_suspension import register_flow_run_suspension_request  # noqa: PLC0415 - private

        assert self.flow_run is not None
        request = self._get_flow_run_suspension_request()
        ended = threading.Event()
        context = contextvars.copy_context()
        company = threading.Thread(
            target=context.run, args=(self._keep_company, request, ended), name="orderly-company", daemon=True
        )
        with register_flow_run_suspension_request(self.flow_run.id, request):
            request.raise_if_requested()
            company.start()
            try:
                yield request
            finally:
                ended.set()

    def _keep_company(self, request: Any, ended: threading.Event) -> None:
        """Once the run is not short any more: hear of its suspension, and let Prefect hear that it lives."""
        from prefect._flow_run_suspension import observe_flow_run_suspension  # noqa: PLC0415 - private

        if ended.wait(_SHORT_SECONDS):
            return
        assert self.flow_run is not None
        with ExitStack() as stack:
            if self.flow_run.deployment_id is not None:
                stack.enter_context(observe_flow_run_suspension(self.flow_run.id, request))
            every = super().heartbeat_seconds
            resource, related = self._build_heartbeat_event_template()
            while every is not None:
                with suppress(Exception):
                    self._emit_flow_run_heartbeat(resource, related)
                if ended.wait(every):
                    return
            ended.wait()


def tell_related(flow_run: "FlowRun", flow: str, deployment: str | None, work_pool: "UUID | None") -> None:
    """Tell Prefect the names of what the run belongs to, which it would ask the server for, one by one."""
    from prefect.events import related  # noqa: PLC0415 - private in all but name

    cache: dict[str, tuple[dict[str, Any], datetime]] | None = getattr(related, "RESOURCE_CACHE", None)
    if cache is None or not prefect.__version__.startswith(_MADE_FOR):
        return
    known: list[tuple[str, UUID | str, UUID, str]] = [("flow", flow_run.flow_id, flow_run.flow_id, flow)]
    if flow_run.deployment_id is not None and deployment is not None:
        known.append(("deployment", flow_run.deployment_id, flow_run.deployment_id, deployment))
    if flow_run.work_queue_id is not None and flow_run.work_queue_name is not None:
        known.append(("work-queue", flow_run.work_queue_id, flow_run.work_queue_id, flow_run.work_queue_name))
    if flow_run.work_pool_name is not None and work_pool is not None:
        known.append(("work-pool", flow_run.work_pool_name, work_pool, flow_run.work_pool_name))
    for kind, key, identity, name in known:
        entry = {"kind": kind, "object": SimpleNamespace(id=identity, name=name)}
        cache[f"{kind}.{key}"] = (entry, datetime.now(UTC))
