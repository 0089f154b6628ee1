"""Which model somebody means who says in their own words what they want: by the words alone, and it says which.

A word of the text counts where a model speaks of it, in its title more than in an input's description, and a word that
few models use counts more than one that all use. Nothing is learnt and nothing guessed: no word in common, no match.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from request_models.json_values import JsonValue
from request_models.plan import Plan

_WEIGHTS = {"title": 1.0, "name": 1.0, "service": 0.7, "summary": 0.7, "inputs": 0.4}
_BEGINNING = 0.7
"""What a common beginning counts against the same word: `buckets` speaks of a `bucket`."""

_SHORTEST_BEGINNING = 4
_MOST_WORDS = 100
_WORD = re.compile(r"[^\W_]+")
_CHINESE_OR_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True)
class Match:
    """A model that may be meant; `score` is between 0 and 1, `reasons` are the words found, by where."""

    plan: Plan
    score: float
    reasons: Mapping[str, tuple[str, ...]]


def rank(text: str, plans: Sequence[Plan]) -> list[Match]:
    """The models that speak of any word of the text, the best first, those alike by name."""
    wanted = list(dict.fromkeys(_words(text)))[:_MOST_WORDS]
    fields = [_fields(plan) for plan in plans]
    rarity = {word: _rarity(word, fields) for word in wanted}
    total = sum(rarity.values())
    matches = [_match(plan, one, rarity, total) for plan, one in zip(plans, fields, strict=True)]
    return sorted((one for one in matches if one.score > 0), key=lambda one: (-one.score, one.plan.model))


def _match(plan: Plan, fields: Mapping[str, frozenset[str]], rarity: Mapping[str, float], total: float) -> Match:
    found: dict[str, set[str]] = {}
    score = 0.0
    for word, rare in rarity.items():
        best = 0.0
        for field, words in fields.items():
            fit, which = _fit(word, words)
            if fit:
                found.setdefault(field, set()).add(which)
                best = max(best, fit * _WEIGHTS[field])
        score += rare * best
    reasons = {field: tuple(sorted(found[field])) for field in _WEIGHTS if field in found}
    return Match(plan, round(score / total, 4) if total else 0.0, reasons)


def _fit(word: str, words: frozenset[str]) -> tuple[float, str]:
    """How well the word is among the words, and which of them it is."""
    if word in words:
        return 1.0, word
    alike = sorted(one for one in words if _begin_alike(one, word))
    return (_BEGINNING, alike[0]) if alike else (0.0, "")


def _begin_alike(one: str, other: str) -> bool:
    return min(len(one), len(other)) >= _SHORTEST_BEGINNING and (one.startswith(other) or other.startswith(one))


def _rarity(word: str, fields: Sequence[Mapping[str, frozenset[str]]]) -> float:
    """More for a word that few models use; a word that none uses counts as much as one that one model uses."""
    used = sum(any(_fit(word, words)[0] for words in one.values()) for one in fields)
    return math.log(1 + (len(fields) + 1) / max(used, 1))


def _fields(plan: Plan) -> dict[str, frozenset[str]]:
    return {
        "title": frozenset(_words(" ".join(plan.title.values()))),
        "name": frozenset(_words(plan.model)),
        "service": frozenset(_words(plan.service)),
        "summary": frozenset(_words(" ".join(plan.summary.values()))),
        "inputs": frozenset(_words(" ".join(_input_texts(plan)))),
    }


def _input_texts(plan: Plan) -> Iterable[str]:
    properties = cast(Mapping[str, Mapping[str, JsonValue]], plan.inputs.get("properties", {}))
    for name, declared in properties.items():
        yield name
        for key in ("title", "description"):
            if isinstance(text := declared.get(key), str):
                yield text
        choices = declared.get("enum")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, str):
                yield choice


def _words(text: str) -> Iterable[str]:
    """Its words; of scripts without spaces each two characters that stand together."""
    for word in _WORD.findall(text.casefold()):
        yield word
        for run in _CHINESE_OR_JAPANESE.findall(word):
            yield from (run[at : at + 2] for at in range(len(run) - 1))
