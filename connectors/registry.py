"""Which actions exist: a registry holds the connectors of one process and finds actions by their full names.

Connectors come from three places: the ones shipped, the entry points `orderly.connectors` of installed distributions,
and `extensions/` in the user's content folders. Extensions are loaded by path under a synthetic module name, so that no
folder of a user's can hide a module of ours.
"""

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Protocol, Self, cast, runtime_checkable

from pydantic import ValidationError

from connectors.errors import ConnectorNameTaken, ConnectorUnavailable, UnknownAction
from request_models.actions import Action, ActionSpec, Connector
from request_models.json_values import JsonValue

ENTRY_POINTS = "orderly.connectors"
DISTRIBUTION = "orderly"
MAX_SUGGESTIONS = 3

SHIPPED: Mapping[str, str] = {
    "aws": "connectors.aws:connector",
    "http": "connectors.http_call:connector",
    "mail": "connectors.mail:connector",
    "runbook": "connectors.runbook:connector",
}
"""The same table as `[project.entry-points]` in pyproject.toml, for a clone that is run without being installed."""


@dataclass(frozen=True)
class ConnectorContext:
    """What every connector is told.

    `state` is the folder that may be written to; of `content_folders`, the user's, the first wins; `environment` is
    `dev` or `prod`.
    """

    state: Path
    content_folders: tuple[Path, ...] = ()
    environment: str = "dev"


class ConnectorFactory(Protocol):
    """What an entry point, or the name `connector` in an extension, must be."""

    def __call__(self, settings: Mapping[str, JsonValue], context: ConnectorContext, /) -> Connector: ...


@runtime_checkable
class Suggesting(Protocol):
    """A connector with so many actions that it finds near names by itself."""

    def suggestions(self, name: str) -> list[str]: ...


@runtime_checkable
class Pinning(Protocol):
    """A connector whose actions carry content, and can be had from content that was kept."""

    def pinned(self, name: str, content: bytes) -> Action: ...


@runtime_checkable
class Browsing(Protocol):
    """A connector with so many actions that its names are looked through level by level."""

    def names_below(self, prefix: str) -> Iterable[str]: ...


@runtime_checkable
class Documenting(Protocol):
    """A connector that can say more of an argument than its type does."""

    def argument_documentation(self, name: str, path: tuple[str | int, ...]) -> str: ...


@runtime_checkable
class KnowingHosts(Protocol):
    """A connector that acts on groups of hosts, and knows some of them."""

    def host_groups(self) -> Iterable[str]: ...


@runtime_checkable
class Preparing(Protocol):
    """A connector that can read beforehand what calls of some of its actions need, without connecting to anything."""

    def prepare(self, names: Iterable[str]) -> None: ...


@dataclass(frozen=True)
class _Source:
    """Where a connector comes from, in words, and how its factory is loaded."""

    where: str
    load: Callable[[], object]


