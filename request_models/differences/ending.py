"""What changed after the last step: what is verified, given, told and asked, what orders by itself, and what ends."""

from collections.abc import Iterator, Mapping, Sequence

from request_models.differences.calls import changed_call, say_call
from request_models.differences.changes import Area, Change
from request_models.differences.fields import Words, changed_fields, condition, moved, paired
from request_models.differences.words import becomes, limit, nodes, same, say
from request_models.json_values import JsonValue
from request_models.plan import Lease, MapOf, Node, Notice, Plan, Read, Trigger


def changed_verify(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in the looks at what was made. They have no names, only places."""
    was, now = ([_placeless(one) for one in plan.verify] for plan in (before, after))
    for old, new in paired(was, now, _uses):
        if old is None and new is not None:
            expects = f", and expects {new.expect.source}" if new.uses and new.expect else ""
            yield Change(Area.VERIFY, new.uses, f"a look is new: {say_call(new)}{expects}")
        elif new is None and old is not None:
            yield Change(Area.VERIFY, old.uses, f"a look is gone: {say_call(old)}")
        elif old is not None and new is not None:
            for message in changed_call(old, new, {}):
                yield Change(Area.VERIFY, new.uses, f"the look {new.uses} {message}")
    if _only_reordered(was, now):
        yield Change(Area.VERIFY, "", "the looks stand in another order")


def _placeless(read: Read) -> Read:
    return Read(**{name: value for name, value in vars(read).items() if name != "path"})


def _uses(read: Read) -> str:
    return read.uses


def changed_outputs(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in what the user gets at the end."""
    was, now = ({output.name: output for output in plan.outputs} for plan in (before, after))
    for name, output in now.items():
        old = was.get(name)
        if old is None:
            told = f"{', secret' if output.secret else ''}{', read once' if output.once else ''}"
            yield Change(Area.OUTPUTS, name, f"`{name}` is new{told}")
        else:
            for message in changed_fields(old, output, _OUTPUT_WORDS, frozenset({"name", "title"})):
                yield Change(Area.OUTPUTS, name, f"`{name}` {message}")
    yield from (Change(Area.OUTPUTS, name, f"`{name}` is gone") for name in was if name not in now)
    for name in sorted(moved([name for name in was if name in now], [name for name in now if name in was])):
        yield Change(Area.OUTPUTS, name, f"`{name}` is shown in another place")


def _url(was: Node | None, now: Node | None) -> Iterator[str]:
    if now is None:
        yield f"no longer links to {say(was)}"
    else:
        yield f"links to {say(now) if was is None else becomes(was, now)}"


def changed_notices(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in who is told what, and when."""
    for old, new in paired(before.notify, after.notify, _said_when):
        if old is None and new is not None:
            yield Change(Area.NOTIFY, "", f"{nodes(new.to)} are told when it is {_said_when(new)}: {say(new.text)}")
        elif new is None and old is not None:
            yield Change(Area.NOTIFY, "", f"{nodes(old.to)} are no longer told when it is {_said_when(old)}")
        elif old is not None and new is not None:
            for message in changed_fields(old, new, _NOTICE_WORDS, frozenset({"states"})):
                yield Change(Area.NOTIFY, "", f"when it is {_said_when(new)}, {message}")
    if _only_reordered(before.notify, after.notify):
        yield Change(Area.NOTIFY, "", "the notices are written in another order")


def _only_reordered(was: Sequence[object], now: Sequence[object]) -> bool:
    return sorted(map(repr, was)) == sorted(map(repr, now)) and not same(was, now)


def _said_when(notice: Notice) -> str:
    return ", ".join(notice.states)


def _told_to(was: tuple[Node, ...], now: tuple[Node, ...]) -> Iterator[str]:
    if nodes(was) != nodes(now):
        yield f"{nodes(now) or 'nobody'} are told, no longer {nodes(was) or 'nobody'}"


def changed_questions(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in what is asked at the end; how it is asked is a text."""
    was, now = ([question.id for question in plan.questions] for plan in (before, after))
    yield from (Change(Area.FEEDBACK, name, f"`{name}` is asked now") for name in now if name not in was)
    yield from (Change(Area.FEEDBACK, name, f"`{name}` is no longer asked") for name in was if name not in now)
    for name in sorted(moved([name for name in was if name in now], [name for name in now if name in was])):
        yield Change(Area.FEEDBACK, name, f"`{name}` is asked in another place")


def changed_triggers(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in what orders this model by itself."""
    for old, new in paired(before.triggers, after.triggers, lambda one: one.source):
        if old is None and new is not None:
            message = f"events of {new.source} order it as {new.requester}{_only(new)}"
            yield Change(Area.TRIGGERS, new.source, message)
        elif new is None and old is not None:
            yield Change(Area.TRIGGERS, old.source, f"events of {old.source} no longer order it{_only(old)}")
        elif old is not None and new is not None:
            for message in changed_fields(old, new, _TRIGGER_WORDS, frozenset({"source"})):
                yield Change(Area.TRIGGERS, new.source, f"events of {new.source} {message}")
    if _only_reordered(before.triggers, after.triggers):
        yield Change(Area.TRIGGERS, "", "the triggers are written in another order")


def _only(trigger: Trigger) -> str:
    return f" when {trigger.when.source}" if trigger.when else ""


def _given(verb: str) -> Words:
    def told(was: MapOf, now: MapOf) -> Iterator[str]:
        for name in dict.fromkeys([*now.members, *was.members]):
            old, new = was.members.get(name), now.members.get(name)
            if new is None:
                yield f"no longer {verb} `{name}`"
            elif not same(old, new):
                yield f"{verb} `{name}`: {say(new) if old is None else becomes(old, new)}"

    return told


def changed_lease(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in how long what was granted lasts, and what takes it back."""
    was, now = before.lease, after.lease
    if was is None and now is not None:
        yield Change(Area.LEASE, "", f"what is granted ends now, {_lasts(now)}: then {now.model} is ordered")
    elif was is not None and now is None:
        yield Change(Area.LEASE, "", f"what is granted no longer ends {_lasts(was)}")
    elif was is not None and now is not None:
        for message in changed_fields(was, now, _LEASE_WORDS, frozenset()):
            yield Change(Area.LEASE, "", f"what is granted {message}")


def _lasts(lease: Lease) -> str:
    return f"at {say(lease.ends)}" if lease.lasts_seconds is None else f"after {limit(lease.lasts_seconds)}"


def changed_calendars(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in the calendars that were read when it was compiled."""
    was: Mapping[str, JsonValue] = before.calendars
    now: Mapping[str, JsonValue] = after.calendars
    for name, calendar in now.items():
        if name not in was:
            yield Change(Area.CALENDARS, name, f"`{name}` is read now")
        elif not same(was[name], calendar):
            yield Change(Area.CALENDARS, name, f"`{name}` has other hours or holidays: {becomes(was[name], calendar)}")
    yield from (Change(Area.CALENDARS, name, f"`{name}` is no longer read") for name in was if name not in now)


_OUTPUT_WORDS: Mapping[str, Words] = {
    "value": lambda was, now: iter([f"is {becomes(was, now)}"]),
    "url": _url,
    "secret": lambda was, now: iter([f"is {'secret now' if now else 'no longer secret'}"]),
    "once": lambda was, now: iter([f"can be read {'only once, then it is erased' if now else 'more than once now'}"]),
    "to": lambda was, now: iter([f"is for {now or 'requester and user'}, no longer for {was or 'requester and user'}"]),
}
_NOTICE_WORDS: Mapping[str, Words] = {
    "to": _told_to,
    "text": lambda was, now: iter([f"it says: {becomes(was, now)}"]),
    "subject": lambda was, now: iter([f"its subject is: {becomes(was, now)}"]),
}
_TRIGGER_WORDS: Mapping[str, Words] = {
    "requester": lambda was, now: iter([f"order it as {now}, no longer as {was}"]),
    "inputs": _given("give it"),
    "when": lambda was, now: condition("order it only when", was, now),
}
_LEASE_WORDS: Mapping[str, Words] = {
    "model": lambda was, now: iter([f"is taken back by ordering {now}, no longer {was}"]),
    "inputs": _given("is taken back by an order that gives"),
    "lasts_seconds": lambda was, now: iter([f"lasts {limit(now)}, no longer {limit(was)}"]),
    "ends": lambda was, now: iter([f"ends at {becomes(was, now)}"]),
}
