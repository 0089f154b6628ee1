"""What changed between two versions of a model, in the practice's words, and what it means for orders and requests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum
from functools import cached_property

from request_models.actions import EffectClass
from request_models.durations import say_duration
from request_models.input_difference import inputs_changed
from request_models.json_values import JsonValue, canonical_json
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Plan, Retry, Step, Text, Undo


class Area(StrEnum):
    """What part of a model a change is in."""

    MODEL = "model"
    OWNERS = "owners"
    DUE = "due"
    INPUTS = "inputs"
    VALUES = "values"
    STEPS = "steps"
    UNDO = "undo"
    OUTPUTS = "outputs"
    TEXTS = "texts"


@dataclass(frozen=True)
class Change:
    """One change. `name` is the input, step, value or output it concerns, empty for the model's own keys.

    `refuses` says that an order which was valid before may be refused now, because of this change.
    """

    area: Area
    name: str
    message: str
    refuses: bool = False

    def to_json(self) -> dict[str, JsonValue]:
        """The change for tools."""
        return {"area": str(self.area), "name": self.name, "message": self.message, "refuses": self.refuses}


@dataclass(frozen=True)
class Difference:
    """All changes from one plan to another, in the order of a model's keys."""

    before: Plan
    after: Plan
    changes: tuple[Change, ...]

    @cached_property
    def same_plan(self) -> bool:
        """Whether both do the same: texts may still differ."""
        return self.before.digest == self.after.digest

    @property
    def in_flight(self) -> tuple[str, ...]:
        """What the changes mean for requests that were accepted with the plan before, a sentence each."""
        if self.same_plan:
            return ("Requests in flight: the plan is the same.",)
        kept = "Requests in flight keep the plan they were accepted with: its steps, runbooks, outputs and due time."
        fix = "A retry of theirs does not take up what is mended here."
        return (kept, fix)

    @property
    def new_orders(self) -> tuple[str, ...]:
        """What the changes mean for orders from now on, a sentence each."""
        refusing = list(dict.fromkeys(f"`{change.name}`" for change in self.changes if change.refuses))
        said = []
        if refusing:
            said.append(f"New orders: one that was valid before may be refused now, because of {', '.join(refusing)}.")
        else:
            said.append("New orders: every order that was valid before is valid now.")
        kept = {output.name for output in self.after.outputs}
        gone = [f"`{output.name}`" for output in self.before.outputs if output.name not in kept]
        if gone:
            said.append(f"Whoever reads the outputs of requests finds no {' and no '.join(gone)} in new ones.")
        return tuple(said)

    def to_json(self) -> dict[str, JsonValue]:
        """The difference for tools."""
        return {
            "before": {"model": self.before.model, "digest": self.before.digest},
            "after": {"model": self.after.model, "digest": self.after.digest},
            "same_plan": self.same_plan,
            "changes": [change.to_json() for change in self.changes],
            "may_refuse": any(change.refuses for change in self.changes),
            "in_flight": list(self.in_flight),
            "new_orders": list(self.new_orders),
        }


def difference(before: Plan, after: Plan) -> Difference:
    """Compare two plans: two versions of one model, as a rule."""
    changes = (
        *_model(before, after),
        *_owners(before, after),
        *_due(before, after),
        *_inputs(before, after),
        *_values(before, after),
        *_steps(before, after),
        *_outputs(before, after),
        *_texts(before, after),
    )
    return Difference(before, after, changes)


def render_difference(found: Difference) -> str:
    """The difference for people: what changed, by area, then what it means."""
    lines = []
    for area in Area:
        changes = [change for change in found.changes if change.area is area]
        if changes:
            lines += [f"{area}:", *(f"  {'!' if change.refuses else '-'} {change.message}" for change in changes)]
    lines += [] if lines else ["Nothing changed."]
    return "\n".join([*lines, "", *found.in_flight, *found.new_orders]) + "\n"


def say_node(node: Node | None) -> str:
    """What a model says there, shortened: templates as they are written, everything else as JSON."""
    match node:
        case None:
            return "nothing"
        case Literal(value=value):
            text = canonical_json(value).decode()
        case _:
            written = _written(node)
            text = written if isinstance(written, str) else canonical_json(written).decode()
    return text if len(text) <= 100 else f"{text[:99]}…"


def _differ(was: Node | None, now: Node | None) -> bool:
    """Whether a model says something else there. What became secret by it is said where the secret is."""
    if was is None or now is None:
        return was is not now
    return type(was) is not type(now) or canonical_json(_written(was)) != canonical_json(_written(now))


def _written(node: Node) -> JsonValue:
    match node:
        case Literal(value=value):
            return value
        case Expression(source=source):
            return f"{{{{ {source} }}}}"
        case Text(source=source):
            return source
        case ListOf(items=items):
            return [_written(item) for item in items]
        case MapOf(members=members):
            return {key: _written(member) for key, member in members.items()}


