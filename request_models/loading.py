"""Model files to documents. A mistake in one file never hides another's; nothing is raised for what a file holds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any, Generic, Protocol, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from request_models.diagnostics import Diagnostic, in_order
from request_models.document import Document
from request_models.json_values import JsonValue
from request_models.schema import ModelDocument
from request_models.step_documents import (
    GROUP_TAG,
    PARALLEL_TAG,
    STEP_TAG,
    GroupDocument,
    ParallelDocument,
    StepDocument,
)
from request_models.yaml_source import MAX_BYTES, Path, YamlSource, read_yaml

MOST_PROBLEMS = 200
"""Most mistakes of shape that are told of one file: further ones are told once these are mended."""


@dataclass(frozen=True)
class ModelSource:
    """A model as it was written, its shape checked."""

    source: YamlSource
    document: ModelDocument

    @property
    def model(self) -> str:
        """The model's name."""
        return self.document.model

    @property
    def file(self) -> str:
        """The file it came from."""
        return self.source.file

    def to_json(self) -> dict[str, JsonValue]:
        """The stage `loaded`: the document with what was left out filled in."""
        return self.document.model_dump(mode="json", by_alias=True, exclude_none=True)


class Named(Protocol):
    """Something that bears a model's name and came from a file."""

    @property
    def model(self) -> str: ...

    @property
    def file(self) -> str: ...


M = TypeVar("M", bound=Named)


