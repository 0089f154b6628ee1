"""The boxes of what is not a step: what is given, who may order and decides, when it starts, how it ends."""

from collections.abc import Iterator

from request_models.drawing.graph import Part, PartKind
from request_models.drawing.reading import Drawn, Port, condition, reads_of, several, shown, text_of
from request_models.drawing.step_parts import call_habits, call_ports
from request_models.durations import say_duration
from request_models.plan import Approval, MapOf, OnFailure, Output, Plan, Read


def input_parts(plan: Plan) -> Iterator[Drawn]:
    """Every input the form asks for, read or not, in the order of the form."""
    properties = plan.inputs.get("properties", {})
    assert isinstance(properties, dict), "the inputs of a plan are a JSON Schema of an object"
    for name in dict.fromkeys([*plan.input_order, *sorted(properties)]):
        yield Drawn(Part(f"inputs.{name}", PartKind.INPUT, name, tuple(_about_input(plan, name, properties[name]))))


def value_parts(plan: Plan) -> Iterator[Drawn]:
    """What is computed when the request is accepted."""
    for one in plan.values:
        yield Drawn(
            Part(f"values.{one.name}", PartKind.VALUE, one.name, (shown(one.value),)), (("", reads_of(one.value)),)
        )


def before_parts(plan: Plan) -> Iterator[Drawn]:
    """What happens before the first step, in order, but for approvals and the start."""
    for number, trigger in enumerate(plan.triggers, start=1):
        lines = (f"orders it as {trigger.requester}", *(port for port, _ in condition("when", trigger.when)))
        yield Drawn(Part(f"triggers.{number}", PartKind.START, f"Event of {trigger.source}", lines))
    if plan.eligible is not None:
        who = plan.eligible
        ports = (*condition("requester:", who.requester), *condition("user:", who.user))
        yield _drawn("eligible", PartKind.CHECK, "Who may order", (), ports)
    for read in plan.prerequisites:
        name = read.path.removeprefix("prerequisites.")
        yield _read(f"facts.{name}", f"Prerequisite {name}", read)


def start_part(plan: Plan) -> Drawn | None:
    """When it starts, what it locks, and what a failure does to the whole of it; None where all is as usual."""
    lines = [f"in the hours of {plan.starts.window}"] if plan.starts is not None and plan.starts.window else []
    if plan.on_failure is OnFailure.UNDO:
        lines.append("a failure takes back everything, then holds the request")
    ports: list[Port] = []
    if plan.starts is not None and plan.starts.at is not None:
        ports.append((f"not before {shown(plan.starts.at)}", reads_of(plan.starts.at)))
    ports += [(f"lock {shown(lock)}", reads_of(lock)) for lock in plan.locks]
    return _drawn("starts", PartKind.START, "Start", tuple(lines), tuple(ports)) if lines or ports else None


def approval_part(approval: Approval) -> Drawn:
    """Who decides, how many of them, in which time."""
    turn = ", one after the other" if approval.in_turn else ""
    lines = [f"{approval.quorum} of {several(approval.by)}{turn}"]
    if approval.within_seconds is not None:
        lines.append(f"within {say_duration(approval.within_seconds)}, else {approval.if_silent}")
    if approval.remind_seconds is not None:
        lines.append(f"reminded after {say_duration(approval.remind_seconds)}")
    if approval.escalate:
        lines.append(f"then {several(approval.escalate)}")
    by = tuple(sorted({read for node in (*approval.by, *approval.escalate) for read in reads_of(node)}))
    ports = (*condition("when", approval.when), *((("by", by),) if by else ()))
    if reads_of(approval.message):
        ports = (*ports, ("message", reads_of(approval.message)))
    return _drawn(f"approvals.{approval.id}", PartKind.APPROVAL, f"Approval {approval.id}", tuple(lines), ports)


def verify_parts(plan: Plan) -> Iterator[Drawn]:
    """The looks at what was made."""
    for read in plan.verify:
        yield _read(read.path, "Verify", read)


def lease_part(plan: Plan) -> Drawn | None:
    """When what was granted ends, and what is ordered then."""
    if plan.lease is None:
        return None
    lease = plan.lease
    ports = [] if lease.ends is None else [(f"ends at {shown(lease.ends)}", reads_of(lease.ends))]
    ports += _inputs(lease.inputs)
    name = "Lease" if lease.lasts_seconds is None else f"Lease of {say_duration(lease.lasts_seconds)}"
    return _drawn("lease", PartKind.AFTER, name, (f"then {lease.model} is ordered",), tuple(ports))


def ending_parts(plan: Plan) -> Iterator[Drawn]:
    """What the user gets, who is told what, what is asked at the end: beside each other, in no order."""
    for output in plan.outputs:
        yield _output(output)
    for number, notice in enumerate(plan.notify, start=1):
        lines = (f"when {', '.join(notice.states)}",)
        ports = (("text", reads_of(notice.text)),) if reads_of(notice.text) else ()
        yield _drawn(f"notify.{number}", PartKind.AFTER, f"Tell {several(notice.to)}", lines, ports)
    if plan.questions:
        asked = tuple(text_of(question.ask) or question.id for question in plan.questions)
        yield _drawn("feedback", PartKind.AFTER, "Feedback", asked, ())


def _about_input(plan: Plan, name: str, schema: object) -> Iterator[str]:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(kind, str):
        yield f"{kind}, secret" if name in plan.secret_inputs else kind
    rule = plan.input_rules.get(name)
    if rule is None:
        return
    if rule.when is not None:
        yield f"asked when {shown(rule.when)}"
    if rule.choices is not None:
        yield f"chosen from {rule.choices.uses}"
    if rule.shown_to is not None:
        yield f"shown to {rule.shown_to}"


def _output(output: Output) -> Drawn:
    told = [word for word, is_so in (("secret", output.secret), ("read once", output.once)) if is_so]
    told += [f"for {output.to}"] if output.to is not None else []
    lines = (", ".join(told),) if told else ()
    part = Part(f"outputs.{output.name}", PartKind.OUTPUT, text_of(output.title) or output.name, lines)
    return Drawn(part, (("", reads_of(output.value) + reads_of(output.url)),))


def _read(part_id: str, name: str, read: Read) -> Drawn:
    lines = (*([read.uses] if read.uses else []), *call_habits(read))
    return _drawn(part_id, PartKind.CHECK, name, lines, tuple(call_ports(read)))


def _inputs(inputs: MapOf) -> Iterator[Port]:
    for name, node in inputs.members.items():
        if read := reads_of(node):
            yield name, read


def _drawn(part_id: str, kind: PartKind, name: str, lines: tuple[str, ...], ports: tuple[Port, ...]) -> Drawn:
    return Drawn(Part(part_id, kind, name, lines, tuple(port for port, _ in ports)), ports)