def _model(before: Plan, after: Plan) -> Iterator[Change]:
    if before.model != after.model:
        yield Change(Area.MODEL, "", f"these are two models: {before.model} and {after.model}", refuses=False)
    if before.kind != after.kind:
        yield Change(Area.MODEL, "", f"its kind is {after.kind}, no longer {before.kind}")
    if before.service != after.service:
        yield Change(Area.MODEL, "", f"it belongs to the service {after.service}, no longer to {before.service}")


def _owners(before: Plan, after: Plan) -> Iterator[Change]:
    was, now = before.owners, after.owners
    if was.accountable != now.accountable:
        message = f"{now.accountable} is accountable instead of {was.accountable}"
        yield Change(Area.OWNERS, "", message)
    for role in ("responsible", "consulted", "informed"):
        old, new = set(getattr(was, role)), set(getattr(now, role))
        for who in sorted(new - old):
            yield Change(Area.OWNERS, "", f"{who} is {role} now")
        for who in sorted(old - new):
            yield Change(Area.OWNERS, "", f"{who} is no longer {role}")


def _due(before: Plan, after: Plan) -> Iterator[Change]:
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


def _inputs(before: Plan, after: Plan) -> Iterator[Change]:
    for name, message, refuses in inputs_changed(before.inputs, after.inputs):
        yield Change(Area.INPUTS, name, message, refuses)


def _values(before: Plan, after: Plan) -> Iterator[Change]:
    was = {one.name: one.value for one in before.values}
    now = {one.name: one.value for one in after.values}
    for name, value in now.items():
        if name not in was:
            yield Change(Area.VALUES, name, f"`{name}` is new: {say_node(value)}")
        elif _differ(was[name], value):
            message = f"`{name}` is {say_node(value)}, no longer {say_node(was[name])}"
            yield Change(Area.VALUES, name, message)
    for name in was:
        if name not in now:
            yield Change(Area.VALUES, name, f"`{name}` is gone")


def _steps(before: Plan, after: Plan) -> Iterator[Change]:
    was = {step.path: step for step in before.steps}
    now = {step.path: step for step in after.steps}
    renamed = _renamed(was, now)
    before_order = [renamed.get(path, path) for path in was if path in now or path in renamed]
    moved = _moved(before_order, [path for path in now if path in before_order])
    for old, new in renamed.items():
        yield Change(Area.STEPS, new, f"`{old}` is called `{new}` now")
    for path, step in was.items():
        if path not in now and path not in renamed:
            yield Change(Area.STEPS, path, f"`{path}` is gone ({step.uses})")
    for path, step in now.items():
        if path in moved:
            yield Change(Area.STEPS, path, f"`{path}` runs {_place(path, list(now))} now")
        if path in was:
            yield from _step(was[path], step)
        elif path not in renamed.values():
            yield Change(Area.STEPS, path, f"`{path}` is new: {step.uses}, {_place(path, list(now))}")
            yield from _no_way_back(step)


def _renamed(was: Mapping[str, Step], now: Mapping[str, Step]) -> dict[str, str]:
    """Steps that do exactly what one of another name did, old names to new."""
    added = {path: _nameless(step) for path, step in now.items() if path not in was}
    found: dict[str, str] = {}
    for path, step in was.items():
        if path not in now:
            match = next((one for one, same in added.items() if same == _nameless(step)), None)
            if match is not None:
                found[path] = match
                del added[match]
    return found


def _nameless(step: Step) -> Step:
    return replace(step, path="", title={})


def _moved(before: list[str], after: list[str]) -> set[str]:
    """The fewest steps that must have moved to come from one order to the other, or nearly."""
    kept = {
        before[block.a + offset]
        for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        for offset in range(block.size)
    }
    return set(after) - kept


def _place(path: str, order: list[str]) -> str:
    index = order.index(path)
    return f"after `{order[index - 1]}`" if index else "first"


def _no_way_back(step: Step) -> Iterator[Change]:
    if step.undo is not None and step.undo.none is not None:
        yield Change(Area.UNDO, step.path, f"`{step.path}` is never undone: {step.undo.none}")


def _step(was: Step, now: Step) -> Iterator[Change]:
    for message in _step_messages(was, now):
        yield Change(Area.STEPS, now.path, f"`{now.path}` {message}")
    if _own_undo(was) != _own_undo(now):
        yield Change(Area.UNDO, now.path, f"`{now.path}` {_undo(was.undo, now.undo)}")


def _step_messages(was: Step, now: Step) -> Iterator[str]:
    if was.uses != now.uses:
        yield f"uses {now.uses}, no longer {was.uses}"
    else:
        yield from _action(was, now)
    yield from _arguments(was.arguments.members, now.arguments.members)
    yield from _condition("runs only when", was.when, now.when)
    yield from _condition("expects", was.expect, now.expect)
    if _differ(was.otherwise, now.otherwise):
        yield f"says otherwise: {say_node(now.otherwise)}"
    if _differ(was.hosts, now.hosts):
        yield f"runs on {say_node(now.hosts)}, no longer on {say_node(was.hosts)}"
    if _differ(MapOf(was.target), MapOf(now.target)):
        yield f"acts on {say_node(MapOf(now.target))}, no longer on {say_node(MapOf(was.target))}"
    if was.retry != now.retry:
        yield f"is tried {_tries(now.retry)}; before: {_tries(was.retry)}"
    if was.timeout_seconds != now.timeout_seconds:
        yield f"may take {_longest(now.timeout_seconds)}, no longer {_longest(was.timeout_seconds)}"


