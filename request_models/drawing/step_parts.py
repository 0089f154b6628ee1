"""The boxes of what is done: steps with their undo, groups, loops and branches."""

from collections.abc import Iterator

from request_models.drawing.graph import Part, PartKind
from request_models.drawing.reading import Drawn, Port, condition, reads_of, shown, text_of
from request_models.durations import parse_duration, say_duration
from request_models.engine_actions import HUMAN_TASK, REQUEST_SUBMIT, WAIT_EVENT, WAIT_UNTIL
from request_models.json_values import canonical_json
from request_models.plan import Call, Group, Literal, Loop, OnFailure, Parallel, Plan, Step

FAILURES = {
    OnFailure.UNDO: "a failure takes it back, then holds the request",
    OnFailure.CONTINUE: "a failure does not stop the request",
}
"""What a failure does, where it does not just hold the request."""
_ENGINE = {
    HUMAN_TASK: ("a task for people", "a task for the team {}", "team"),
    WAIT_EVENT: ("waits for an event", "waits for the event {}", "event"),
    WAIT_UNTIL: ("waits for a time", "waits until {}", "at"),
    REQUEST_SUBMIT: ("orders another model, and waits for it", "orders {}, and waits for it", "model"),
}


def step_part(step: Step, plan: Plan) -> Drawn:
    """A step with what it calls, where, how often, for whom, and what it reads."""
    name = text_of(step.title) or step.path
    called = step.uses if name == step.path else f"{step.path}: {step.uses}"
    lines = [called, *_engine(step), *_habits(step), *_failure(step), *_suppliers(step, plan)]
    if step.undo is not None and step.undo.covered_by is not None:
        lines.append(f"undone with {step.undo.covered_by}")
    if step.undo is not None and step.undo.none is not None:
        lines.append(f"never undone: {step.undo.none}")
    ports = (*condition("when", step.when), *_loop(step.loop), *call_ports(step))
    part = Part(f"steps.{step.path}", PartKind.STEP, name, tuple(lines), tuple(port for port, _ in ports))
    return Drawn(part, ports)


def undo_part(step: Step) -> Part | None:
    """How a step is undone, if by actions of its own."""
    if step.undo is None or not step.undo.actions:
        return None
    lines = tuple(line for action in step.undo.actions for line in (action.uses, *call_habits(action)))
    return Part(f"undo.{step.path}", PartKind.UNDO, f"Undo {step.path}", lines)


def group_part(group: Group | Parallel, part_id: str) -> Drawn:
    """The frame of a group or of branches; its condition is not in it where a choice stands for it."""
    ports: tuple[Port, ...] = ()
    lines = list(_failure(group))
    kind = "At the same time" if isinstance(group, Parallel) else "Group"
    if isinstance(group, Group):
        ports = (*(() if group.alternative else condition("when", group.when)), *_loop(group.loop))
        lines += _loop_habits(group.loop)
        kind = "Loop" if group.loop is not None else "Group"
    else:
        ports = tuple(condition("when", group.when))
    named = text_of(group.title) or (f"{kind} {group.path}" if group.path else kind)
    part = Part(part_id, PartKind.GROUP, named, tuple(lines), tuple(port for port, _ in ports))
    return Drawn(part, ports)


def choice_part(group: Group, part_id: str) -> Drawn:
    """Where the condition of a group decides between its blocks and its alternative."""
    ports = tuple(condition("when", group.when))
    return Drawn(Part(part_id, PartKind.CHOICE, "Which way?", (), tuple(port for port, _ in ports)), ports)


def call_ports(call: Call) -> Iterator[Port]:
    """Each port of a call with what it reads: where it acts, its arguments, what its answer must be like."""
    for name, node in call.target.items():
        if read := reads_of(node):
            yield f"target {name}", read
    if read := reads_of(call.hosts):
        yield "hosts", read
    for name, node in call.arguments.members.items():
        if read := reads_of(node):
            yield name, read
    yield from condition("expect", call.expect)
    if call.polling is not None:
        yield from condition("until", call.polling.until)
        yield from condition("fails when", call.polling.fails)


def call_habits(call: Call) -> Iterator[str]:
    """How often a call looks, tries and how long it may take."""
    if call.polling is not None:
        often, longest = say_duration(call.polling.every_seconds), say_duration(call.polling.within_seconds)
        yield f"looks every {often}, at most {longest}"
        if call.polling.not_yet:
            yield f"looks on after {', '.join(call.polling.not_yet)}"
    if call.retry.attempts > 1:
        longest = f" of at most {say_duration(call.timeout_seconds)}" if call.timeout_seconds is not None else ""
        yield f"up to {call.retry.attempts} attempts{longest}"
    elif call.timeout_seconds is not None:
        yield f"at most {say_duration(call.timeout_seconds)}"


def _engine(step: Step) -> Iterator[str]:
    if step.uses in _ENGINE:
        anything, something, argument = _ENGINE[step.uses]
        given = step.arguments.members.get(argument)
        yield something.format(shown(given)) if given is not None else anything
        within = step.arguments.members.get("within")
        if isinstance(within, Literal) and isinstance(within.value, str):
            yield f"within {say_duration(parse_duration(within.value).total_seconds())}"


def _habits(step: Step) -> Iterator[str]:
    yield from _where(step)
    yield from call_habits(step)
    yield from _loop_habits(step.loop)


def _where(call: Call) -> Iterator[str]:
    if isinstance(call.hosts, Literal):
        groups = call.hosts.value
        yield f"on {groups if isinstance(groups, str) else canonical_json(groups).decode()}"


def _loop(loop: Loop | None) -> Iterator[Port]:
    if loop is not None:
        yield from condition("for each", loop.items)


def _loop_habits(loop: Loop | None) -> Iterator[str]:
    if loop is not None:
        at_once = f"{loop.concurrency} at once" if loop.concurrency > 1 else "one after the other"
        yield at_once if loop.key is None else f"{at_once}, by {shown(loop.key)}"


def _failure(block: Step | Group | Parallel) -> Iterator[str]:
    if block.on_failure in FAILURES:
        yield FAILURES[block.on_failure]


def _suppliers(step: Step, plan: Plan) -> Iterator[str]:
    for supplier in plan.suppliers:
        if step.path in supplier.steps:
            within = f", within {say_duration(supplier.within_seconds)}" if supplier.within_seconds is not None else ""
            yield f"by {supplier.name} ({supplier.agreement}){within}"
