"""The graph of a plan: its parts, what happens in which order, who reads what, and how it is undone."""

from collections.abc import Iterable, Iterator, Mapping

from request_models.drawing.graph import (
    Column,
    Edge,
    EdgeKind,
    Frame,
    Graph,
    Item,
    Part,
    PartKind,
    order_of,
    parts_in,
)
from request_models.drawing.other_parts import (
    approval_part,
    before_parts,
    ending_parts,
    input_parts,
    lease_part,
    start_part,
    value_parts,
    verify_parts,
)
from request_models.drawing.reading import Drawn, text_of
from request_models.drawing.step_parts import choice_part, group_part, step_part, undo_part
from request_models.durations import say_duration
from request_models.plan import Block, Group, Parallel, Plan, Step

_CONTEXT = ("requester", "user", "request", "settings")


def graph_of(plan: Plan) -> Graph:
    """The graph of a plan. Inputs that nothing reads are in it too: a form asks for them."""
    building = _Building(plan)
    flow, beside = building.flow()
    given = [*input_parts(plan), *value_parts(plan)]
    drawn = [*given, *building.drawn.values()]
    undos = [part for step in plan.steps if (part := undo_part(step)) is not None]
    known = {one.part.id for one in drawn}
    data = tuple(dict.fromkeys(_data(drawn, known)))
    read = {edge.start for edge in data}
    context = [Part(name, PartKind.CONTEXT, name) for name in _CONTEXT if name in read]
    in_order = [building.drawn[part_id].part for part_id in parts_in((*flow, *beside))]
    parts = (
        *(one.part for one in given if one.part.kind is PartKind.INPUT),
        *context,
        *(one.part for one in given if one.part.kind is PartKind.VALUE),
        *in_order,
        *undos,
    )
    edges = tuple(dict.fromkeys((*order_of(flow), *data, *_undo_edges(plan))))
    return Graph(plan.model, text_of(plan.title) or plan.model, parts, edges, (*flow, *beside), _promise(plan))


def _promise(plan: Plan) -> str:
    calendar = "" if plan.due.calendar == "always" else f" of {plan.due.calendar}"
    return f"due within {say_duration(plan.due.within_seconds)}{calendar}"


class _Building:
    """Makes the flow of one plan, and keeps what it draws by its id."""

    def __init__(self, plan: Plan) -> None:
        self.drawn: dict[str, Drawn] = {}
        self._plan = plan
        self._gates: Mapping[str, list[Drawn]] = {
            path: [approval_part(one) for one in plan.approvals if (one.before or "") == path]
            for path in {one.before or "" for one in plan.approvals}
        }
        self._frames = 0

    def flow(self) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        """What happens one after the other, and what stands beside it at the end."""
        plan = self._plan
        start, lease = start_part(plan), lease_part(plan)
        items: list[Item] = [
            *self._all(before_parts(plan)),
            *self._all(self._gates.get("", [])),
            *self._all([start] if start is not None else []),
            *self._column(plan.blocks),
            *self._all(verify_parts(plan)),
            *self._all([lease] if lease is not None else []),
        ]
        return tuple(items), tuple(self._all(ending_parts(plan)))

    def _all(self, drawn: Iterable[Drawn]) -> Iterator[str]:
        for one in drawn:
            self.drawn[one.part.id] = one
            yield one.part.id

    def _column(self, blocks: Iterable[Block]) -> Iterator[Item]:
        for block in blocks:
            if block.path:
                yield from self._all(self._gates.get(block.path, []))
            yield from self._block(block)

    def _block(self, block: Block) -> Iterator[Item]:
        match block:
            case Step():
                yield from self._all([step_part(block, self._plan)])
            case Group() if not block.blocks and not block.alternative:
                return  # nothing is done in it
            case Group(alternative=()):
                frame = self._frame(block)
                yield Frame(frame, (Column(tuple(self._column(block.blocks))),))
            case Group():
                frame = self._frame(block)
                (choice,) = self._all([choice_part(block, f"{frame} choice")])
                columns = (
                    Column(tuple(self._column(block.blocks)), "then"),
                    Column(tuple(self._column(block.alternative)), "else"),
                )
                yield Frame(frame, columns, choice, self._bar(f"{frame} join"))
            case Parallel():
                frame = self._frame(block)
                branches = tuple(Column(tuple(self._column([branch]))) for branch in block.branches)
                yield Frame(frame, branches, self._bar(f"{frame} fork"), self._bar(f"{frame} join"))

    def _frame(self, block: Group | Parallel) -> str:
        self._frames += 1
        part_id = f"steps.{block.path}" if block.path else f"blocks.{self._frames}"
        (frame,) = self._all([group_part(block, part_id)])
        return frame

    def _bar(self, part_id: str) -> str:
        (bar,) = self._all([Drawn(Part(part_id, PartKind.BAR, ""))])
        return bar


def _data(drawn: Iterable[Drawn], known: set[str]) -> Iterator[Edge]:
    for one in drawn:
        for port, read in one.reads:
            for reference in read:
                start = _source(reference, known)
                if start is not None and start != one.part.id:
                    yield Edge(start, one.part.id, EdgeKind.DATA, port)


def _source(reference: str, known: set[str]) -> str | None:
    """The part that a dotted reference reads; None where it reads its own call (`result`, `args`)."""
    first, _, rest = reference.partition(".")
    if first in _CONTEXT:
        return first
    part = f"{first}.{rest.partition('.')[0].partition('[')[0]}"
    return part if part in known else None


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
