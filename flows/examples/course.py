"""What came of an example, read back from the records: the same whether it was played or run for real."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from flows.masking import secret_texts
from flows.records.records import Transaction
from flows.records.rows import AttemptRow, BlockRow, RequestRow, StepRow
from flows.records.states import AttemptOutcome, StepState
from request_models.example_names import names_of
from request_models.json_values import JsonValue
from request_models.plan import Block, Group, Parallel, Plan, Step

REFUSED = "refused"
"""The state of an order that was not accepted."""


@dataclass(frozen=True)
class StepCourse:
    """What became of one step, or of one item of it. `names` are what examples may call it, the most exact first.

    `attempts` counts the calls of its action, `codes` are those of its errors. `failed`: at some moment it had failed
    for good.
    """

    path: str
    names: tuple[str, ...]
    state: str
    arguments: Mapping[str, JsonValue]
    attempts: int
    codes: frozenset[str]
    when: bool | None
    failed: bool


@dataclass(frozen=True)
class BlockCourse:
    """What a block decided, at its place in the plan's tree: its condition, or how many items its loop has."""

    place: str
    when: bool | None
    items: int
    ended: bool


@dataclass(frozen=True)
class Course:
    """What came of an example. `outputs` are there of a fulfilled request; no text of `secrets` may be shown."""

    state: str
    reason: str
    log: tuple[str, ...] = ()
    outputs: Mapping[str, JsonValue] | None = None
    secrets: tuple[str, ...] = ()
    steps: tuple[StepCourse, ...] = ()
    blocks: tuple[BlockCourse, ...] = ()
    passed_over: frozenset[str] = frozenset()
    """Steps that count as skipped, since what they stand in is behind."""
    approvals: tuple[str, ...] = ()
    inputs: frozenset[str] | None = None
    """The inputs that the request has, its defaults too; None of an order that was refused."""
    not_eligible: str = ""
    """Who may not have it, of an order that was refused for that: requester or user."""

    def called(self, name: str) -> list[StepCourse]:
        """What became of the step of a name: of all its items, unless the name says which."""
        return [step for step in self.steps if name in step.names]

    def state_of(self, name: str) -> str:
        """What became of the step of a name; of several items with different states, all of these."""
        states = sorted({step.state for step in self.called(name)})
        if states:
            return " and ".join(states)
        return "skipped" if name in self.passed_over else "not reached"


@dataclass(frozen=True)
class Watch:
    """What was seen while it ran: how operators call each step, by path and item key, and which failed for good."""

    labels: Mapping[tuple[str, str], str]
    failed: frozenset[tuple[str, str]]
    log: tuple[str, ...]


def read_course(tx: Transaction, plan: Plan, request: RequestRow, watch: Watch) -> Course:
    """The course of a request that has come to rest."""
    attempts = tx.steps.attempts(request.id)
    blocks = tx.blocks.all(request.id)
    outputs = None if request.outputs is None else tx.secrets.reveal(request.id, request.outputs)
    return Course(
        state=request.state.value,
        reason=request.state_reason,
        log=watch.log,
        outputs=_values(outputs),
        secrets=secret_texts(tx.secrets.all(request.id)),
        steps=tuple(_step(tx, row, attempts, watch) for row in tx.steps.all(request.id)),
        blocks=tuple(_block(tx, row) for row in blocks),
        passed_over=_passed_over(plan, blocks),
        approvals=tuple(dict.fromkeys(row.approval for row in tx.approvals.of(request.id))),
        inputs=frozenset(request.inputs.public) if isinstance(request.inputs.public, dict) else frozenset(),
    )


def unit_names(path: str, label: str, item_key: str) -> tuple[str, ...]:
    """What examples may call one item of a step; `item_key` as the records have it."""
    key = item_key.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    return names_of(path, label, key)


def _step(tx: Transaction, row: StepRow, attempts: Iterable[AttemptRow], watch: Watch) -> StepCourse:
    unit = (row.path, row.item_key)
    own = [one for one in attempts if (one.path, one.item_key) == unit]
    arguments = tx.secrets.reveal(row.request_id, row.arguments)
    return StepCourse(
        path=row.path,
        names=unit_names(row.path, watch.labels.get(unit, row.path), row.item_key),
        state=row.state.value,
        arguments=arguments if isinstance(arguments, dict) else {},
        attempts=sum(one.outcome is not None for one in own),
        codes=frozenset(one.error_code for one in own if one.error_code is not None),
        when=row.when_value,
        failed=unit in watch.failed or (row.state is StepState.FAILED and AttemptOutcome.FAILED in _outcomes(own)),
    )


def _outcomes(attempts: Iterable[AttemptRow]) -> set[AttemptOutcome | None]:
    return {one.outcome for one in attempts}


def _block(tx: Transaction, row: BlockRow) -> BlockCourse:
    items = [] if row.items is None else cast(list[JsonValue], tx.secrets.reveal(row.request_id, row.items))
    return BlockCourse(row.place, row.when_value, len(items), row.state is not StepState.STARTED)


def _values(outputs: JsonValue) -> Mapping[str, JsonValue] | None:
    if not isinstance(outputs, dict):
        return None
    return {name: shown["value"] if isinstance(shown, dict) else shown for name, shown in outputs.items()}


def _passed_over(plan: Plan, blocks: Iterable[BlockRow]) -> frozenset[str]:
    """The steps within blocks that are behind."""
    behind = {row.place for row in blocks if row.state is not StepState.STARTED}
    return frozenset(path for path, places in _places(plan.blocks, "", ()) if behind & set(places))


def _places(blocks: Iterable[Block], place: str, around: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each step with the places of the blocks around it, and its own."""
    for index, block in enumerate(blocks):
        here = f"{place}/{index}"
        places = (*around, here)
        match block:
            case Step():
                yield block.path, places
            case Group():
                yield from _places(block.blocks, f"{here}/{'steps' if block.loop is None else 'item'}", places)
                yield from _places(block.alternative, f"{here}/else", places)
            case Parallel():
                yield from _places(block.branches, here, places)
