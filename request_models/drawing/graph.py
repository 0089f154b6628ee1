"""A compiled plan as a graph to look at: what is given, the steps in order, who reads what, and how it is undone.

`graph_of` makes it, `to_mermaid` writes it as Mermaid text; `graph_svg` draws it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from request_models.durations import say_duration
from request_models.json_values import canonical_json
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Plan, Step, Text, UndoAction


class PartKind(StrEnum):
    """What a box of the graph stands for. `context` is who asks, the request, or the settings."""

    INPUT = "input"
    CONTEXT = "context"
    VALUE = "value"
    STEP = "step"
    UNDO = "undo"
    OUTPUT = "output"


class EdgeKind(StrEnum):
    """What a line says: this runs after that, this reads that, this takes that back."""

    ORDER = "order"
    DATA = "data"
    UNDO = "undo"


@dataclass(frozen=True)
class Part:
    """One box: a name, lines of text beneath it, and ports, each a line that data edges end at."""

    id: str
    kind: PartKind
    name: str
    lines: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """One line from the part `start` to the part `end`, at its `port` if it names one."""

    start: str
    end: str
    kind: EdgeKind
    port: str = ""


@dataclass(frozen=True)
class Graph:
    """The picture of a plan. Parts stand in the order of the model, steps in the order they run."""

    model: str
    title: str
    parts: tuple[Part, ...]
    edges: tuple[Edge, ...]

    def part(self, part_id: str) -> Part:
        """The part of that id. Raises KeyError."""
        return {part.id: part for part in self.parts}[part_id]


_CONTEXT = ("requester", "user", "request", "settings")


def graph_of(plan: Plan) -> Graph:
    """The graph of a plan. Inputs that nothing reads are in it too: a form asks for them."""
    properties = plan.inputs.get("properties", {})
    assert isinstance(properties, dict), "the inputs of a plan are a JSON Schema of an object"
    names = dict.fromkeys([*plan.input_order, *sorted(properties)])
    inputs = [Part(f"inputs.{name}", PartKind.INPUT, name, tuple(_about_input(properties[name]))) for name in names]
    values = [Part(f"values.{one.name}", PartKind.VALUE, one.name, tuple(_shown(one.value))) for one in plan.values]
    steps = [_step_part(step) for step in plan.steps]
    undos = [_undo_part(step, step.undo.actions) for step in plan.steps if step.undo is not None and step.undo.actions]
    outputs = [
        Part(f"outputs.{one.name}", PartKind.OUTPUT, text_of(one.title) or one.name, ("secret",) if one.secret else ())
        for one in plan.outputs
    ]
    known = {part.id for part in (*inputs, *values, *steps)}
    edges = tuple(dict.fromkeys((*_order(plan), *_data(plan, known), *_undo_edges(plan))))
    read = {edge.start for edge in edges}
    context = [Part(name, PartKind.CONTEXT, name) for name in _CONTEXT if name in read]
    parts = (*inputs, *context, *values, *steps, *undos, *outputs)
    return Graph(plan.model, text_of(plan.title) or plan.model, parts, edges)


def text_of(texts: Mapping[str, str]) -> str:
    """A text of the model in English, or the first language it is in; empty when there is none."""
    return texts.get("en") or next(iter(texts.values()), "")


def reads_of(node: Node | None) -> tuple[str, ...]:
    """The dotted references that a node reads, sorted."""
    return tuple(sorted(set(_reads(node))))


def to_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart. Nothing that somebody typed can be read as Mermaid or HTML."""
    ids = {part.id: f"{part.kind}{number}" for number, part in enumerate(graph.parts, start=1)}
    lines = ["flowchart TD"]
    lines += [f"  {ids[part.id]}{_mermaid_box(part)}:::{part.kind}" for part in graph.parts]
    for edge in _merged(graph.edges):
        label = f'|"{_mermaid_text(edge.port)}"|' if edge.port else ""
        lines.append(f"  {ids[edge.start]} {_MERMAID_LINES[edge.kind]}{label} {ids[edge.end]}")
    lines += [f"  classDef {kind} {style}" for kind, style in _MERMAID_STYLES.items()]
    return "\n".join(lines) + "\n"


def _about_input(schema: object) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if isinstance(kind, str):
        yield f"{kind}, secret" if schema.get("writeOnly") is True else kind


def _shown(node: Node) -> Iterator[str]:
    if isinstance(node, Expression | Text):
        yield node.source
    elif isinstance(node, Literal):
        yield canonical_json(node.value).decode()
    else:
        yield "a list" if isinstance(node, ListOf) else "a map"


def _step_part(step: Step) -> Part:
    lines = [f"{step.path}: {step.uses}", *_habits(step)]
    if step.undo is not None and step.undo.covered_by is not None:
        lines.append(f"undone with {step.undo.covered_by}")
    if step.undo is not None and step.undo.none is not None:
        lines.append(f"never undone: {step.undo.none}")
    ports = tuple(port for port, _ in _step_reads(step))
    return Part(f"steps.{step.path}", PartKind.STEP, text_of(step.title) or step.path, tuple(lines), ports)


def _habits(step: Step) -> Iterator[str]:
    if isinstance(step.hosts, Literal):
        groups = step.hosts.value
        yield f"on {groups if isinstance(groups, str) else canonical_json(groups).decode()}"
    if step.retry.attempts > 1:
        longest = f" of at most {say_duration(step.timeout_seconds)}" if step.timeout_seconds is not None else ""
        yield f"up to {step.retry.attempts} attempts{longest}"
    elif step.timeout_seconds is not None:
        yield f"at most {say_duration(step.timeout_seconds)}"


