"""The automaton of a pattern (Glushkov's construction): its characters as states, its edges with the ways over them.

Repetitions up to a number are unrolled while that tells of few ways, and count as endless otherwise.
"""

import re
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

import regress

from request_models.pattern_syntax import Characters, Choice, Edge, Look, Node, NotJudged, Repeat, Sequence

_FEW_WAYS = 10_000
_FEW_ROUNDS = 10
_MAX_UNROLLED = 200
_MAX_STATES = 2_000
_ASCII = "".join(map(chr, range(128)))
_IS_ASCII = re.compile(r"\\[dw]|\[(?!\^)(?:[ -\[^-~]|\\[dw^$\\.*+?()\[\]{}|/-])*\]")
"""Sets that hold ASCII characters only, which is seen without asking the engine for a million others."""


@dataclass(frozen=True)
class Part:
    """Where a part of a pattern may begin and end, and in how many ways it may be empty (two stands for many).

    What is `free` needs no assertion to hold.
    """

    first: Mapping[int, int]
    last: Mapping[int, int]
    free_last: Mapping[int, int]
    empty: int = 0
    free: int = 0


_NOTHING = Part({}, {}, {}, 1, 1)


class Automaton:
    """States, each with the set of characters that leads into it (as bits), and edges with the number of ways."""

    def __init__(self, tree: Node) -> None:
        self._sources: list[str] = []
        self.edges: dict[int, dict[int, int]] = {}
        self.whole = self._built(tree)
        self.sets = _as_bits(self._sources)
        self.back: dict[int, dict[int, int]] = {state: {} for state in self.edges}
        for state, following in self.edges.items():
            for other, ways in following.items():
                self.back[other][state] = ways

    def _built(self, node: Node) -> Part:
        match node:
            case Characters(source):
                return self._state(source)
            case Edge() | Look():
                return Part({}, {}, {}, 1, 0)
            case Choice(options):
                return _either([self._built(option) for option in options])
            case Sequence(parts):
                too_many = _ways(node) > _FEW_WAYS
                built = _NOTHING
                for part in parts:
                    endless = too_many and isinstance(part, Repeat) and isinstance(part.body, Characters)
                    built = self._joined(
                        built, self._repeated(part, endless=endless) if isinstance(part, Repeat) else self._built(part)
                    )
                return built
            case Repeat():
                return self._repeated(node, endless=False)

    def _repeated(self, node: Repeat, *, endless: bool) -> Part:
        if node.most == 0:
            return _NOTHING
        endless = endless and node.most != node.least
        if node.most is None or endless or not _is_unrolled(node):
            return self._endless(node)
        tail = _NOTHING
        for _ in range(node.most - node.least):
            tail = _either([self._joined(self._built(node.body), tail), _NOTHING])
        for _ in range(node.least):
            tail = self._joined(self._built(node.body), tail)
        return tail

    def _endless(self, node: Repeat) -> Part:
        body = self._built(node.body)
        # Rounds that must be made may be empty, in any of many ways; rounds that need not be made are never empty.
        ways = 2 if body.empty and node.least > 1 else 1
        self._connect(body.last, body.first, ways)
        if node.least:
            return body
        return Part(body.first, body.last, body.free_last, 1, 1)

    def _state(self, source: str) -> Part:
        state = len(self._sources)
        if state >= _MAX_STATES:
            raise NotJudged("it is too large")
        self._sources.append(source)
        self.edges[state] = {}
        return Part({state: 1}, {state: 1}, {state: 1})

    def _joined(self, left: Part, right: Part) -> Part:
        self._connect(left.last, right.first)
        return Part(
            _sum(left.first, _times(right.first, left.empty)),
            _sum(right.last, _times(left.last, right.empty)),
            _sum(right.free_last, _times(left.free_last, right.free)),
            min(2, left.empty * right.empty),
            min(2, left.free * right.free),
        )

    def _connect(self, last: Mapping[int, int], first: Mapping[int, int], ways: int = 1) -> None:
        for state, here in last.items():
            following = self.edges[state]
            for other, there in first.items():
                following[other] = min(2, following.get(other, 0) + here * there * ways)


def _either(parts: list[Part]) -> Part:
    return Part(
        _sum(*(part.first for part in parts)),
        _sum(*(part.last for part in parts)),
        _sum(*(part.free_last for part in parts)),
        min(2, sum(part.empty for part in parts)),
        min(2, sum(part.free for part in parts)),
    )


