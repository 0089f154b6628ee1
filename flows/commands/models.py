"""Models as the commands read them: loaded, compiled, and what is wrong said once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from flows.commands.exits import REFUSED, USAGE, CommandFailed
from flows.verdicts import Verdict, Verdicts
from flows.wiring import Application
from request_models.calendar_documents import Calendars, load_calendars
from request_models.checks.calendars import ALWAYS
from request_models.compiler import Compilation, Surroundings, compile_in
from request_models.diagnostics import Diagnostic, has_errors, in_order, render_text
from request_models.interfaces import Interfaces, orders_of
from request_models.loading import (
    Catalogue,
    Loaded,
    M,
    ModelSource,
    catalogue_of,
    load_catalogue,
    load_file,
    load_model,
    read_file,
)
from request_models.plan import Plan


@dataclass(frozen=True)
class CompiledModels:
    """Compilations by model name, and everything that was found wrong on the way."""

    compilations: Mapping[str, Compilation]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans of the models that are right."""
        return tuple(made.plan for made in self.compilations.values() if made.plan is not None)

    @property
    def wrong(self) -> bool:
        """Whether anything is refused."""
        return has_errors(self.diagnostics)


def compile_models(application: Application, loaded: Loaded) -> CompiledModels:
    """Compile what was loaded against the connectors of this installation. Raises ConnectorUnavailable."""
    surroundings = _surroundings(application, loaded.models)
    made = {source.model: compile_in(source, surroundings) for source in loaded.models}
    found = [*loaded.diagnostics, *(each for one in made.values() for each in one.diagnostics)]
    return CompiledModels(made, in_order(found))


@dataclass(frozen=True)
class CheckedModels:
    """What was found in each model, by name, and everything that was found wrong."""

    verdicts: Mapping[str, Verdict]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """What is left to run time: nothing is wrong with it."""
        return in_order(note for verdict in self.verdicts.values() for note in verdict.notes)


def check_models(application: Application, paths: Iterable[Path], *, remember: bool = True) -> CheckedModels:
    """What is found in the models of the files and folders named, or of all folders that the settings name.

    What is known from before and did not change is not compiled again, unless `remember` is false. Raises
    CommandFailed for a path that is none, ConnectorUnavailable.
    """
    named = list(paths)
    verdicts = Verdicts.open(application.settings) if remember else Verdicts.none()

    @cache
    def together() -> Surroundings:
        """What models that order others are compiled against: all that are checked here are among the others."""
        return _surroundings(application, load_models(application, named).models)

    def load(file: Path) -> tuple[Verdict | None, tuple[Diagnostic, ...]]:
        content = read_file(file)
        if isinstance(content, Diagnostic):
            return None, (content,)
        known = verdicts.find(file, content)
        if known is not None:
            return known, ()
        source, found = load_model(str(file), content)
        if source is None:
            return None, found
        made = compile_in(source, together()) if _orders_others(source) else compile_one(application, source)
        verdict = Verdict(source.model, str(file), made.plan is not None, (*found, *made.diagnostics), made.notes)
        if not _orders_others(source):
            verdicts.put(file, content, verdict)
        return verdict, ()

    checked = _catalogue(application, named, load)
    verdicts.save()
    found = [*checked.diagnostics, *(each for verdict in checked.models for each in verdict.diagnostics)]
    return CheckedModels({verdict.model: verdict for verdict in checked.models}, in_order(found))


def compile_one(application: Application, source: ModelSource) -> Compilation:
    """Compile one model in the surroundings of this installation. Raises ConnectorUnavailable."""
    return compile_in(source, _surroundings(application, (source,)))


def _surroundings(application: Application, sources: tuple[ModelSource, ...]) -> Surroundings:
    """What models are compiled against. Calendars and other models are read only where one of these names some."""
    documents = [source.document for source in sources]
    named = any(one.due.calendar != ALWAYS or (one.starts and one.starts.window) for one in documents)
    calendars = load_calendars(application.calendar_folders) if named else Calendars()
    surroundings = Surroundings(application.registry, application.settings.public, calendars.to_json())
    if not any(_orders_others(source) for source in sources):
        return surroundings
    others = load_catalogue(application.model_folders).models
    return Interfaces((*others, *sources), surroundings).surroundings


def _orders_others(source: ModelSource) -> bool:
    return bool(orders_of(source.document)) or source.document.lease is not None


def load_models(application: Application, paths: Iterable[Path]) -> Loaded:
    """The models of the files and folders named, or of all folders that the settings name."""
    return _catalogue(application, paths, load_file)


def _catalogue(
    application: Application,
    paths: Iterable[Path],
    load: Callable[[Path], tuple[M | None, tuple[Diagnostic, ...]]],
) -> Catalogue[M]:
    named = list(paths)
    if not named:
        return catalogue_of(application.model_folders, load)
    models: list[M] = []
    diagnostics: list[Diagnostic] = []
    for path in named:
        if path.is_dir():
            loaded = catalogue_of([_models_folder(path)], load)
            models += loaded.models
            diagnostics += loaded.diagnostics
        elif path.exists():
            model, found = load(path)
            models += [model] if model is not None else []
            diagnostics += found
        else:
            raise CommandFailed(f"There is no file or folder {path}.", USAGE)
    return Catalogue(tuple(models), in_order(diagnostics))


def find_model(application: Application, model: str) -> ModelSource:
    """A model by name; what looks like a path is a file. Raises CommandFailed, which says what was probably meant."""
    loaded = load_models(application, [Path(model)] if model.endswith((".yaml", ".yml")) else ())
    source = loaded.models[0] if model.endswith((".yaml", ".yml")) and loaded.models else loaded.find(model)
    if source is None:
        raise CommandFailed(_missing(model, loaded), USAGE)
    return source


def plan_of_model(application: Application, model: str) -> Plan:
    """The plan of a model, by name or file, to be looked at: not all of it need be runnable yet.

    Raises CommandFailed with the diagnostics of one that is wrong.
    """
    compilation = compile_one(application, find_model(application, model))
    plan = compilation.stages.get("planned")
    if not isinstance(plan, Plan):
        raise CommandFailed(
            f"The model is wrong, so it has no plan:\n{render_text(compilation.diagnostics)}",
            REFUSED,
            {"diagnostics": [one.to_json() for one in compilation.diagnostics]},
        )
    return plan


def _missing(model: str, loaded: Loaded) -> str:
    if loaded.diagnostics:
        return f"{model!r} is not among the models that can be read:\n{render_text(loaded.diagnostics)}"
    names = [source.model for source in loaded.models]
    near = get_close_matches(model, names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names) or 'none'}."
    return f"There is no model {model!r}. {hint}"


def _models_folder(path: Path) -> Path:
    """A content folder stands for its models."""
    return path / "models" if (path / "models").is_dir() else path
