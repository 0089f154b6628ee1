"""What changed in what a service promises: who owns it, by when it is due, and the values it is computed with."""

from collections.abc import Iterator

from request_models.differences.changes import Area, Change
from request_models.differences.fields import moved
from request_models.differences.words import becomes, same, say
from request_models.durations import say_duration
from request_models.plan import Plan


def changed_owners(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in who is accountable, responsible, consulted and informed."""
    was, now = before.owners, after.owners
    if was.accountable != now.accountable:
        yield Change(Area.OWNERS, "", f"{now.accountable} is accountable instead of {was.accountable}")
    for role in ("responsible", "consulted", "informed"):
        old, new = getattr(was, role), getattr(now, role)
        yield from (Change(Area.OWNERS, "", f"{who} is {role} now") for who in sorted(set(new) - set(old)))
        yield from (Change(Area.OWNERS, "", f"{who} is no longer {role}") for who in sorted(set(old) - set(new)))
        if old != new and set(old) == set(new):
            yield Change(Area.OWNERS, "", f"who is {role} is listed in another order")


def changed_due(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in by when it is due."""
    was, now = before.due, after.due
    if was.within_seconds != now.within_seconds:
        sooner = "sooner" if now.within_seconds < was.within_seconds else "later"
        lengths = f"within {say_duration(now.within_seconds)}, no longer {say_duration(was.within_seconds)}"
        yield Change(Area.DUE, "", f"due {sooner}: {lengths}")
    if was.calendar != now.calendar:
        yield Change(Area.DUE, "", f"counted by the calendar {now.calendar}, no longer {was.calendar}")
    for state in sorted(set(now.stops_in) - set(was.stops_in)):
        yield Change(Area.DUE, "", f"the clock stops in {state} now")
    for state in sorted(set(was.stops_in) - set(now.stops_in)):
        yield Change(Area.DUE, "", f"the clock no longer stops in {state}")
    if was.stops_in != now.stops_in and set(was.stops_in) == set(now.stops_in):
        yield Change(Area.DUE, "", "the states in which the clock stops are listed in another order")


def changed_values(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in what is computed when a request is accepted."""
    was, now = ({one.name: one.value for one in plan.values} for plan in (before, after))
    for name, value in now.items():
        if name not in was:
            yield Change(Area.VALUES, name, f"`{name}` is new: {say(value)}")
        elif not same(was[name], value):
            yield Change(Area.VALUES, name, f"`{name}` is {becomes(was[name], value)}")
    yield from (Change(Area.VALUES, name, f"`{name}` is gone") for name in was if name not in now)
    for name in sorted(moved([name for name in was if name in now], [name for name in now if name in was])):
        yield Change(Area.VALUES, name, f"`{name}` is computed in another place")
