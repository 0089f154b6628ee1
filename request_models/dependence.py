"""What of a plan depends on what: which steps run otherwise when inputs or values are others.

`dependents` says it of a plan alone; `reads_any` and the nodes of a step are for who knows more, such as what a request
has done already.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from request_models.expressions import references
from request_models.plan import (
    Approval,
    Block,
    Call,
    Expression,
    Group,
    ListOf,
    Loop,
    MapOf,
    Node,
    Parallel,
    Plan,
    Step,
    Text,
    steps_of,
)


def dependents(plan: Plan, changed: Collection[str], unchanged: Collection[str] = ()) -> frozenset[str]:
    """The paths of prerequisites and steps whose arguments or conditions depend on what has changed.

    `changed` are dotted names such as `inputs.region`; what depends on them through values, facts and results of steps
    is found too. `unchanged` are names that are known to be as they were although they depend on it: values that
    came out the same. A step counts as dependent also when its undo alone would be another, and when a condition or
    list of a block around it depends on the change.
    """
    return _Search(changed, unchanged).of(plan)


def concerned_approvals(plan: Plan, changed: Collection[str], unchanged: Collection[str] = ()) -> frozenset[str]:
    """The ids of the approvals that covered what has changed; names as for `dependents`.

    An approval covers what its own words read (`when`, `by`, `escalate`, `message`), everything that the steps which it
    holds back depend on, and each input that is shown to approvers.
    """
    search = _Search(changed, unchanged)
    paths = search.of(plan)
    shown = {f"inputs.{name}" for name, rule in plan.input_rules.items() if rule.shown_to is not None}
    if shown & set(changed):
        return frozenset(approval.id for approval in plan.approvals)
    return frozenset(
        approval.id
        for approval in plan.approvals
        if search.reads_changed(_nodes_of_approval(approval))
        or paths & {step.path for step in held_back(plan, approval)}
    )


def held_back(plan: Plan, approval: Approval) -> tuple[Step, ...]:
    """The steps that are not begun before the approval is given: all, or from the one it is asked before on."""
    if approval.before is None:
        return plan.steps
    return tuple(steps_of(_from(plan.blocks, approval.before) or ()))


def _from(blocks: Sequence[Block], name: str) -> list[Block] | None:
    """The block of a name and what comes after it; None when it is not among these or in them."""
    for index, block in enumerate(blocks):
        if block.path == name:
            return list(blocks[index:])
        for sequence in _inside(block):
            found = _from(sequence, name)
            if found is not None:
                return [*found, *blocks[index + 1 :]]
    return None


def _inside(block: Block) -> tuple[Sequence[Block], ...]:
    match block:
        case Group(blocks=blocks, alternative=alternative):
            return blocks, alternative
        case Parallel(branches=branches):
            return tuple((branch,) for branch in branches)
        case Step():
            return ()


class _Search:
    """One pass over a plan in the order in which things are evaluated: nothing reads what comes after it."""

    def __init__(self, changed: Collection[str], unchanged: Collection[str]) -> None:
        self._changed = set(changed)
        self._unchanged = frozenset(unchanged)
        self._found: set[str] = set()

    def of(self, plan: Plan) -> frozenset[str]:
        for value in plan.values:
            if self.reads_changed([value.value]):
                self._mark(f"values.{value.name}")
        for read in plan.prerequisites:
            if self.reads_changed(nodes_of_call(read)):
                self._found.add(read.path)
                self._mark(f"facts.{read.path.removeprefix('prerequisites.')}")
        self._blocks(plan.blocks, around=False)
        return frozenset(self._found)

    def _blocks(self, blocks: Iterable[Block], *, around: bool) -> bool:
        """Whether anything in the blocks depends on the change; `around`: something around them does."""
        found = [self._block(block, around=around) for block in blocks]
        return any(found)

    def _block(self, block: Block, *, around: bool) -> bool:
        dependent = around
        match block:
            case Step():
                dependent = around or self.reads_changed(_nodes_of_step(block))
                if dependent:
                    self._found.add(block.path)
            case Group():
                listed = () if block.loop is None else loop_nodes(block.loop)
                own = around or self.reads_changed([*_given(block.when), *listed])
                inner = self._blocks(block.blocks, around=own)
                dependent = self._blocks(block.alternative, around=own) or inner or own
            case Parallel():
                own = around or self.reads_changed(_given(block.when))
                dependent = self._blocks(block.branches, around=own) or own
        if dependent and block.path:
            self._mark(f"steps.{block.path}")
        return dependent

    def _mark(self, name: str) -> None:
        if name not in self._unchanged:
            self._changed.add(name)

    def reads_changed(self, nodes: Iterable[Node]) -> bool:
        """Whether one of the nodes reads something that has changed, as far as it is known by now."""
        return reads_any(nodes, self._changed)


def reads_any(nodes: Iterable[Node], names: Collection[str]) -> bool:
    """Whether one of the nodes reads one of the dotted names, a part of it, or all that it is a part of."""
    return any(_overlap(read, name) for node in nodes for read in _reads(node) for name in names)


def evaluated_nodes(step: Step) -> Iterator[Node]:
    """What of a step is evaluated before its first call, once: condition, arguments, target and hosts."""
    yield step.arguments
    yield from step.target.values()
    yield from _given(step.when, step.hosts)


def judging_nodes(step: Step) -> Iterator[Node]:
    """What of a step is evaluated later: what is expected of its answer, and its undo."""
    yield from _given(step.expect)
    if step.polling is not None:
        yield from _given(step.polling.until, step.polling.fails)
    for undo in () if step.undo is None else step.undo.actions:
        yield from nodes_of_call(undo)
        yield from _given(undo.when)


def loop_nodes(loop: Loop) -> Iterator[Node]:
    """What gives the items of a loop and their keys."""
    yield from _given(loop.items, loop.key)


def _overlap(read: str, changed: str) -> bool:
    """Whether one of the names is the other, or a part of it: who reads all `inputs` reads each of them."""
    return f"{read}.".startswith(f"{changed}.") or f"{changed}.".startswith(f"{read}.")


def _reads(node: Node) -> Iterator[str]:
    match node:
        case Expression() | Text():
            yield from node.reads or references(node)
        case ListOf(items=items):
            for item in items:
                yield from _reads(item)
        case MapOf(members=members):
            for member in members.values():
                yield from _reads(member)
        case _:
            return


def _nodes_of_step(step: Step) -> Iterator[Node]:
    yield from evaluated_nodes(step)
    yield from judging_nodes(step)
    if step.loop is not None:
        yield from loop_nodes(step.loop)


def nodes_of_call(call: Call) -> Iterator[Node]:
    """Everything in a call that is evaluated."""
    yield call.arguments
    yield from call.target.values()
    yield from _given(call.hosts, call.expect)
    if call.polling is not None:
        yield from _given(call.polling.until, call.polling.fails)


def _nodes_of_approval(approval: Approval) -> Iterator[Node]:
    yield from (*approval.by, *approval.escalate)
    yield from _given(approval.when, approval.message)


def _given(*nodes: Node | None) -> Iterator[Node]:
    return (node for node in nodes if node is not None)
