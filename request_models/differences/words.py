"""How the parts of a plan are said in one line, and how one becomes another."""

from collections.abc import Iterable, Iterator

from request_models.durations import say_duration
from request_models.json_values import JsonValue, canonical_json
from request_models.plan import Expression, ListOf, Literal, MapOf, Node, Text, part_to_json

_LONGEST = 100


def same(was: object, now: object) -> bool:
    """Whether two parts of plans are the same as JSON, as the digest has it: true is not 1."""
    return was is now or canonical_json(part_to_json(was)) == canonical_json(part_to_json(now))


def say(part: object) -> str:
    """Any part of a plan, shortened: templates as they are written, everything else as JSON."""
    return _cut(_said(part), 0)


def becomes(was: object, now: object, instead: str = "no longer") -> str:
    """What is said there now, and what was before. Where both say the same, what is different all the same."""
    before, after = _said(was), _said(now)
    if before != after:
        start = _first_difference(before, after)
        return f"{_cut(after, start)}, {instead} {_cut(before, start)}"
    before_secret, after_secret = any(_secrets(was)), any(_secrets(now))
    if before_secret != after_secret:
        return f"{_cut(after, 0)} as before, {'secret now' if after_secret else 'no longer secret'}"
    return f"{_cut(after, 0)} as before, but it reads or keeps secret other things"


def limit(seconds: float | None, without: str = "without a limit") -> str:
    """A length of time, or what it means that there is none."""
    return without if seconds is None else say_duration(seconds)


def names(several: Iterable[object]) -> str:
    """Names of a model, each marked: `a`, `b` and `c`."""
    marked = [f"`{one}`" for one in several]
    return " and ".join([", ".join(marked[:-1]), marked[-1]]) if len(marked) > 1 else "".join(marked)


def nodes(several: Iterable[Node]) -> str:
    """Several nodes as a list without brackets."""
    return ", ".join(node.value if isinstance(node, Literal) and isinstance(node.value, str) else say(node)
                     for node in several)  # fmt: skip


def _said(part: object) -> str:
    match part:
        case None:
            return "nothing"
        case Literal(value=value):
            return canonical_json(value).decode()
        case Expression() | Text() | ListOf() | MapOf():
            written = _written(part)
            return written if isinstance(written, str) else canonical_json(written).decode()
        case _:
            return canonical_json(part_to_json(part)).decode()


def _cut(text: str, start: int) -> str:
    """One line of the text, of the part with what is different if it is long."""
    if len(text) <= _LONGEST:
        return _one_line(text)
    start = max(0, start - _LONGEST // 3) if start > _LONGEST // 2 else 0
    end = start + _LONGEST - 1
    return _one_line(f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _first_difference(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _written(node: Node) -> JsonValue:
    match node:
        case Literal(value=value):
            return value
        case Expression(source=source):
            return f"{{{{ {source} }}}}"
        case Text(source=source):
            return source
        case ListOf(items=items):
            return [_written(item) for item in items]
        case MapOf(members=members):
            return {key: _written(member) for key, member in members.items()}


def _secrets(part: object) -> Iterator[bool]:
    match part:
        case Expression(secret=secret) | Text(secret=secret):
            yield secret
        case ListOf(items=items):
            for item in items:
                yield from _secrets(item)
        case MapOf(members=members):
            for member in members.values():
                yield from _secrets(member)
        case _:
            return