def _action(was: Step, now: Step) -> Iterator[str]:
    """What changed beneath a step that uses the same action."""
    if was.contract != now.contract:
        yield f"has another interface: contract {now.contract} of {now.uses}, no longer {was.contract}"
    elif was.content_digest != now.content_digest:
        yield f"runs another version of {now.uses}"
    if was.effect != now.effect:
        safe = "may be repeated" if now.effect is not EffectClass.NOT_REPEATABLE else "must not be repeated blindly"
        yield f"{safe}: {now.uses} is {now.effect}, no longer {was.effect}"
    if was.secret_results != now.secret_results:
        yield "keeps other parts of its result secret"


def _arguments(was: Mapping[str, Node], now: Mapping[str, Node]) -> Iterator[str]:
    for name, node in now.items():
        if name not in was:
            yield f"gives `{name}`: {say_node(node)}"
        elif _differ(was[name], node):
            yield f"gives `{name}`: {say_node(node)}, no longer {say_node(was[name])}"
    for name in was:
        if name not in now:
            yield f"no longer gives `{name}`"


def _condition(words: str, was: Expression | None, now: Expression | None) -> Iterator[str]:
    if not _differ(was, now):
        return
    if now is None:
        yield f"no longer {words} {was.source if was else ''}"
    else:
        yield f"{words} {now.source}{f', no longer {was.source}' if was else ''}"


def _tries(retry: Retry) -> str:
    if retry.attempts == 1:
        return "once"
    growth = f", growing by {retry.factor:g}" if retry.factor != 1 else ""
    errors = ", ".join(str(error) for error in retry.errors)
    return f"{retry.attempts} times, {say_duration(retry.delay_seconds)} apart{growth}, on {errors} errors"


def _longest(seconds: float | None) -> str:
    return "the settings' default time" if seconds is None else say_duration(seconds)


def _undo(was: Undo | None, now: Undo | None) -> str:
    if _say_undo(was) == _say_undo(now):
        return "is undone as before, but by another version of it, on other hosts, or with another time limit"
    return f"{_say_undo(now)}; before: it {_say_undo(was)}"


def _own_undo(step: Step) -> Undo | None:
    """The undo without what it takes from its step: that is told of the step already."""
    if step.undo is None:
        return None
    actions = tuple(
        replace(
            action,
            hosts=None if action.hosts == step.hosts else action.hosts,
            target={} if action.target == step.target else action.target,
        )
        for action in step.undo.actions
    )
    return replace(step.undo, actions=actions)


def _say_undo(undo: Undo | None) -> str:
    if undo is None:
        return "has nothing to undo"
    if undo.none is not None:
        return f"is never undone ({undo.none})"
    if undo.covered_by is not None:
        return f"is undone with `{undo.covered_by}`"
    calls = (f"{action.uses} {say_node(action.arguments)}" for action in undo.actions)
    return f"is undone by {', then '.join(calls)}"


def _outputs(before: Plan, after: Plan) -> Iterator[Change]:
    was = {output.name: output for output in before.outputs}
    now = {output.name: output for output in after.outputs}
    for name, output in now.items():
        old = was.get(name)
        if old is None:
            yield Change(Area.OUTPUTS, name, f"`{name}` is new{', secret' if output.secret else ''}")
            continue
        if old.secret != output.secret:
            yield Change(Area.OUTPUTS, name, f"`{name}` is {'secret now' if output.secret else 'no longer secret'}")
        if _differ(old.value, output.value):
            message = f"`{name}` is {say_node(output.value)}, no longer {say_node(old.value)}"
            yield Change(Area.OUTPUTS, name, message)
        if _differ(old.url, output.url):
            yield Change(Area.OUTPUTS, name, f"`{name}` links to {say_node(output.url)}")
    for name in was:
        if name not in now:
            yield Change(Area.OUTPUTS, name, f"`{name}` is gone")


def _texts(before: Plan, after: Plan) -> Iterator[Change]:
    if before.title != after.title:
        yield Change(Area.TEXTS, "", "another title")
    if before.summary != after.summary:
        yield Change(Area.TEXTS, "", "another summary")
    if before.input_order != after.input_order and set(before.input_order) == set(after.input_order):
        yield Change(Area.TEXTS, "", "the form asks in another order")
    titled = {step.path: step.title for step in before.steps}
    for step in after.steps:
        if titled.get(step.path, step.title) != step.title:
            yield Change(Area.TEXTS, step.path, f"another title of the step `{step.path}`")
    named = {output.name: output.title for output in before.outputs}
    for output in after.outputs:
        if named.get(output.name, output.title) != output.title:
            yield Change(Area.TEXTS, output.name, f"another title of the output `{output.name}`")