@dataclass(frozen=True)
class Catalogue(Generic[M]):
    """The models of some folders, by name, and what is wrong with the files that gave none (or warnings)."""

    models: tuple[M, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    def find(self, model: str) -> M | None:
        """The model of a name, None when there is none."""
        return next((source for source in self.models if source.model == model), None)


Loaded = Catalogue[ModelSource]
"""The models of some folders, loaded."""


def load_catalogue(folders: Iterable[FilePath]) -> Loaded:
    """Every `*.yaml` and `*.yml` of the folders; those that do not exist hold no models.

    A model in an earlier folder stands in for one of its name in a later one.
    """
    return catalogue_of(folders, load_file)


def catalogue_of(
    folders: Iterable[FilePath], load: Callable[[FilePath], tuple[M | None, tuple[Diagnostic, ...]]]
) -> Catalogue[M]:
    """As `load_catalogue`, with `load` in the place of `load_file`."""
    models: dict[str, M] = {}
    diagnostics: list[Diagnostic] = []
    for folder in folders:
        here: dict[str, M] = {}
        for file in sorted(path for path in folder.glob("*") if path.suffix in {".yaml", ".yml"} and path.is_file()):
            model, found = load(file)
            diagnostics.extend(found)
            if model is not None and model.model in here:
                diagnostics.append(_named_twice(model, here[model.model]))
            elif model is not None:
                here[model.model] = model
        models = {**here, **models}
    return Catalogue(tuple(models[name] for name in sorted(models)), in_order(diagnostics))


def load_file(file: FilePath) -> tuple[ModelSource | None, tuple[Diagnostic, ...]]:
    """One model file."""
    content = read_file(file)
    return (None, (content,)) if isinstance(content, Diagnostic) else load_model(str(file), content)


def read_file(file: FilePath) -> bytes | Diagnostic:
    """The content of a model file, as far as one may be long; a diagnostic when it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        return Diagnostic("unreadable", f"this file cannot be read: {error.strerror}", str(file))


def load_model(file: str, content: bytes | str) -> tuple[ModelSource | None, tuple[Diagnostic, ...]]:
    """One model from a file's content; `file` names it in diagnostics. None when its shape is wrong."""
    source = read_yaml(file, content.encode() if isinstance(content, str) else content)
    if source.value is None and source.diagnostics:
        return None, source.diagnostics
    if not isinstance(source.value, dict):
        wrong = source.diagnostic((), "wrong-shape", "a model is a map: it starts with `model: NAME`")
        return None, (*source.diagnostics, wrong)
    try:
        document = ModelDocument.model_validate(source.value)
    except ValidationError as error:
        return None, in_order([*source.diagnostics, *_shape_problems(source, error)])
    return (None if source.diagnostics else ModelSource(source, document)), source.diagnostics


def _named_twice(model: Named, first: Named) -> Diagnostic:
    message, hint = f"there is another model `{model.model}` in {first.file}", "give one of them another name"
    source, _ = load_file(FilePath(model.file))
    if source is None:  # it was changed this very moment
        return Diagnostic("duplicate-model", message, model.file, hint=hint)
    return source.source.diagnostic(("model",), "duplicate-model", message, hint=hint)


def _shape_problems(source: YamlSource, error: ValidationError) -> Iterator[Diagnostic]:
    problems = error.errors(include_url=False, include_context=True, include_input=False)
    located = [(_place(source, problem["loc"]), problem) for problem in problems[:MOST_PROBLEMS]]
    misspelt = {_suggestion(path, problem) for path, problem in located if problem["type"] == "extra_forbidden"}
    for path, problem in located:
        if problem["type"] == "too_short" and _told_below(path, located):
            continue  # pydantic counts the items that are good; those that are not have told already
        if problem["type"] == "missing" and (path, problem["loc"][-1]) in misspelt:
            continue  # it is there, under a misspelt name, which is told
        yield _say_problem(source, path, problem)


def _told_below(path: Path, located: list[tuple[Path, Any]]) -> bool:
    return any(other[: len(path)] == path and len(other) > len(path) for other, _ in located)


def _suggestion(path: Path, problem: Any) -> tuple[Path, str | None]:
    """Where a key is misspelt and what it was meant to be."""
    near = get_close_matches(str(problem["loc"][-1]), _keys(_document_at(problem["loc"][:-1])), n=1)
    return path[:-1], near[0] if near else None


def _place(source: YamlSource, location: tuple[int | str, ...]) -> Path:
    """The path of a pydantic location: parts that stand for no key of the file (`actions`, `[key]`) are passed over."""
    return source.known(tuple(part for part in location if part != "[key]"))


def _say_problem(source: YamlSource, path: Path, problem: Any) -> Diagnostic:
    kind, location = problem["type"], problem["loc"]
    document = _document_at(location[:-1])
    if kind == "extra_forbidden":
        near = get_close_matches(str(location[-1]), _keys(document), n=1)
        hint = f"is `{near[0]}` meant?" if near else f"known here: {', '.join(_keys(document))}"
        message = f"there is no key `{location[-1]}` here"
        return source.diagnostic(path, "unknown-key", message, hint=hint, on_key=True)
    if kind == "missing":
        message = f"`{location[-1]}` is missing here"
        return source.diagnostic(path, "missing-key", message, on_key=True)
    if location and location[-1] == "[key]":
        hint = "names are small letters, digits and underscores, and start with a letter"
        return source.diagnostic(path, "bad-name", f"`{path[-1]}` is not a name", hint=hint, on_key=True)
    if path == ("owners", "accountable"):
        hint = "name one; the others belong under `responsible` or `consulted`"
        return source.diagnostic(path, "one-accountable", "exactly one is accountable for a model", hint=hint)
    hint = _HINTS.get(str(location[-1]) if location else "", "")
    return source.diagnostic(path, "wrong-shape", _say(problem), hint=hint)


_BLOCKS: dict[str, type[Document]] = {
    STEP_TAG: StepDocument,
    GROUP_TAG: GroupDocument,
    PARALLEL_TAG: ParallelDocument,
}
_HINTS = {
    "model": "letters and digits, parts joined by hyphens: project-bucket",
    "id": "small letters, digits and underscores, starting with a letter: create_bucket",
    "title": "one text, or a map of languages to texts; what YAML takes for a number or boolean goes in quotes",
    "summary": "one text, or a map of languages to texts; what YAML takes for a number or boolean goes in quotes",
    "when": "a condition is an expression in text: inputs.days > 30",
}


def _say(problem: Any) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "string_type":
            return "this must be text"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "this must be a map"
        case "tuple_type" | "list_type":
            return "this must be a list"
        case "literal_error":
            return f"this must be one of {context.get('expected', '')}".replace("'", "`")
        case "value_error":
            return str(context.get("error", problem["msg"]))
        case "string_pattern_mismatch":
            return "this is not a name of the language"
        case "too_short" | "string_too_short":
            least = context.get("min_length", 1)
            return f"this must have {least} items at least" if least > 1 else "this must not be empty"
        case _:
            return f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _keys(document: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in document.model_fields.items()]


def _document_at(location: tuple[int | str, ...]) -> type[Document]:
    """The class of document that a pydantic location leads to."""
    document: type[Document] = ModelDocument
    for part in location:
        if part in _BLOCKS:
            document = _BLOCKS[str(part)]
            continue
        fields = document.model_fields.items()
        field = next((field for name, field in fields if part in {field.alias or name, name}), None)
        found = None if field is None else _document_in(field.annotation)
        document = found or document
    return document


def _document_in(annotation: Any) -> type[Document] | None:
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _document_in(inner)) is not None), None)