def _step_reads(step: Step) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each port of a step with what it reads: the conditions first, then where it acts, then its arguments."""
    if step.when is not None:
        yield f"when {step.when.source}", reads_of(step.when)
    for name, node in step.target.items():
        if read := reads_of(node):
            yield f"target {name}", read
    if read := reads_of(step.hosts):
        yield "hosts", read
    for name, node in step.arguments.members.items():
        if read := reads_of(node):
            yield name, read
    if step.expect is not None:
        yield f"expect {step.expect.source}", reads_of(step.expect)


def _undo_part(step: Step, actions: tuple[UndoAction, ...]) -> Part:
    return Part(f"undo.{step.path}", PartKind.UNDO, f"Undo {step.path}", tuple(action.uses for action in actions))


def _order(plan: Plan) -> Iterator[Edge]:
    for before, after in zip(plan.steps, plan.steps[1:], strict=False):
        yield Edge(f"steps.{before.path}", f"steps.{after.path}", EdgeKind.ORDER)


def _data(plan: Plan, known: set[str]) -> Iterator[Edge]:
    reading: list[tuple[str, str, tuple[str, ...]]] = [
        (f"values.{one.name}", "", reads_of(one.value)) for one in plan.values
    ]
    reading += [(f"steps.{step.path}", port, read) for step in plan.steps for port, read in _step_reads(step)]
    reading += [(f"outputs.{one.name}", "", reads_of(one.value) + reads_of(one.url)) for one in plan.outputs]
    for end, port, read in reading:
        for reference in read:
            start = _source(reference, known)
            if start is not None and start != end:
                yield Edge(start, end, EdgeKind.DATA, port)


def _undo_edges(plan: Plan) -> Iterator[Edge]:
    undone = {step.path: step.undo for step in plan.steps if step.undo is not None}
    for path, undo in undone.items():
        if undo.actions:
            yield Edge(f"steps.{path}", f"undo.{path}", EdgeKind.UNDO)
        cover = undo.covered_by
        while cover is not None and cover in undone and not undone[cover].actions:
            cover = undone[cover].covered_by
        if cover is not None and cover in undone:
            yield Edge(f"steps.{path}", f"undo.{cover}", EdgeKind.UNDO)


def _source(reference: str, known: set[str]) -> str | None:
    """The part that a dotted reference reads; None where it reads its own call (`result`, `args`)."""
    first, _, rest = reference.partition(".")
    if first in _CONTEXT:
        return first
    part = f"{first}.{rest.partition('.')[0].partition('[')[0]}"
    return part if part in known else None


def _reads(node: Node | None) -> Iterator[str]:
    match node:
        case Expression(reads=reads) | Text(reads=reads):
            yield from reads
        case ListOf(items=items):
            for item in items:
                yield from _reads(item)
        case MapOf(members=members):
            for member in members.values():
                yield from _reads(member)
        case Literal() | None:
            return


def _merged(edges: tuple[Edge, ...]) -> Iterator[Edge]:
    """One edge for all that one part reads of another, its ports in one label."""
    ports: dict[tuple[str, str, EdgeKind], list[str]] = {}
    for edge in edges:
        ports.setdefault((edge.start, edge.end, edge.kind), []).append(edge.port)
    for (start, end, kind), named in ports.items():
        yield Edge(start, end, kind, ", ".join(name for name in named if name))


def _mermaid_box(part: Part) -> str:
    # Arguments are the labels of the edges here; a condition may read nothing, and stands in the box.
    conditions = [port for port in part.ports if port.startswith(("when ", "expect "))]
    text = "<br/>".join(_mermaid_text(line) for line in (part.name, *part.lines, *conditions))
    opened, closed = _MERMAID_SHAPES[part.kind]
    return f'{opened}"{text}"{closed}'


def _mermaid_text(text: str) -> str:
    """Text for a quoted label: letters and digits of any language stay, what could mean something is a character code.

    A full stop or a dash before a space would be taken for a list's.
    """
    written = []
    for index, character in enumerate(text):
        alone = not text[index + 1 : index + 2].strip()
        if not character.isprintable():
            written.append(" ")
        elif character.isalnum() or character in " _," or character in ":/=+" or (character in ".-" and not alone):
            written.append(character)
        else:
            written.append(f"#{ord(character)};")
    return "".join(written)


_MERMAID_LINES: Mapping[EdgeKind, str] = {EdgeKind.ORDER: "==>", EdgeKind.DATA: "-->", EdgeKind.UNDO: "-.->"}
_MERMAID_SHAPES: Mapping[PartKind, tuple[str, str]] = {
    PartKind.INPUT: ("([", "])"),
    PartKind.CONTEXT: ("([", "])"),
    PartKind.VALUE: ("(", ")"),
    PartKind.STEP: ("[", "]"),
    PartKind.UNDO: ("[", "]"),
    PartKind.OUTPUT: ("([", "])"),
}
_MERMAID_STYLES: Mapping[PartKind, str] = {
    PartKind.INPUT: "stroke:#2f8f4e",
    PartKind.CONTEXT: "stroke:#6b7480",
    PartKind.VALUE: "stroke:#a97a08",
    PartKind.STEP: "stroke:#3a6fd8,stroke-width:2px",
    PartKind.UNDO: "stroke:#b3413c,stroke-dasharray:5 4",
    PartKind.OUTPUT: "stroke:#7a4fc0",
}
