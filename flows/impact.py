"""What a correction of inputs changes in what a request has done: which steps stand otherwise, item by item.

What can be told now is told: an argument, a condition or a list that reads what is corrected is evaluated anew, and a
step for which it comes out the same stays done. What depends on a step that runs again cannot be told before it has
run, so it runs again too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from flows.decisions import Decided
from flows.frames import ROOT, Frame, Frames
from flows.records.rows import StepRow
from flows.records.states import StepState
from flows.step_evaluation import host_names, is_true, target_of
from flows.telling import Teller
from flows.undo_ledger import Key
from flows.walk import items_of
from request_models.dependence import evaluated_nodes, judging_nodes, loop_nodes, reads_any
from request_models.expressions import ExpressionError, evaluate, render
from request_models.json_values import JsonValue, canonical_json
from request_models.plan import Block, Expression, Group, Loop, Node, Parallel, Plan, Step

_ITEM = "item"


@dataclass(frozen=True)
class Impact:
    """The steps on record that are to be as if they had never run, and what blocks decided that they decide anew.

    Both by path, or place in the plan, and the key of the item.
    """

    steps: tuple[Key, ...]
    decisions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Seen:
    """What is another at one point of the plan. `again`: names of what runs again, so that nothing is known of it."""

    changed: frozenset[str]
    again: set[str] = field(default_factory=set)
    around: bool = False

    def within(self, *, around: bool) -> "_Seen":
        """Inside a block of the same item, which runs again as a whole if `around`."""
        return replace(self, around=self.around or around)

    def in_item(self, *, gone: bool, another: bool) -> "_Seen":
        """Inside an item of a loop: one that is `gone`, or that is `another` under the same key."""
        changed = {name for name in self.changed if name != _ITEM} | ({_ITEM} if another else set())
        return _Seen(frozenset(changed), set(self.again), self.around or gone)

    def is_read_by(self, *nodes: Node) -> bool:
        """Whether something reads what is known to be another."""
        return reads_any(nodes, self.changed)

    def is_open_for(self, *nodes: Node) -> bool:
        """Whether something reads what is not known yet."""
        return reads_any(nodes, self.again)


class ImpactSearch:
    """One pass over a plan, in the order in which it runs. `frames` see the corrected inputs and all that was done."""

    def __init__(
        self,
        rows: Mapping[Key, StepRow],
        arguments_of: Callable[[StepRow], Mapping[str, JsonValue]],
        decisions: Decided,
        frames: Frames,
    ) -> None:
        self._rows = rows
        self._arguments_of = arguments_of
        self._decisions = decisions
        self._frames = frames
        self._teller = Teller(frames, decisions)
        self._steps: dict[Key, None] = {}
        self._anew: dict[tuple[str, str], None] = {}

    def of(self, plan: Plan, changed: frozenset[str]) -> Impact:
        """The impact of other values under these names (`inputs.region`).

        Raises ExpressionError when a list of items that reads one of them cannot be told.
        """
        self._sequence(plan.blocks, ROOT, "", _Seen(changed))
        return Impact(tuple(self._steps), tuple(self._anew))

    def _sequence(self, blocks: Sequence[Block], frame: Frame, place: str, seen: _Seen) -> bool:
        found = [self._block(block, frame, f"{place}/{number}", seen) for number, block in enumerate(blocks)]
        return any(found)

    def _block(self, block: Block, frame: Frame, place: str, seen: _Seen) -> bool:
        """Whether anything in a block stands otherwise."""
        match block:
            case Step(loop=None):
                otherwise = self._step(block, frame, seen)
            case Step(loop=loop):
                assert loop is not None
                one_step = lambda item, _, inner: self._step(block, item, inner)  # noqa: E731 - one line beats a name
                otherwise = self._loop(block, loop, frame, place, seen, one_step)
            case Group():
                otherwise = self._group(block, frame, place, seen)
            case _:
                otherwise = self._parallel(block, frame, place, seen)
        if otherwise:
            self._anew[place, frame.key] = None
            if block.path:
                seen.again.add(f"steps.{block.path}")
        recorded = self._decisions.recorded(place, frame.key)
        if recorded is not None and recorded.ended is not None:
            self._teller.ended(block, frame, place, recorded)
        return otherwise

    def _group(self, group: Group, frame: Frame, place: str, seen: _Seen) -> bool:
        taken = self._taken(group.when, frame, place)
        if taken is None:
            return seen.around
        flips = self._flips(group.when, frame, seen, taken)
        inner, otherwise = seen.within(around=flips), seen.around or flips
        if taken and group.loop is not None:
            body = lambda item, at, of_item: self._sequence(group.blocks, item, at, of_item)  # noqa: E731 - one line beats a name
            return self._loop(group, group.loop, frame, place, inner, body) or otherwise
        blocks, at = (group.blocks, f"{place}/steps") if taken else (group.alternative, f"{place}/else")
        return self._sequence(blocks, frame, at, inner) or otherwise

    def _parallel(self, parallel: Parallel, frame: Frame, place: str, seen: _Seen) -> bool:
        taken = self._taken(parallel.when, frame, place)
        if not taken:
            return seen.around or (taken is False and self._flips(parallel.when, frame, seen, recorded=False))
        flips = self._flips(parallel.when, frame, seen, recorded=True)
        return self._sequence(parallel.branches, frame, place, seen.within(around=flips)) or seen.around or flips

    def _taken(self, when: Expression | None, frame: Frame, place: str) -> bool | None:
        """What a block's condition gave, None if it was not reached."""
        if when is None:
            return True
        recorded = self._decisions.recorded(place, frame.key)
        return None if recorded is None else recorded.when is True

    def _flips(self, when: Expression | None, frame: Frame, seen: _Seen, recorded: bool) -> bool:
        """Whether a condition is another now, or cannot be told."""
        if when is None or seen.around:
            return seen.around
        if seen.is_open_for(when):
            return True
        if not seen.is_read_by(when):
            return False
        try:
            return is_true(evaluate(when, self._frames.scope(frame)), when) is not recorded
        except ExpressionError:
            return True

    def _loop(
        self,
        block: Step | Group,
        loop: Loop,
        frame: Frame,
        place: str,
        seen: _Seen,
        body: Callable[[Frame, str, _Seen], bool],
    ) -> bool:
        listed = self._decisions.recorded(f"{place}/items", frame.key)
        if listed is None:
            return seen.around or seen.is_read_by(*loop_nodes(loop)) or seen.is_open_for(*loop_nodes(loop))
        anew = seen.around or seen.is_open_for(*loop_nodes(loop))
        items = dict(listed.items)
        if not anew and seen.is_read_by(*loop_nodes(loop)):
            items = dict(items_of(loop, self._frames.scope(frame)))
        otherwise = anew or _pairs(items.items()) != _pairs(listed.items)
        if otherwise:
            self._anew[f"{place}/items", frame.key] = None
        for key, item in listed.items:
            inner = frame.inner(block.path, key, items.get(key, item))
            gone = anew or key not in items
            another = not gone and canonical_json(items[key]) != canonical_json(item)
            if body(inner, f"{place}/item", seen.in_item(gone=gone, another=another)) or gone:
                self._anew[f"{place}/item", inner.key] = None
                otherwise = True
        return otherwise

    def _step(self, step: Step, frame: Frame, seen: _Seen) -> bool:
        evaluated, judging = tuple(evaluated_nodes(step)), tuple(judging_nodes(step))
        row = self._rows.get((step.path, frame.key))
        if row is None:
            return seen.around or seen.is_read_by(*evaluated) or seen.is_open_for(*evaluated)
        otherwise = (
            seen.around
            or row.state is StepState.UNDONE
            or seen.is_open_for(*evaluated, *judging)
            or seen.is_read_by(*judging)
            or (seen.is_read_by(*evaluated) and self._is_rendered_otherwise(step, row, frame))
        )
        if otherwise:
            self._steps[step.path, frame.key] = None
        return otherwise

    def _is_rendered_otherwise(self, step: Step, row: StepRow, frame: Frame) -> bool:
        scope = self._frames.scope(frame)
        try:
            runs = step.when is None or is_true(evaluate(step.when, scope), step.when)
            ran = row.state is not StepState.SKIPPED
            if runs is not ran or not runs:
                return runs is not ran
            arguments = cast(JsonValue, render(step.arguments, scope))
            now: JsonValue = [arguments, list(host_names(step, scope)), target_of(step, scope)]
        except ExpressionError:
            return True
        return canonical_json(now) != canonical_json([dict(self._arguments_of(row)), list(row.hosts), dict(row.target)])


def _pairs(items: Iterable[tuple[str, JsonValue]]) -> bytes:
    return canonical_json([[key, item] for key, item in items])
