"""What changed in a call of an action: a step, an undo, a prerequisite, a look of `verify`, an input's choices."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from request_models.actions import EffectClass
from request_models.differences.fields import Words, changed_fields, condition
from request_models.differences.words import becomes, limit, same, say
from request_models.durations import say_duration
from request_models.plan import Call, Expression, MapOf, Node, Polling, Retry, Step, Undo

_ACTION = frozenset({"uses", "contract", "content_digest", "effect"})


def changed_call(
    was: Call, now: Call, words: Mapping[str, Words], apart: frozenset[str] = frozenset()
) -> Iterator[str]:
    """What changed in a call, a line each that goes on after its name. `words` are for the fields `Call` has not."""
    yield from _action(was, now)
    yield from changed_fields(was, now, {**_CALL_WORDS, **words}, apart | _ACTION)


def say_call(call: Call) -> str:
    """A call in short: its action, and what it gives it."""
    if not call.uses:
        return f"{call.expect.source if call.expect else 'nothing'} is looked at"
    return f"{call.uses} {say(call.arguments)}"


def say_undo(undo: Undo | None) -> str:
    """How a step is undone, going on after its name."""
    if undo is None:
        return "has nothing to undo"
    if undo.none is not None:
        return f"is never undone ({undo.none})"
    if undo.covered_by is not None:
        return f"is undone with `{undo.covered_by}`"
    calls = (f"{action.uses} {say(action.arguments)}" for action in undo.actions)
    return f"is undone by {', then '.join(calls)}"


def changed_undo(was: Step, now: Step) -> Iterator[str]:
    """What changed in how a step is undone. What the undo takes from its step is told of the step already."""
    old, new = _own_undo(was), _own_undo(now)
    if not same(old, new):
        yield from list(_changed_undo(old, new)) or [f"is undone otherwise: {becomes(old, new)}"]


def _changed_undo(old: Undo | None, new: Undo | None) -> Iterator[str]:
    if say_undo(old) != say_undo(new):
        yield f"{say_undo(new)}; before: it {say_undo(old)}"
    for before, after in zip(old.actions if old else (), new.actions if new else (), strict=False):
        if before.uses == after.uses:
            apart = frozenset({"arguments"}) if say_undo(old) != say_undo(new) else frozenset()
            for message in changed_call(before, after, {"when": _only_when}, apart):
                yield f"when it is undone, {after.uses} {message}"


def _own_undo(step: Step) -> Undo | None:
    if step.undo is None:
        return None
    actions = tuple(
        replace(
            action,
            hosts=None if same(action.hosts, step.hosts) else action.hosts,
            target={} if same(action.target, step.target) else action.target,
        )
        for action in step.undo.actions
    )
    return replace(step.undo, actions=actions)


def _action(was: Call, now: Call) -> Iterator[str]:
    if was.uses != now.uses:
        yield f"uses {now.uses or 'no action'}, no longer {was.uses or 'none'}"
        return
    if was.contract != now.contract:
        yield f"has another interface: contract {now.contract} of {now.uses}, no longer {was.contract}"
    elif was.content_digest != now.content_digest:
        yield f"runs another version of {now.uses}"
    if was.effect != now.effect:
        safe = "may be repeated" if now.effect is not EffectClass.NOT_REPEATABLE else "must not be repeated blindly"
        yield f"{safe}: {now.uses} is {now.effect}, no longer {was.effect}"


def _arguments(was: MapOf, now: MapOf) -> Iterator[str]:
    yield from _members("gives", was.members, now.members)


def _members(verb: str, was: Mapping[str, Node], now: Mapping[str, Node]) -> Iterator[str]:
    for name, node in now.items():
        if name not in was:
            yield f"{verb} `{name}`: {say(node)}"
        elif not same(was[name], node):
            yield f"{verb} `{name}`: {becomes(was[name], node)}"
    for name in was:
        if name not in now:
            yield f"no longer {verb} `{name}`"


def _target(was: Mapping[str, Node], now: Mapping[str, Node]) -> Iterator[str]:
    yield f"acts on {becomes(MapOf(was), MapOf(now), 'no longer on')}"


def _hosts(was: Node | None, now: Node | None) -> Iterator[str]:
    if was is None or now is None:
        yield "runs on no hosts of its own now" if now is None else f"runs on {say(now)} now"
    else:
        yield f"runs on {becomes(was, now, 'no longer on')}"


def _otherwise(was: Node | None, now: Node | None) -> Iterator[str]:
    yield f"says otherwise: {say(now)}" if was is None or now is None else f"says otherwise: {becomes(was, now)}"


def _retry(was: Retry, now: Retry) -> Iterator[str]:
    yield f"is tried {_tries(now)}; before: {_tries(was)}"


def _tries(retry: Retry) -> str:
    if retry.attempts == 1 and retry == Retry():
        return "once"
    growth = f", growing by {retry.factor:g}" if retry.factor != 1 else ""
    errors = ", ".join(str(error) for error in retry.errors) or "no"
    times = f"{retry.attempts} time{'s' if retry.attempts > 1 else ''}"
    return f"{times}, {say_duration(retry.delay_seconds)} apart{growth}, on {errors} errors"


def _polling(was: Polling | None, now: Polling | None) -> Iterator[str]:
    if now is None or was is None:
        yield "looks only once now" if now is None else f"is looked at {say_polling(now)} now"
        return
    yield from changed_fields(was, now, _POLLING_WORDS, frozenset())


def say_polling(polling: Polling) -> str:
    """Until what, how often and how long."""
    often = f"every {say_duration(polling.every_seconds)}, at most {say_duration(polling.within_seconds)}"
    return f"until {polling.until.source}, {often}"


def _outlived(was: tuple[str, ...], now: tuple[str, ...]) -> Iterator[str]:
    if set(was) == set(now):
        yield "names the errors it outlives in another order"
    for error in now:
        if error not in was:
            yield f"goes on looking after {error}"
    for error in was:
        if error not in now:
            yield f"fails on {error}, and no longer looks on"


def _timeout(was: float | None, now: float | None) -> Iterator[str]:
    default = "the settings' default time"
    yield f"may take {limit(now, default)}, no longer {limit(was, default)}"


def _secret_results(was: tuple[str, ...], now: tuple[str, ...]) -> Iterator[str]:
    yield f"keeps other parts of its result secret: {', '.join(now) or 'none'}, no longer {', '.join(was) or 'none'}"


def _only_when(was: Expression | None, now: Expression | None) -> Iterator[str]:
    yield from condition("runs only when", was, now)


_CALL_WORDS: Mapping[str, Words] = {
    "arguments": _arguments,
    "target": _target,
    "hosts": _hosts,
    "expect": lambda was, now: condition("expects", was, now),
    "otherwise": _otherwise,
    "retry": _retry,
    "polling": _polling,
    "timeout_seconds": _timeout,
    "secret_results": _secret_results,
}
_POLLING_WORDS: Mapping[str, Words] = {
    "until": lambda was, now: condition("looks until", was, now),
    "every_seconds": lambda was, now: iter([f"looks every {say_duration(now)}, no longer every {say_duration(was)}"]),
    "within_seconds": lambda was, now: iter([f"looks at most {say_duration(now)}, no longer {say_duration(was)}"]),
    "not_yet": _outlived,
    "fails": lambda was, now: condition("ends as failed when", was, now),
}
