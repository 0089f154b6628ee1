"""Where examples run: one world in which connectors are stood in for and waiting takes no time, one that is real.

Each has records of its own, in a folder that is thrown away.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.registry import Registry
from flows.examples.driving import Subject, World
from flows.examples.stand_ins import Script, StandIns, stand_in_registry
from flows.examples.virtual_time import VirtualClock, VirtualStop
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.settings import ClaimSettings, Settings, WorkerSettings
from request_models.plan import Block, Group, Parallel, Plan, Step
from request_models.schema import ExampleDocument

_FOR_EVER = 10 * 365 * 86_400.0
_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder of our own is made in it


@contextmanager
def played(registry: Registry, settings: Settings) -> Iterator[World]:
    """A world in which examples are played: what steps answer is what they say, and no time passes while they wait."""
    clock = VirtualClock()
    stand_ins = StandIns(clock)

    def begin(subject: Subject, example: ExampleDocument) -> None:
        clock.set(datetime.fromisoformat(example.given.at.upper()))
        stand_ins.play(Script.of(subject.plan, subject.kinds, example.given))

    # Virtual time runs ahead of any claim, and one branch after the other makes each run of an example like the last.
    own = settings.model_copy(
        update={"claim": ClaimSettings(ttl_seconds=_FOR_EVER), "worker": WorkerSettings(limit=1, branches=1)}
    )
    with private_folder() as folder, stand_in_registry(registry, stand_ins) as acting:
        records = Records.open(f"sqlite:///{folder / 'records.db'}", Keyring.open(folder / "keyring.json"), clock)
        try:
            records.migrate()
            world = World.over(records, acting, own, clock.wait_until, lambda: VirtualStop(clock))
            yield replace(world, begin=begin, next_is=stand_ins.next_is)
        finally:
            records.close()


@contextmanager
def real(registry: Registry, settings: Settings) -> Iterator[World]:
    """A world in which everything is real but the records: steps act through `registry`, and waiting takes its time."""
    with private_folder() as folder:
        records = Records.open(f"sqlite:///{folder / 'records.db'}", Keyring.open(folder / "keyring.json"))
        try:
            records.migrate()
            yield World.over(records, registry, settings)
        finally:
            records.close()


def one_by_one(plan: Plan) -> Plan:
    """The plan with the items of its loops one after the other, as one lawful order of them."""
    return replace(plan, blocks=tuple(_one_by_one(plan.blocks)))


def _one_by_one(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        match block:
            case Step(loop=loop):
                yield block if loop is None else replace(block, loop=replace(loop, concurrency=1))
            case Group(loop=loop):
                inner, other = tuple(_one_by_one(block.blocks)), tuple(_one_by_one(block.alternative))
                calm = None if loop is None else replace(loop, concurrency=1)
                yield replace(block, blocks=inner, alternative=other, loop=calm)
            case Parallel():
                yield replace(block, branches=tuple(_one_by_one(block.branches)))


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that is thrown away; in memory where that can be, since each example is many small transactions."""
    memory = _MEMORY if _MEMORY.is_dir() else None
    try:
        made = TemporaryDirectory(prefix="orderly-test-", dir=memory)
    except OSError:
        made = TemporaryDirectory(prefix="orderly-test-")
    with made as folder:
        yield Path(folder)
