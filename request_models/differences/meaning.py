"""What the changes of a model mean: for requests accepted before, for new orders, and for who reads their outputs."""

from collections.abc import Iterator, Sequence

from request_models.differences.changes import Area, Change
from request_models.differences.words import names, same
from request_models.plan import Plan

_KEPT = "Requests in flight keep the plan they were accepted with: its steps, runbooks, outputs and due time."
_NOT_MENDED = "A retry of theirs does not take up what is mended here."
_UNTOUCHED = frozenset({Area.TRIGGERS, Area.TEXTS})
"""What no request in flight has anything to do with."""


def for_requests_in_flight(before: Plan, after: Plan, changes: Sequence[Change]) -> tuple[str, ...]:
    """What the changes mean for requests that were accepted with the plan before, a sentence each."""
    if before.digest == after.digest:
        return ("Requests in flight: the plan is the same.",)
    return (_KEPT, _NOT_MENDED, *_in_flight(before, after, {change.area for change in changes}))


def _in_flight(before: Plan, after: Plan, areas: set[Area]) -> Iterator[str]:
    if Area.APPROVALS in areas:
        if before.approvals:
            yield "Those that wait for an approval go on waiting for it as it was asked: who, how many, how long."
        else:
            yield "Those that run are not stopped for an approval that is new."
    if Area.LOCKS in areas:
        yield (
            "They lock what they locked before: as long as some are under way, an old and a new request may not see "
            "each other's locks."
        )
    if Area.LEASE in areas:
        yield "What was granted before keeps the lease it was granted with" + (
            ", or none." if before.lease is None else "."
        )
    if Area.CALENDARS in areas:
        yield "Their clocks go on by the calendars as they were."
    if not same(before.on_failure, after.on_failure):
        yield "What a failure of theirs does stays as it was."


def for_new_orders(before: Plan, after: Plan, changes: Sequence[Change]) -> tuple[str, ...]:
    """What the changes mean for orders from now on, and for who reads what they give, a sentence each."""
    refusing = list(dict.fromkeys(f"`{change.name}`" for change in changes if change.refuses))
    if refusing:
        first = f"New orders: one that was valid before may be refused now, because of {', '.join(refusing)}."
    else:
        first = "New orders: every order that was valid before is valid now."
    return (first, *_new_orders(before, after, changes))


def _new_orders(before: Plan, after: Plan, changes: Sequence[Change]) -> Iterator[str]:
    delaying = dict.fromkeys(_WAITED_FOR[change.area] for change in changes if change.delays)
    if delaying:
        yield f"They may wait longer than before: for {', for '.join(delaying)}."
    sources = dict.fromkeys(change.name for change in changes if change.area is Area.TRIGGERS and change.name)
    if sources:
        yield f"Events of {names(sources)} are judged by the new triggers as soon as this version is published."
    kept = {output.name: output for output in after.outputs}
    gone = [f"`{output.name}`" for output in before.outputs if output.name not in kept]
    if gone:
        yield f"Whoever reads the outputs of requests finds no {' and no '.join(gone)} in new ones."
    once = [one.name for one in before.outputs if one.name in kept and kept[one.name].once and not one.once]
    if once:
        yield f"Whoever reads {names(once)} a second time finds it erased."
    others = [one.name for one in before.outputs if one.name in kept and one.to != kept[one.name].to]
    if others:
        yield f"Other people than before may read {names(others)}."


_WAITED_FOR = {
    Area.PREREQUISITES: "what is looked at first",
    Area.APPROVALS: "an approval",
    Area.STARTS: "the time at which they may start",
    Area.LOCKS: "a lock",
}
