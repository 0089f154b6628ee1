"""What happens to a request as Server-Sent Events (WHATWG HTML, section 9.2), until it has ended.

An event of the request bears its number as `id`, so that `Last-Event-ID` goes on from there. A step that changed is an
event without an id: it says how the step stands, and whoever comes back is told anew.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from flows.api.following_shapes import RequestEvent
from flows.api.shapes import StepShape
from flows.api.views import Views
from flows.errors import OrderlyError
from flows.records.records import Records, Transaction
from flows.records.rows import AuditEvent, RequestRow

HEARTBEAT_SECONDS = 15.0
"""Proxies and clients give up silent connections; most after 30 seconds or more."""

LONGEST_SECONDS = 3600.0
"""Then the client is to come back, by `Last-Event-ID`."""

_LOOK_EVERY = 0.5

Get = Callable[[Transaction], RequestRow]


@dataclass
class _Seen:
    after: int
    steps: dict[str, StepShape] = field(default_factory=dict)


async def event_stream(
    records: Records, get: Get, views: Views, after: int, still_allowed: Callable[[], bool]
) -> AsyncIterator[str]:
    """The events after one number. `get` reads the request if the caller may see it."""
    seen, started, spoke = _Seen(after), time.monotonic(), time.monotonic()
    yield "retry: 2000\n\n"
    while time.monotonic() - started < LONGEST_SECONDS:
        try:
            news, ended = await run_in_threadpool(lambda: records.read(lambda tx: _news(tx, get(tx), views, seen)))
        except OrderlyError:
            return  # what may not be seen any more does not exist
        for line in news:
            yield line
        if ended:
            yield "event: end\ndata: {}\n\n"
            return
        if news:
            spoke = time.monotonic()
        elif time.monotonic() - spoke >= HEARTBEAT_SECONDS:
            if not await run_in_threadpool(still_allowed):
                return
            yield ": still here\n\n"
            spoke = time.monotonic()
        await asyncio.sleep(_LOOK_EVERY)


def _news(tx: Transaction, request: RequestRow, views: Views, seen: _Seen) -> tuple[list[str], bool]:
    """What is new, and whether the request has ended."""
    events = [event_shape(one) for one in tx.audit.of(request.id) if one.sequence > seen.after]
    lines = [_message(one.event, one, one.id) for one in events]
    if events:
        seen.after = events[-1].id
    plan = tx.plans.get(request.plan_digest)
    for step in views.steps(plan.steps, tx.steps.all(request.id), tx.steps.attempts(request.id)):
        if step.attempts or step.started:
            if seen.steps.get(step.path) != step:
                lines.append(_message("step", step))
            seen.steps[step.path] = step
    return lines, request.state.ended


def event_shape(event: AuditEvent) -> RequestEvent:
    """An event as it is shown to whoever follows the request."""
    return RequestEvent(
        id=event.sequence,
        at=event.at,
        event=event.event,
        from_state=event.from_state,
        to_state=event.to_state,
        why=event.why or "",
    )


def _message(name: str, shape: BaseModel, number: int | None = None) -> str:
    # JSON has no line breaks of its own, so one `data` line holds it.
    return (f"id: {number}\n" if number is not None else "") + f"event: {name}\ndata: {shape.model_dump_json()}\n\n"
