"""A loop goes through a list, and names its items; a group's parts make sense together."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.resolved import ResolvedGroup, ResolvedParallel, loop_of
from request_models.type_algebra import options, say_type
from request_models.typed import Typed, TypedLoop
from request_models.value_types import AnyType, ArrayType, IntegerType, StringType
from request_models.yaml_source import Path


def check(typed: Typed) -> Iterator[Finding]:
    """`loop-type`, `loop-key`, `loop-unnamed`, `loop-option`, `else-without-when`."""
    for block in typed.resolved.all_blocks:
        if isinstance(block, ResolvedParallel):
            continue
        loop = loop_of(block)
        if loop is None:
            for key in ("key", "concurrency"):
                if key in block.document.model_fields_set:
                    message = f"`{key}` is of a loop, but there is no `for_each`"
                    yield Finding((*block.path, key), "loop-option", message, on_key=True)
        elif block.id is None:
            message = "a loop needs an `id`: what comes of its items is read, and recorded, under that name"
            yield Finding((*block.path, "for_each"), "loop-unnamed", message, "write `id: NAME`", on_key=True)
        if isinstance(block, ResolvedGroup) and block.alternative and block.document.when is None:
            message = "`else` is done when `when` is false, but there is no `when`"
            yield Finding((*block.path, "else"), "else-without-when", message, on_key=True)
    for path, found in typed.loops.items():
        yield from _items(found)
        yield from _key(found, path)


def _items(loop: TypedLoop) -> Iterator[Finding]:
    if loop.items is None or loop.items.wrong:
        return
    for option in options(loop.items.type):
        if not isinstance(option, ArrayType | AnyType):
            hint = "a map's members are `NAME | dictsort`, its keys `NAME | list`" if "map" in say_type(option) else ""
            message = f"`for_each` goes through a list, but this is {say_type(option)}"
            yield Finding(loop.items.path, "loop-type", message, hint)
            return


def _key(loop: TypedLoop, path: Path) -> Iterator[Finding]:
    if loop.key is None or loop.key.wrong:
        return
    if not any(read == "item" or read.startswith("item.") for read in getattr(loop.key.node, "reads", ())):
        message = "`key` names an item, but reads nothing of it: all items would bear one name"
        yield Finding((*path, "key"), "loop-key", message, "write `item`, or a member of it: `item.id`")
    for option in options(loop.key.type):
        if not isinstance(option, StringType | IntegerType | AnyType):
            message = f"`key` gives a text or a whole number, but this is {say_type(option)}"
            yield Finding((*path, "key"), "loop-key", message, "write a member that names the item: `item.id`")
            return
