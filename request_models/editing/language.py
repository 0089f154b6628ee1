"""What the language says may stand at a path of a model, from the editor's schema: keys, values, what each is for."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from request_models.editor_schema import editor_schema
from request_models.yaml_source import Path

Schema = Mapping[str, Any]

_GROUPS = frozenset({"steps", "parallel", "else"})


class Language:
    """The schema of models, asked by path."""

    @cached_property
    def _root(self) -> dict[str, Any]:
        return dict(editor_schema())

    def keys(self, path: Path) -> dict[str, Schema]:
        """The keys of the map at a path, of all forms that it may have."""
        found: dict[str, Schema] = {}
        for schema in self.at(path):
            for key, part in schema.get("properties", {}).items():
                found.setdefault(key, part)
        return found

    def required(self, path: Path) -> frozenset[str]:
        """The keys that must be given there in one of its forms."""
        return frozenset(str(key) for schema in self.at(path) for key in schema.get("required", []))

    def values(self, path: Path) -> list[str]:
        """The texts that may stand there, if they are few."""
        found: list[str] = []
        for schema in self.at(path):
            known = [schema["const"]] if "const" in schema else schema.get("enum", [])
            found += [str(value) for value in known]
            found += ["true", "false"] if schema.get("type") == "boolean" else []
        return list(dict.fromkeys(found))

    def description(self, path: Path) -> str:
        """What a key is for; empty when the language says nothing of it."""
        return next((str(text) for schema in self._found(path) if (text := schema.get("description"))), "")

    def is_map(self, path: Path) -> bool:
        """Whether a map stands there, and nothing but a map."""
        forms = self.at(path)
        return bool(forms) and all(schema.get("type") == "object" for schema in forms)

    def is_list(self, path: Path) -> bool:
        """Whether a list stands there, and nothing but a list."""
        forms = self.at(path)
        return bool(forms) and all(schema.get("type") == "array" for schema in forms)

    def at(self, path: Path) -> list[Schema]:
        """Every form of what may stand at a path, references followed."""
        return [form for schema in self._found(path) for form in self._forms(schema)]

    def _found(self, path: Path) -> list[Schema]:
        found = self._walk(path)
        # Steps within steps are steps, whether or not the schema leads there.
        while not found and (shorter := _without_a_group(path)) is not None:
            path = shorter
            found = self._walk(path)
        return found

    def _walk(self, path: Path) -> list[Schema]:
        found: list[Schema] = [self._root]
        for part in path:
            found = [below for schema in found for form in self._forms(schema) for below in _below(form, part)]
        return found

    def _forms(self, schema: Schema, depth: int = 0) -> Iterator[Schema]:
        if depth > 8:
            return
        if "$ref" in schema:
            yield from self._forms(self._root["$defs"][str(schema["$ref"]).rpartition("/")[2]], depth + 1)
            return
        inner = [part for key in ("anyOf", "allOf", "oneOf") for part in schema.get(key, [])]
        # What a block is its keys tell; one that is being written may still become any.
        inner += [schema[key] for key in ("then", "else") if key in schema]
        if inner:
            for part in inner:
                yield from self._forms(part, depth + 1)
        if not inner or "properties" in schema:
            yield schema


def _below(schema: Schema, part: str | int) -> Iterator[Schema]:
    if isinstance(part, int):
        items = schema.get("items")
        if isinstance(items, Mapping):
            yield items
    elif part in schema.get("properties", {}):
        yield schema["properties"][part]
    elif isinstance(schema.get("additionalProperties"), Mapping):
        yield schema["additionalProperties"]


def _without_a_group(path: Path) -> Path | None:
    """The path with its innermost steps directly under the model; None when they are."""
    for index in range(len(path) - 2, 1, -1):
        if path[index] in _GROUPS and isinstance(path[index + 1], int) and isinstance(path[index - 1], int):
            return ("steps", *path[index + 1 :])
    return None
