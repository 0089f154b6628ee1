"""Reads made before a call, and what they say about its outcome (`before:` in effects.yaml)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from connectors.aws.effects import Before, Look
from request_models.actions import Outcome, Presence
from request_models.json_values import JsonValue


@dataclass(frozen=True)
class Observation:
    """What was there at one moment: `found` is what the read found, None where nothing was; `same`: it is already so.

    What was there before the effect's first call is recorded (`to_json`): after a lost answer the world no longer says.
    """

    found: dict[str, JsonValue] | None
    same: bool = False
    differs: tuple[str, ...] = ()
    """The arguments that ask for something else than what was found."""

    @property
    def outcome(self) -> Outcome:
        """The outcome of the effect that began with this."""
        if self.same:
            return Outcome.ALREADY_SO
        return Outcome.MADE if self.found is None else Outcome.CHANGED

    def to_json(self) -> JsonValue:
        """What is recorded before the call."""
        return {"found": self.found, "same": self.same}


def recorded(pre_read: JsonValue) -> Observation | None:
    """What was recorded before the effect's first call, None where nothing was."""
    if not isinstance(pre_read, dict):
        return None
    found = pre_read.get("found")
    return Observation(found=found if isinstance(found, dict) else None, same=pre_read.get("same") is True)


def observe(before: Before, asked: Mapping[str, JsonValue], found: dict[str, JsonValue] | None) -> Observation:
    """What a read found, against what is asked for. Arguments that are not given ask for nothing."""
    if before.aim == "absent":
        return Observation(found=found, same=found is None)
    if found is None or before.same is None:
        return Observation(found=found)
    differs = tuple(
        wanted
        for wanted, place in before.same.items()
        if (value := at_path(asked, wanted)) is not None and not _holds(at_path(found, place), value)
    )
    return Observation(found=found, same=not differs, differs=differs)


def judge(before: Before, told: Observation, now: Observation) -> Presence:
    """Whether a call that may have arrived had its effect, by what was recorded before it and what is there now."""
    if told.same:
        return Presence.OURS if now.same else Presence.CANNOT_TELL
    if now.same:
        return Presence.OURS
    if now.found == told.found:
        return Presence.ABSENT
    comparable = before.aim == "present" and before.same is not None
    return Presence.FOREIGN if told.found is None and comparable else Presence.CANNOT_TELL


def filled(template: JsonValue, asked: Mapping[str, JsonValue]) -> JsonValue:
    """An argument of a read: the value at a path, a text with names in braces, a literal after `=`; None if not given.

    Lists and maps are filled part by part.
    """
    match template:
        case str() if template.startswith("="):
            return template[1:]
        case str() if "{" in template:
            return _written(template, asked)
        case str():
            return at_path(asked, template)
        case dict():
            return {name: filled(value, asked) for name, value in template.items()}
        case list():
            return [filled(value, asked) for value in template]
        case _:
            return template


def given_only(arguments: JsonValue) -> dict[str, JsonValue]:
    """The arguments without what is not given, in the maps within them too."""
    members = arguments if isinstance(arguments, dict) else {}
    kept = {name: given_only(value) if isinstance(value, dict) else value for name, value in members.items()}
    return {name: value for name, value in kept.items() if value is not None}


def _written(text: str, asked: Mapping[str, JsonValue]) -> str | None:
    try:
        return text.format_map({name: value for name, value in asked.items() if isinstance(value, str)})
    except KeyError:
        return None


def found_in(look: Look, asked: Mapping[str, JsonValue], answer: dict[str, JsonValue]) -> dict[str, JsonValue] | None:
    """What a look was for, in the answer of its read; None where it is not there."""
    if look.among is None:
        return answer
    listed = at_path(answer, look.among)
    wanted = {place: filled(value, asked) for place, value in look.identified_by.items()}
    items: list[JsonValue] = [
        item
        for item in (listed if isinstance(listed, list) else [])
        if all(at_path(item, place) == value for place, value in wanted.items())
    ]
    if not items:
        return None
    return {"items": items} if look.every else cast(dict[str, JsonValue], items[0])


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
