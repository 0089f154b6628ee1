"""Reads made before a call, and what they say about its outcome (`before:` in effects.yaml)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from connectors.aws.effects import Before
from request_models.actions import Outcome
from request_models.json_values import JsonValue


@dataclass(frozen=True)
class Observation:
    """What was there before the call: `found` is the answer of the read, None where nothing was."""

    found: dict[str, JsonValue] | None
    same: bool = False
    differs: tuple[str, ...] = ()
    """The arguments that ask for something else than what was found."""

    @property
    def outcome(self) -> Outcome:
        """The outcome of a call that succeeded after this."""
        if self.found is None:
            return Outcome.MADE
        return Outcome.ALREADY_SO if self.same else Outcome.CHANGED

    def to_progress(self, token: UUID) -> dict[str, JsonValue]:
        """What the next attempt must know: after a lost answer the world no longer says how it was before."""
        return {"token": str(token), "found": self.found, "same": self.same}


def recorded(progress: JsonValue, token: UUID) -> Observation | None:
    """What an earlier attempt of the same effect observed; None when there was none, or it was of another effect."""
    if not isinstance(progress, dict) or progress.get("token") != str(token):
        return None
    found = progress.get("found")
    return Observation(found=found if isinstance(found, dict) else None, same=progress.get("same") is True)


def observe(before: Before, asked: Mapping[str, JsonValue], answer: dict[str, JsonValue]) -> Observation:
    """What a read found, against what is asked for. Arguments that are not given ask for nothing."""
    found = answer if before.among is None else _among(before.among, before.identified_by, asked, answer)
    if found is None or before.same is None:
        return Observation(found=found)
    differs = tuple(
        wanted
        for wanted, place in before.same.items()
        if (value := at_path(asked, wanted)) is not None and not _holds(at_path(found, place), value)
    )
    return Observation(found=found, same=not differs, differs=differs)


def filled(text: str, asked: Mapping[str, JsonValue]) -> JsonValue:
    """An argument of a read: the value at a path, or a text with paths in braces."""
    if "{" not in text:
        return at_path(asked, text)
    return text.format_map({name: value for name, value in asked.items() if isinstance(value, str)})


def _among(
    place: str, identified_by: Mapping[str, str], asked: Mapping[str, JsonValue], answer: Mapping[str, JsonValue]
) -> dict[str, JsonValue] | None:
    items = at_path(answer, place)
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and all(
            at_path(item, name) == at_path(asked, wanted) for name, wanted in identified_by.items()
        ):
            return item
    return None


def at_path(value: object, path: str) -> JsonValue:
    """The value at a dotted path, None where the path ends early."""
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value  # type: ignore[return-value]  # members of JSON are JSON


def _holds(found: JsonValue, asked: JsonValue) -> bool:
    """Whether what was found has all that is asked for; AWS may have filled in more. Lists may be in any order."""
    if isinstance(asked, dict) and isinstance(found, dict):
        return all(name in found and _holds(found[name], value) for name, value in asked.items())
    if isinstance(asked, list) and isinstance(found, list):
        return len(asked) == len(found) and _all_matched(found, asked)
    if isinstance(asked, str) and isinstance(found, str):
        return asked == found or _is_same_document(found, asked)
    return type(asked) is type(found) and asked == found


def _all_matched(found: list[JsonValue], asked: list[JsonValue]) -> bool:
    left = list(found)
    for value in asked:
        match = next((index for index, candidate in enumerate(left) if _holds(candidate, value)), None)
        if match is None:
            return False
        del left[match]
    return True


def _is_same_document(found: str, asked: str) -> bool:
    """Policies are JSON in a string, and AWS writes them anew."""
    if not (found.lstrip().startswith(("{", "[")) and asked.lstrip().startswith(("{", "["))):
        return False
    try:
        return bool(json.loads(found) == json.loads(asked))
    except ValueError:
        return False
