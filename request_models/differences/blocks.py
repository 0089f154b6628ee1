"""What changed in what is done: steps, groups, loops and branches, that came, went, moved or are done otherwise."""

from collections.abc import Iterator, Mapping

from request_models.differences.calls import changed_call, changed_undo
from request_models.differences.changes import Area, Change
from request_models.differences.fields import Words, changed_fields, condition, moved
from request_models.differences.trees import Matched, Place, matched, say_block
from request_models.differences.words import becomes
from request_models.plan import Expression, Group, Loop, OnFailure, Parallel, Plan, Step

_IN_THE_TREE = frozenset({"path", "title", "blocks", "alternative", "branches", "undo"})


def changed_blocks(before: Plan, after: Plan) -> Iterator[Change]:
    """What changed in the blocks of two plans, in the order of the new one."""
    found = matched(before.blocks, after.blocks)
    displaced = _displaced(found)
    kept = set(found.partners.values())
    for key, place in found.before.items():
        if key not in kept:
            yield _told(place, f"{say_block(place.block)} is gone{_what(place)}")
    for key, place in found.after.items():
        old = found.before.get(found.partners.get(key, ""))
        if old is None:
            what = f": {place.block.uses}" if isinstance(place.block, Step) else _what(place)
            yield _told(place, f"{say_block(place.block)} is new{what}{_where(found.after, place)}")
            yield from _no_way_back(place)
            continue
        if old.block.path != place.block.path:
            name = f"`{place.block.path}`" if place.block.path else "by no id"
            yield _told(place, f"{say_block(old.block)} is called {name} now")
        if (_before(found, place.inside), place.part) != (old.inside, old.part):
            message = f"stands {_stood(found.after, place)} now, no longer {_stood(found.before, old)}"
            yield _told(place, f"{say_block(place.block)} {message}")
        elif key in displaced:
            yield _told(place, f"{say_block(place.block)} {_runs(found.after, place)} now")
        yield from _changed(old, place)


def _told(place: Place, message: str) -> Change:
    return Change(Area.STEPS, place.block.path, message)


def _changed(was: Place, now: Place) -> Iterator[Change]:
    old, new = was.block, now.block
    if isinstance(old, Step) and isinstance(new, Step):
        messages = list(changed_call(old, new, _BLOCK_WORDS, _IN_THE_TREE))
    else:
        messages = list(changed_fields(old, new, _BLOCK_WORDS, _IN_THE_TREE))
    yield from (_told(now, f"{say_block(new)} {message}") for message in messages)
    if isinstance(old, Step) and isinstance(new, Step):
        yield from (Change(Area.UNDO, new.path, f"`{new.path}` {message}") for message in changed_undo(old, new))


def _what(place: Place) -> str:
    match place.block:
        case Step() as step:
            return f" ({step.uses})"
        case Group(loop=Loop(items=items)):
            return f", for each {items.source}"
        case Group(when=when) | Parallel(when=when):
            return f", when {when.source}" if when is not None else ""


def _no_way_back(place: Place) -> Iterator[Change]:
    step = place.block
    if isinstance(step, Step) and step.undo is not None and step.undo.none is not None:
        yield Change(Area.UNDO, step.path, f"`{step.path}` is never undone: {step.undo.none}")


# --- places ----------------------------------------------------------------------------------------------------------


def _displaced(found: Matched) -> set[str]:
    """The blocks that stay where they are but come in another order."""
    rows: dict[tuple[str, str], list[str]] = {}
    for key, place in found.after.items():
        rows.setdefault((place.inside, place.part), []).append(key)
    out_of_order: set[str] = set()
    successors = {old: new for new, old in found.partners.items()}
    for (inside, part), keys in rows.items():
        old_inside = _before(found, inside)
        before = [
            successors[old.key]
            for old in found.before.values()
            if (old.inside, old.part) == (old_inside, part) and successors.get(old.key) in keys
        ]
        out_of_order |= moved(before, [key for key in keys if key in before])
    return out_of_order


def _row(places: Mapping[str, Place], place: Place) -> list[Place]:
    return [one for one in places.values() if (one.inside, one.part) == (place.inside, place.part)]


def _runs(places: Mapping[str, Place], place: Place) -> str:
    row = _row(places, place)
    index = next(number for number, one in enumerate(row) if one.key == place.key)
    if place.part == "branches":
        return "is written " + (f"after {say_block(row[index - 1].block)}" if index else "first among the branches")
    return f"runs after {say_block(row[index - 1].block)}" if index else "runs first"


def _where(places: Mapping[str, Place], place: Place) -> str:
    inside = f", {_stood(places, place)}" if place.inside else ""
    return inside if place.part == "branches" else f"{inside}, {_runs(places, place).removeprefix('runs ')}"


def _before(found: Matched, inside: str) -> str | None:
    """What a block was before, by key; at the top it is at the top, and None what is new."""
    return found.partners.get(inside) if inside else ""


def _stood(places: Mapping[str, Place], place: Place) -> str:
    if not place.inside:
        return "on its own"
    container = places[place.inside].block
    if place.part == "branches":
        return f"beside others, in {say_block(container)}"
    if place.part == "alternative":
        return f"in the `else` of {say_block(container)}"
    return f"in {say_block(container)}"


# --- words of fields -------------------------------------------------------------------------------------------------


def _loop(was: Loop | None, now: Loop | None) -> Iterator[str]:
    if was is None and now is not None:
        yield f"is done for each {now.items.source} now{_at_once(now)}"
    elif was is not None and now is None:
        yield f"is done once, no longer for each {was.items.source}"
    elif was is not None and now is not None:
        yield from changed_fields(was, now, _LOOP_WORDS, frozenset())


def _at_once(loop: Loop) -> str:
    return f", {loop.concurrency} at once" if loop.concurrency > 1 else ", one after the other"


def say_failure(on_failure: OnFailure) -> str:
    """What a failure does."""
    return {
        OnFailure.HOLD: "holds the request",
        OnFailure.UNDO: "takes back what was done and holds the request",
        OnFailure.CONTINUE: "lets the request go on",
    }[on_failure]


def _on_failure(was: OnFailure, now: OnFailure) -> Iterator[str]:
    yield f"{say_failure(now)} when it fails; before: {say_failure(was)}"


def _key(was: Expression | None, now: Expression | None) -> Iterator[str]:
    by_digest = "what is in them"
    if was is None or now is None:
        new, old = now.source if now else by_digest, was.source if was else by_digest
        yield f"tells its items apart by {new}, no longer by {old}"
    else:
        yield f"tells its items apart by {becomes(was, now, 'no longer by')}"


_LOOP_WORDS: Mapping[str, Words] = {
    "items": lambda was, now: condition("is done for each", was, now),
    "key": _key,
    "concurrency": lambda was, now: iter([f"does {now} of its items at once, no longer {was}"]),
}


_BLOCK_WORDS: Mapping[str, Words] = {
    "when": lambda was, now: condition("runs only when", was, now),
    "loop": _loop,
    "on_failure": _on_failure,
    "returns": lambda was, now: iter([f"wants other answers: {becomes(was, now)}"]),
}