class Registry:
    """The connectors of one process. Implements `request_models.actions.ActionCatalogue`. Use `with`, or `close()`."""

    def __init__(self, connectors: Iterable[Connector]) -> None:
        """Raises ConnectorNameTaken when two connectors have one name."""
        self._connectors: dict[str, Connector] = {}
        for connector in connectors:
            if connector.name in self._connectors:
                raise ConnectorNameTaken(connector.name, [repr(self._connectors[connector.name]), repr(connector)])
            self._connectors[connector.name] = connector

    @classmethod
    def discover(cls, settings: Mapping[str, Mapping[str, JsonValue]], context: ConnectorContext) -> Self:
        """Load every connector there is; `settings` has one part for each, by name, which the connector itself checks.

        Raises ConnectorUnavailable naming the connector that does not load or refuses its settings, ConnectorNameTaken.
        """
        with ExitStack() as undo:
            connectors = []
            for name, source in _sources(context).items():
                connector = _make(name, source, settings.get(name, {}), context)
                undo.callback(connector.close)
                connectors.append(connector)
            registry = cls(connectors)
            undo.pop_all()
            return registry

    @property
    def connectors(self) -> tuple[str, ...]:
        """Names of the connectors, sorted."""
        return tuple(sorted(self._connectors))

    def names(self) -> Iterator[str]:
        """Full names of all actions, connector by connector. AWS alone has some 20,000: listing takes seconds."""
        for connector in self._connectors.values():
            yield from connector.names()

    def spec(self, name: str) -> ActionSpec | None:
        """The interface of an action, None when there is no such action."""
        found = self._find(name)
        return None if found is None else found.spec

    def action(self, name: str) -> Action:
        """The action itself. Raises UnknownAction, which says what was probably meant."""
        found = self._find(name)
        if found is None:
            raise UnknownAction(name, self.suggestions(name), self.connectors)
        return found

    def pinned(self, name: str, content: bytes) -> Action:
        """The action as it was when `content` was kept. Raises ActionBroken; UnknownAction without such a connector."""
        connector: object = self._connectors.get(name.partition(".")[0])
        if isinstance(connector, Pinning):
            return connector.pinned(name, content)
        raise UnknownAction(name, [], self.connectors)

    def prepare(self, names: Iterable[str]) -> None:
        """Read beforehand what calls of these actions need. Nothing is connected to; what is unknown is passed over."""
        by_connector: dict[str, list[str]] = {}
        for name in names:
            by_connector.setdefault(name.partition(".")[0], []).append(name)
        for system, theirs in by_connector.items():
            connector: object = self._connectors.get(system)
            if isinstance(connector, Preparing):
                connector.prepare(theirs)

    def suggestions(self, name: str) -> list[str]:
        """The nearest names there are, the best first; empty when nothing is near."""
        system, _, rest = name.partition(".")
        connector = self._connectors.get(system)
        if connector is None:
            near = difflib.get_close_matches(system, self._connectors, n=1)
            if not near or not rest:
                return []
            name, connector = f"{near[0]}.{rest}", self._connectors[near[0]]
            if connector.find(name) is not None:
                return [name]
        if isinstance(connector, Suggesting):
            return connector.suggestions(name)[:MAX_SUGGESTIONS]
        return difflib.get_close_matches(name, list(connector.names()), n=MAX_SUGGESTIONS)

    def names_below(self, prefix: str) -> list[str]:
        """What follows a prefix that is empty or ends with a dot: names of actions, and longer prefixes (`aws.s3.`)."""
        if not prefix:
            return [f"{name}." for name in self.connectors]
        connector = self._connectors.get(prefix.partition(".")[0])
        if connector is None:
            return []
        if isinstance(connector, Browsing):
            return list(connector.names_below(prefix))
        return [name for name in connector.names() if name.startswith(prefix)]

    def argument_documentation(self, name: str, path: tuple[str | int, ...]) -> str:
        """What the system itself says of an argument of an action, as plain text; empty when it says nothing."""
        connector: object = self._connectors.get(name.partition(".")[0])
        return connector.argument_documentation(name, path) if isinstance(connector, Documenting) else ""

    def host_groups(self) -> list[str]:
        """The groups of hosts that the connectors know without asking anything else, sorted."""
        known = (one.host_groups() for one in self._connectors.values() if isinstance(one, KnowingHosts))
        return sorted({group for groups in known for group in groups})

    def content(self, digest: str) -> bytes | None:
        """The archive that an action's `content_digest` names, None when no connector holds it."""
        for connector in self._connectors.values():
            archive = connector.content(digest)
            if archive is not None:
                return archive
        return None

    def close(self) -> None:
        """Let go of what the connectors hold open; all are closed, whatever one of them raises."""
        with ExitStack() as stack:
            for connector in self._connectors.values():
                stack.callback(connector.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _find(self, name: str) -> Action | None:
        connector = self._connectors.get(name.partition(".")[0])
        return None if connector is None else connector.find(name)


def _make(name: str, source: _Source, settings: Mapping[str, JsonValue], context: ConnectorContext) -> Connector:
    try:
        factory = source.load()
        connector: Connector = cast(ConnectorFactory, factory)(settings, context)
        own_name = connector.name
    except ValidationError as error:
        raise ConnectorUnavailable(name, source.where, _settings_problems(name, error)) from error
    except Exception as error:
        raise ConnectorUnavailable(name, source.where, f"{type(error).__name__}: {error}".rstrip(". ")) from error
    if own_name != name:
        connector.close()
        raise ConnectorUnavailable(
            name, source.where, f"it calls itself '{own_name}', so its actions would not be found"
        )
    return connector


def _settings_problems(name: str, error: ValidationError) -> str:
    """Pydantic's report without the values given, which may be secret."""
    problems = [
        f"connectors.{'.'.join([name, *map(str, problem['loc'])])}: {problem['msg']}" for problem in error.errors()
    ]
    return "its settings are wrong (" + "; ".join(problems) + ")"


def _sources(context: ConnectorContext) -> dict[str, _Source]:
    sources: dict[str, _Source] = {}
    for name, source in [*_installed(), *_extensions(context.content_folders)]:
        if name in sources:
            raise ConnectorNameTaken(name, [sources[name].where, source.where])
        sources[name] = source
    return sources


def _installed() -> Iterator[tuple[str, _Source]]:
    points = metadata.entry_points(group=ENTRY_POINTS)
    own = {point.name for point in points if point.dist is not None and point.dist.name == DISTRIBUTION}
    for name in sorted(SHIPPED.keys() - own):
        yield name, _Source("shipped with Orderly", partial(_load_target, SHIPPED[name]))
    for point in sorted(points, key=lambda point: point.name):
        distribution = point.dist.name if point.dist is not None else "an unnamed distribution"
        yield point.name, _Source(f"entry point {point.value} of {distribution}", point.load)


def _load_target(target: str) -> object:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _extensions(folders: Iterable[Path]) -> Iterator[tuple[str, _Source]]:
    """One connector a module or package directly in `extensions/`; names that begin with `_` or `.` are passed over."""
    for folder in folders:
        extensions = folder / "extensions"
        if not extensions.is_dir():
            continue
        for path in sorted(extensions.iterdir()):
            name, file = _extension_file(path)
            if file is not None:
                yield name, _Source(str(file), partial(_load_extension, name, file))


def _extension_file(path: Path) -> tuple[str, Path | None]:
    if path.name.startswith((".", "_")):
        return path.name, None
    if path.is_dir():
        package = path / "__init__.py"
        return path.name, package if package.is_file() else None
    return path.stem, path if path.suffix == ".py" else None


def _load_extension(name: str, file: Path) -> object:
    module = _module_from(name, file.resolve())
    factory: object = getattr(module, "connector", None)
    if factory is None:
        raise ImportError("it has no function connector(settings, context)")
    return factory


def _module_from(name: str, file: Path) -> ModuleType:
    """Load by path, under a name that no other module has; a package's own modules are found below that name."""
    synthetic = f"orderly_extension_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{name}"
    package = file.name == "__init__.py"
    spec = importlib.util.spec_from_file_location(
        synthetic, file, submodule_search_locations=[str(file.parent)] if package else None
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[synthetic] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[synthetic]
        raise
    return module
