"""What changed before the first step: who may order, what is looked at, who approves, when it starts, what it locks."""

from collections.abc import Iterator, Mapping, Sequence

from request_models.differences.calls import changed_call, say_call
from request_models.differences.changes import Area, Change
from request_models.differences.fields import Words, changed_fields, condition, moved, paired
from request_models.differences.inputs import inputs_changed
from request_models.differences.words import becomes, limit, names, nodes, same, say
from request_models.json_values import JsonValue
from request_models.plan import Choices, Eligible, Expression, InputRule, Node, Plan, Read, Starts

_ID = frozenset({"id"})
_NOTHING = frozenset[str]()


def changed_suppliers(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in third parties and what they agreed to."""
    was, now = ({one.name: one for one in plan.suppliers} for plan in (before, after))
    for name, supplier in now.items():
        if name not in was:
            part = f", for {names(supplier.steps)}" if supplier.steps else ""
            yield Change(Area.SUPPLIERS, name, f"`{name}` is new: {supplier.agreement}{part}")
        else:
            for message in changed_fields(was[name], supplier, _SUPPLIER_WORDS, frozenset({"name"})):
                yield Change(Area.SUPPLIERS, name, f"`{name}` {message}")
    yield from (Change(Area.SUPPLIERS, name, f"`{name}` is gone") for name in was if name not in now)
    yield from _reordered(Area.SUPPLIERS, list(was), list(now), "is listed in another place: it means nothing")


def changed_eligible(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in who may order, and for whom."""
    was, now = before.eligible or Eligible(), after.eligible or Eligible()
    for field, who in (("requester", "who may order"), ("user", "for whom it may be ordered")):
        yield from _who(who, getattr(was, field), getattr(now, field))
    if not same(was.otherwise, now.otherwise):
        yield Change(Area.ELIGIBLE, "", f"who may not is told: {becomes(was.otherwise, now.otherwise)}")
    if (before.eligible is None) != (after.eligible is None) and same(was, now):
        yield Change(Area.ELIGIBLE, "", "who may order is written otherwise, and means the same: everybody")


def _who(who: str, was: Expression | None, now: Expression | None) -> Iterator[Change]:
    if same(was, now):
        return
    if was is None:
        yield Change(Area.ELIGIBLE, who, f"{who} is limited now: {say(now)}", refuses=True)
    elif now is None:
        yield Change(Area.ELIGIBLE, who, f"{who} is no longer limited to {say(was)}")
    else:
        yield Change(Area.ELIGIBLE, who, f"{who} changed: {becomes(was, now)}", refuses=was.source != now.source)


def changed_prerequisites(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in what is looked at before a request may go on."""
    was, now = ({one.path: one for one in plan.prerequisites} for plan in (before, after))
    for path, read in now.items():
        name = path.removeprefix("prerequisites.")
        if path not in was:
            expects = f", and expects {read.expect.source}" if read.uses and read.expect else ""
            message = f"`{name}` is new: {say_call(read)}{expects}"
            yield Change(Area.PREREQUISITES, name, message, refuses=True, delays=bool(read.uses))
            continue
        refuses = not _as_lenient(was[path], read)
        for message in changed_call(was[path], read, {}, frozenset({"path"})):
            yield Change(Area.PREREQUISITES, name, f"`{name}` {message}", refuses)
    for path in was:
        if path not in now:
            name = path.removeprefix("prerequisites.")
            yield Change(Area.PREREQUISITES, name, f"`{name}` is gone: it is no longer looked at")
    bare = [[path.removeprefix("prerequisites.") for path in paths] for paths in (was, now)]
    yield from _reordered(Area.PREREQUISITES, bare[0], bare[1], "is looked at in another order")


def _as_lenient(was: Read, now: Read) -> bool:
    """Whether what passed before passes now: the same is looked at, and nothing more is expected of it."""
    asked = ("uses", "contract", "arguments", "target", "hosts", "polling")
    if not all(same(getattr(was, field), getattr(now, field)) for field in asked):
        return False
    return now.expect is None or same(was.expect, now.expect)


def changed_inputs(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in the inputs' schemas. Titles are texts."""
    for name, message, refuses in inputs_changed(_untitled(before), _untitled(after)):
        yield Change(Area.INPUTS, name, message, refuses)


def _untitled(plan: Plan) -> Mapping[str, JsonValue]:
    inputs = plan.without_texts()["inputs"]
    assert isinstance(inputs, dict), "the inputs of a plan are a JSON Schema of an object"
    return inputs


def changed_input_rules(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in when an input is asked, what it may be chosen from, and who sees it."""
    for name in dict.fromkeys([*after.input_rules, *before.input_rules]):
        was, now = before.input_rules.get(name, InputRule()), after.input_rules.get(name, InputRule())
        if (name in before.input_rules) != (name in after.input_rules) and same(was, now):
            yield Change(Area.INPUTS, name, f"the rule of `{name}` is written otherwise, and means the same: none")
        for message in changed_fields(was, now, _RULE_WORDS, _NOTHING):
            tells_who = same(was.when, now.when) and same(was.choices, now.choices)
            fewer_rules = now.when is None and now.choices is None
            yield Change(Area.INPUTS, name, f"`{name}` {message}", refuses=not (tells_who or fewer_rules))


def _choices(was: Choices | None, now: Choices | None) -> Iterator[str]:
    if was is None or now is None:
        yield f"must be one of what {say_call(now)} gives" if now else "may be anything now: no choices are read"
        return
    selected = {"select": lambda old, new: condition("takes its choices from", old, new)}
    yield from (f"has other choices: it {message}" for message in changed_call(was, now, selected))


def changed_approvals(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in who decides. One that is new, or that more requests need, makes new orders wait."""
    was, now = ({one.id: one for one in plan.approvals} for plan in (before, after))
    for name, approval in now.items():
        if name not in was:
            when = f", when {approval.when.source}" if approval.when else ""
            before_what = f", before `{approval.before}`" if approval.before else ""
            message = f"`{name}` is new: {approval.quorum} of {nodes(approval.by)} must approve{when}{before_what}"
            yield Change(Area.APPROVALS, name, message, delays=True)
            continue
        more = was[name].when is not None and not same(was[name].when, approval.when)
        for message in changed_fields(was[name], approval, _APPROVAL_WORDS, _ID):
            yield Change(Area.APPROVALS, name, f"`{name}` {message}", delays=more or approval.quorum > was[name].quorum)
    yield from (Change(Area.APPROVALS, name, f"`{name}` is gone: nobody is asked") for name in was if name not in now)
    yield from _reordered(Area.APPROVALS, list(was), list(now), "is asked in another order")


def changed_starts(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in when a request may start."""
    was, now = before.starts or Starts(), after.starts or Starts()
    for message in changed_fields(was, now, _STARTS_WORDS, _NOTHING):
        waits = (now.at is not None and not same(was.at, now.at)) or (now.window not in {None, was.window})
        yield Change(Area.STARTS, "", f"a request {message}", delays=waits)
    if (before.starts is None) != (after.starts is None) and same(was, now):
        yield Change(Area.STARTS, "", "when a request starts is written otherwise, and means the same: at once")


def _at(was: Node | None, now: Node | None) -> Iterator[str]:
    if was is None or now is None:
        yield f"no longer waits for a time ({say(was)})" if now is None else f"starts not before {say(now)}"
    else:
        yield f"starts not before {becomes(was, now)}"


def _window(was: str | None, now: str | None) -> Iterator[str]:
    if now is None:
        yield f"starts at any hour, no longer only in the hours of {was}"
    else:
        yield f"starts only in the hours of {now}{f', no longer those of {was}' if was else ''}"


def changed_locks(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in what only one request at a time may work on."""
    gone, come = [], []
    for old, new in paired(before.locks, after.locks, say):
        if old is not None and new is not None and not same(old, new):
            yield Change(Area.LOCKS, "", f"the lock {becomes(old, new)}")
        gone += [f"{say(old)} is no longer locked: two requests may work on it at once"] if new is None else []
        come += [f"{say(new)} is locked: one request at a time"] if old is None else []
    yield from (Change(Area.LOCKS, "", message, delays=True) for message in come)
    yield from (Change(Area.LOCKS, "", message) for message in gone)
    orders = [[say(lock) for lock in plan.locks] for plan in (before, after)]
    if orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]):
        yield Change(Area.LOCKS, "", "the locks are listed in another order: they are taken in sorted order as before")


def _reordered(area: Area, before: Sequence[str], after: Sequence[str], phrase: str) -> Iterator[Change]:
    kept = [name for name in before if name in after]
    for name in sorted(moved(kept, [name for name in after if name in before])):
        yield Change(area, name, f"`{name}` {phrase}")


def _one(phrase: str) -> Words:
    return lambda was, now: iter([f"{phrase} {becomes(was, now)}"])


def _people(phrase: str) -> Words:
    """Who decides: the names as they are written, and what changed in how they are read if they stayed."""

    def told(was: tuple[Node, ...], now: tuple[Node, ...]) -> Iterator[str]:
        old, new = nodes(was) or "nobody", nodes(now) or "nobody"
        if old != new:
            yield f"{phrase} {new}, no longer {old}"

    return told


def _steps(was: tuple[str, ...], now: tuple[str, ...]) -> Iterator[str]:
    if names(was) != names(now):
        yield f"does {names(now) or 'no steps'}, no longer {names(was) or 'none'}"


_SUPPLIER_WORDS: Mapping[str, Words] = {
    "agreement": lambda was, now: iter([f"works by the agreement {now}, no longer {was}"]),
    "within_seconds": lambda was, now: iter([f"has agreed to {limit(now)}, no longer {limit(was)}"]),
    "allowance": lambda was, now: iter([f"may be late in {now:.4%} of its work, no longer {was:.4%}"]),
    "steps": _steps,
}
_RULE_WORDS: Mapping[str, Words] = {
    "when": lambda was, now: condition("is asked only when", was, now),
    "optional": lambda _, now: iter(
        ["may be left out though it is asked" if now else "must be given when it is asked"]
    ),
    "choices": _choices,
    "shown_to": lambda was, now: iter([f"is shown to {now or 'everybody'}, no longer to {was or 'everybody'}"]),
}
_APPROVAL_WORDS: Mapping[str, Words] = {
    "by": _people("is decided by"),
    "when": lambda was, now: condition("is asked only when", was, now),
    "quorum": lambda was, now: iter([f"needs {now} to agree, no longer {was}"]),
    "in_turn": lambda was, now: iter([f"asks {'one after the other' if now else 'all at once'} now"]),
    "within_seconds": lambda was, now: iter([f"waits {limit(now)}, no longer {limit(was)}"]),
    "remind_seconds": lambda was, now: iter(
        [f"reminds after {limit(now)}{f', no longer {limit(was)}' if was is not None else ''}"]
        if now is not None
        else ["no longer reminds"]
    ),
    "escalate": _people("goes on to"),
    "if_silent": lambda was, now: iter([f"means {now} when nobody decides, no longer {was}"]),
    "before": lambda was, now: iter(
        [f"is asked before {f'`{now}`' if now else 'the start'}, no longer before {f'`{was}`' if was else 'the start'}"]
    ),
    "message": _one("tells who decides:"),
}
_STARTS_WORDS: Mapping[str, Words] = {"at": _at, "window": _window}
