"""Files of effects: the shipped effects.yaml, and a user's own, checked against what AWS offers, to the line."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from connectors.aws.effect_shapes import misfits
from connectors.aws.effects import Effect, Effects
from connectors.aws.services import Services
from request_models.actions import EffectClass, Outcome

OWN_FILE = Path("extensions") / "aws-effects.yaml"
"""In a content folder: read without being named in the settings."""


class EffectsInvalid(ValueError):
    """Files of effects that cannot be used. Each line of the message names file and line, and what to write."""


def load_effects(own_files: Iterable[Path] = (), services: Services | None = None) -> Effects:
    """The shipped lines and those of the files given, later ones winning. Raises EffectsInvalid, OSError."""
    shipped = _shipped()
    lines: dict[str, Effect] = {}
    problems: list[str] = []
    known = services or Services()
    for file in own_files:
        own = _Own(file, shipped, known)
        problems += own.problems
        lines |= own.lines
    if problems:
        raise EffectsInvalid("\n".join(problems))
    return Effects({**shipped, **lines} if lines else shipped)


@cache
def _shipped() -> Mapping[str, Effect]:
    return _Shipped((resources.files("connectors.aws") / "effects.yaml").read_text(encoding="utf-8"))


class _Shipped(Mapping[str, Effect]):
    """The shipped lines, read service by service when first asked for: what needs one does not wait for all."""

    def __init__(self, text: str) -> None:
        heads = list(re.finditer(r"^([a-z0-9-]+):$", text, re.MULTILINE))
        ends = [*(head.start() for head in heads[1:]), len(text)]
        self._texts = {head[1]: text[head.start() : end] for head, end in zip(heads, ends, strict=True)}
        self._services: dict[str, Mapping[str, Effect]] = {}

    def __getitem__(self, name: str) -> Effect:
        service, _, operation = name.partition(".")
        return self._service(service)[operation]

    def __iter__(self) -> Iterator[str]:
        return (f"{service}.{operation}" for service in self._texts for operation in self._service(service))

    def __len__(self) -> int:
        return sum(len(self._service(service)) for service in self._texts)

    def _service(self, service: str) -> Mapping[str, Effect]:
        """Raises KeyError for a service of which nothing is said."""
        if service not in self._services:
            operations = YAML(typ="safe").load(self._texts[service])[service]
            self._services[service] = {
                operation: Effect.model_validate(_with_read_outcome(line)) for operation, line in operations.items()
            }
        return self._services[service]


class _Own:
    """A user's file: its good lines, and what is wrong with the others."""

    def __init__(self, file: Path, shipped: Mapping[str, Effect], services: Services) -> None:
        self._file = file
        self._shipped = shipped
        self._services = services
        self.lines: dict[str, Effect] = {}
        self.problems: list[str] = []
        document = self._document()
        for service, operations in document.items():
            if isinstance(operations, CommentedMap):
                for operation in operations:
                    self._take(str(service), str(operation), operations)
            else:
                self._say(_line_of(document, (service,)), f"{service}: a service holds a map of operations")

    def _document(self) -> CommentedMap:
        try:
            document = YAML().load(self._file.read_text(encoding="utf-8"))
        except YAMLError as error:
            mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
            what = error.problem if isinstance(error, MarkedYAMLError) else str(error)
            self._say(1 if mark is None else mark.line + 1, f"this is no YAML: {what}")
            return CommentedMap()
        if document is not None and not isinstance(document, CommentedMap):
            self._say(1, "the file is a map of services to operations")
            return CommentedMap()
        return document or CommentedMap()

    def _take(self, service: str, operation: str, operations: CommentedMap) -> None:
        name = f"{service}.{operation}"
        at = _line_of(operations, (operation,))
        try:
            line = Effect.model_validate(_with_read_outcome(operations[operation]))
        except ValidationError as error:
            for problem in error.errors():
                where = ".".join(map(str, problem["loc"])) or "the line"
                self._say(_line_of(operations, (operation, *problem["loc"])), f"{name}: {where}: {problem['msg']}")
            return
        problems = [*self._reclassified(name, line), *misfits(self._services, service, operation, line, self._reads)]
        for what in problems:
            self._say(at, f"{name}: {what}")
        if not problems:
            self.lines[name] = line

    def _reads(self, name: str) -> bool:
        line = self.lines.get(name) or self._shipped.get(name)
        return line is not None and line.effect is EffectClass.READ_ONLY

    def _reclassified(self, name: str, line: Effect) -> Iterator[str]:
        ours = self._shipped.get(name)
        if ours is None or (ours.effect is EffectClass.READ_ONLY) == (line.effect is EffectClass.READ_ONLY):
            return
        if ours.effect is EffectClass.READ_ONLY:
            yield (
                "it was reviewed as read-only, and stays so: models use it to poll, to validate and to verify, "
                f"which must not change anything ({ours.why}). Leave the line out"
            )
        else:
            yield (
                f"it has an effect ({ours.why}) and cannot be called read-only: it would then run before approvals, "
                "be repeated at will and never be undone. Leave the line out, or give another effect class"
            )

    def _say(self, line: int, what: str) -> None:
        self.problems.append(f"{self._file}:{line}: {what}")


def _line_of(document: CommentedMap, path: Iterable[object]) -> int:
    """The line, from 1, on which the part at a path begins, as far as the path leads."""
    place: object = document
    line = document.lc.line
    for step in path:
        if isinstance(place, CommentedMap) and step in place:
            line = place.lc.key(step)[0]
        elif isinstance(place, CommentedSeq) and isinstance(step, int) and step < len(place):
            line = place.lc.item(step)[0]
        else:
            break
        place = place[step]
    return int(line) + 1


def _with_read_outcome(line: object) -> object:
    """Reading is all a read-only operation does; its lines need not say so twice."""
    if isinstance(line, dict) and line.get("effect") == EffectClass.READ_ONLY.value:
        return {"outcome": Outcome.READ.value, **line}
    return line