def _sum(*counts: Mapping[int, int]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for one in counts:
        for state, ways in one.items():
            found[state] = min(2, found.get(state, 0) + ways)
    return found


def _times(counts: Mapping[int, int], factor: int) -> Mapping[int, int]:
    return {state: min(2, ways * factor) for state, ways in counts.items()} if factor else {}


_MANY = 10**9


@lru_cache(maxsize=4096)
def lengths(node: Node) -> tuple[int, int]:
    """The shortest and the longest text of a part; _MANY stands for no limit."""
    match node:
        case Characters():
            return 1, 1
        case Edge() | Look():
            return 0, 0
        case Sequence(parts):
            found = [lengths(part) for part in parts]
            return min(_MANY, sum(low for low, _ in found)), min(_MANY, sum(high for _, high in found))
        case Choice(options):
            found = [lengths(option) for option in options]
            return min(low for low, _ in found), max(high for _, high in found)
        case Repeat(body, least, most):
            low, high = lengths(body)
            longest = (_MANY if high else 0) if most is None else min(_MANY, high * most)
            return min(_MANY, low * least), longest


def _is_unrolled(node: Repeat) -> bool:
    """Whether a counted repetition is written out: there are few ways, or few rounds whose own loops are looked at."""
    has_loops = lengths(node.body)[1] == _MANY
    few = node.most is not None and node.most <= _FEW_ROUNDS if has_loops else _ways(node) <= _FEW_WAYS
    return few and _size(node) <= _MAX_UNROLLED


@lru_cache(maxsize=4096)
def _ways(node: Node) -> int:
    """In how many ways a part can take one and the same text, at most; _MANY stands for no limit."""
    match node:
        case Characters() | Edge() | Look():
            return 1
        case Choice(options):
            return min(_MANY, sum(_ways(option) for option in options))
        case Sequence(parts):
            ways, spread = 1, 1  # `spread`: how many lengths what came before may have
            for part in parts:
                ways = min(_MANY, ways * _ways(part) * min(spread, _spread(part)))
                spread += _spread(part) - 1
            return ways
        case Repeat(Characters()):
            return 1
        case Repeat(body, least, most):
            return _MANY if most is None else _ways_of_rounds(body, least, most)


def _ways_of_rounds(body: Node, least: int, most: int) -> int:
    total, rounds = 1 if least == 0 else 0, 1
    for count in range(1, most + 1):
        rounds = rounds * _ways(body) * (min(_spread(body), _MANY) if count > 1 else 1)
        total += rounds if count >= least else 0
        if total > _MANY or rounds > _MANY:
            return _MANY
        if rounds == 1 and count > _FEW_WAYS:
            return most - least + 1
    return total if _spread(body) > 1 or _ways(body) > 1 else 1


def _spread(node: Node) -> int:
    low, high = lengths(node)
    return high - low + 1


@lru_cache(maxsize=4096)
def _size(node: Node) -> int:
    """How many states a part has when it is unrolled."""
    match node:
        case Characters():
            return 1
        case Edge() | Look():
            return 0
        case Sequence(parts) | Choice(parts):
            return min(_MANY, sum(_size(part) for part in parts))
        case Repeat(body, _, most):
            return min(_MANY, _size(body) * (most or 1))


def _as_bits(sources: list[str]) -> list[int]:
    """Each set as bits: one for each class of characters that all sets take alike."""
    ranges = {source: _ranges(source) for source in set(sources)}
    edges = sorted({edge for found in ranges.values() for one in found for edge in one})
    numbers = {start: number for number, (start, _) in enumerate(pairwise(edges))}
    bits = {
        source: sum(
            1 << number for start, end in found for number in range(numbers[start], numbers.get(end, len(numbers)))
        )
        for source, found in ranges.items()
    }
    return [bits[source] for source in sources]


@lru_cache(maxsize=4096)
def _ranges(source: str) -> tuple[tuple[int, int], ...]:
    """What characters a set holds, as places in the list of all: the engine says it."""
    if len(source) == 1 and source != ".":
        place = ord(source) if ord(source) < 0xD800 else ord(source) - 0x800
        return ((place, place + 1),)
    characters = _ASCII if _IS_ASCII.fullmatch(source) else _all_characters()
    found = regress.Regex(f"(?:{source})+", "u").find_iter(characters) or ()
    return tuple((_place(one.range().start), _place(one.range().stop)) for one in found)


@cache
def _all_characters() -> str:
    """All but the surrogates; made when first asked for, since a million characters take a while."""
    scalars = (*range(0xD800), *range(0xE000, 0x110000))
    return array("I", scalars).tobytes().decode(f"utf-32-{sys.byteorder[0]}e")


def _place(offset: int) -> int:
    """Which of all characters stands at an offset in their UTF-8 text."""
    for count, width in ((0x80, 1), (0x780, 2), (0xF000, 3)):
        if offset < count * width:
            break
        offset -= count * width
    else:
        count, width = 0, 4
    before = {1: 0, 2: 0x80, 3: 0x800, 4: 0xF800}[width]
    return before + offset // width
