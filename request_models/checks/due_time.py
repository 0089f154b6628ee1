"""The timeouts of all steps, and the retries of each, can fit within what is due."""

from collections.abc import Iterable, Iterator

from request_models.durations import parse_duration, say_duration
from request_models.findings import Finding
from request_models.resolved import Resolved, ResolvedBlock, ResolvedCall, ResolvedGroup, ResolvedParallel, ResolvedStep
from request_models.step_documents import CallDocument, PollingDocument


def check(resolved: Resolved) -> Iterator[Finding]:
    """`due-too-short`: all steps once, or one step with all its retries, take longer than the request may.

    That every step needs all its retries is not assumed, nor that a loop has more than one item; of branches, and of
    two ways that exclude each other, the longest counts. Steps without a timeout count with their pauses. Time in a
    state in which the clock stops does not count.
    """
    within = parse_duration(resolved.document.due.within).total_seconds()
    stops = resolved.document.due.stops_in
    once = _once(resolved.blocks, waits="waiting" not in stops) + sum(
        timeout_seconds(one.document) for one in resolved.verify
    )
    if once > within:
        message = f"the steps may take {say_duration(once)}, but the request is due within {say_duration(within)}"
        yield Finding(("due", "within"), "due-too-short", message, "shorten timeouts, or promise less")
    for call in resolved.calls:
        longest = longest_seconds(call.document)
        if longest > within:
            message = f"all attempts may take {say_duration(longest)}; the request is due within {say_duration(within)}"
            hint = "fewer attempts, shorter timeouts or pauses, or promise less"
            yield Finding((*call.path, "retry"), "due-too-short", message, hint, on_key=True)
    if "awaiting_approval" not in stops:
        yield from _approvals(resolved, within)


def _approvals(resolved: Resolved, within: float) -> Iterator[Finding]:
    for index, approval in enumerate(resolved.document.approvals):
        allowed = 0.0 if approval.within is None else parse_duration(approval.within).total_seconds()
        if allowed > within and approval.when is None:
            message = f"a decision may take {say_duration(allowed)}; the request is due within {say_duration(within)}"
            hint = "promise less, or let the clock stand still: `stops_in: [awaiting_approval]`"
            yield Finding(("approvals", index, "within"), "due-too-short", message, hint)


def _once(blocks: Iterable[ResolvedBlock], *, waits: bool) -> float:
    return sum(_block(block, waits=waits) for block in blocks)


def _block(block: ResolvedBlock, *, waits: bool) -> float:
    match block:
        case ResolvedStep():
            return _call(block, waits=waits)
        case ResolvedParallel():
            return max(_block(branch, waits=waits) for branch in block.branches)
        case ResolvedGroup():
            return max(_once(block.blocks, waits=waits), _once(block.alternative, waits=waits))


def _call(call: ResolvedCall, *, waits: bool) -> float:
    polls = isinstance(call.document, PollingDocument) and call.document.until is not None
    return 0.0 if polls and not waits else timeout_seconds(call.document)


def timeout_seconds(call: CallDocument) -> float:
    """How long one attempt may take, or polling altogether; 0 when nothing is said."""
    if isinstance(call, PollingDocument) and call.until is not None and call.within is not None:
        return parse_duration(call.within).total_seconds()
    return 0.0 if call.timeout is None else parse_duration(call.timeout).total_seconds()


def longest_seconds(call: CallDocument) -> float:
    """How long a call may take with all its attempts and the pauses between them."""
    delay = parse_duration(call.retry.delay).total_seconds()
    pauses = sum(delay * call.retry.factor**number for number in range(call.retry.attempts - 1))
    return timeout_seconds(call) * call.retry.attempts + pauses
