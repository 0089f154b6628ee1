"""The connector: `runbook.<playbook>` for every playbook with a meta in the runbooks folders."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from connectors.registry import ConnectorContext
from connectors.runbook.action import RunbookAction
from connectors.runbook.content import Folders, Runbook, pinned_meta, read_runbook
from connectors.runbook.errors import RunbookError
from connectors.runbook.hazards import hazards_of
from connectors.runbook.inventory import known_names
from connectors.runbook.meta import CHECK_MODE, Meta
from connectors.runbook.names_set import refuse_overwritten_arguments
from connectors.runbook.promises import refuse_broken_promises
from connectors.runbook.role_arguments import refuse_unfit_role_arguments
from connectors.runbook.secret_arguments import refuse_undeclared_secrets
from connectors.runbook.settings import RunbookSettings
from request_models.actions import ActionSpec, Hazard
from request_models.json_values import JsonValue

NAME = "runbook"
SETTLES = timedelta(seconds=30)
"""How long after a run's end its absence is no proof: a module on a host outlives the controller for a while."""


class RunbookConnector:
    """Reads the folders anew at each `find`, so that an edited runbook is what the next publishing sees."""

    def __init__(self, settings: RunbookSettings, folders: Folders, state: Path) -> None:
        self._settings = settings
        self._folders = folders
        self._runs = state / "runs"
        self._archives: dict[str, bytes] = {}
        self._examined: dict[tuple[str, str], Mapping[str, tuple[Hazard, ...]]] = {}

    @property
    def name(self) -> str:
        """The first part of the actions' names."""
        return NAME

    def find(self, name: str) -> RunbookAction | None:
        """The action of a playbook. Raises BadMeta or UnsafeRunbook when it is there but cannot be offered."""
        system, _, playbook = name.partition(".")
        file = self._folders.playbooks().get(playbook)
        if system != NAME or file is None:
            return None
        runbook = read_runbook(playbook, file, self._folders)
        digest = runbook.digest
        spec = replace(
            _spec(name, runbook.meta, digest),
            hazards=self._examine(runbook, digest),
            known_hosts=known_names(self._settings.inventory) if runbook.meta.hosts else None,
        )
        self._archives[digest] = runbook.archive
        return RunbookAction(spec, runbook.archive, self._settings, self._runs)

    def pinned(self, name: str, content: bytes) -> RunbookAction:
        """The action as it was archived, whatever became of its files since. Raises BadMeta."""
        meta = pinned_meta(name.partition(".")[2], content)
        digest = hashlib.sha256(content).hexdigest()
        return RunbookAction(_spec(name, meta, digest), content, self._settings, self._runs)

    def _examine(self, runbook: Runbook, digest: str) -> Mapping[str, tuple[Hazard, ...]]:
        """The hazards of a runbook, which is looked at once as long as none of its files changes."""
        key = (runbook.name, digest)
        if key not in self._examined:
            refuse_overwritten_arguments(runbook)
            refuse_unfit_role_arguments(runbook)
            refuse_undeclared_secrets(runbook)
            refuse_broken_promises(runbook)
            self._examined[key] = hazards_of(runbook)
        return self._examined[key]

    def names(self) -> Iterator[str]:
        """The actions that can be offered, sorted; what is wrong with the others is in `problems`."""
        broken = self.problems()
        return (f"{NAME}.{name}" for name in sorted(self._folders.playbooks()) if f"{NAME}.{name}" not in broken)

    def names_below(self, prefix: str) -> list[str]:
        """The playbooks by their files alone, those that cannot be offered too: a check says why not."""
        return [f"{NAME}.{name}" for name in sorted(self._folders.playbooks())] if prefix == f"{NAME}." else []

    def host_groups(self) -> frozenset[str]:
        """The groups and hosts that the settings' inventory files name; none where they cannot be told."""
        return (known_names(self._settings.inventory) or frozenset()) - {"all", "ungrouped"}

    def problems(self) -> dict[str, RunbookError]:
        """Why a playbook that has a meta is not offered, by the action's name."""
        found: dict[str, RunbookError] = {}
        for name in sorted(self._folders.playbooks()):
            try:
                self.find(f"{NAME}.{name}")
            except RunbookError as error:
                found[f"{NAME}.{name}"] = error
        return found

    def content(self, digest: str) -> bytes | None:
        """The archive of a runbook that `find` gave with this digest."""
        return self._archives.get(digest)

    def close(self) -> None:
        """Nothing is held open between runs."""
        self._archives.clear()
        self._examined.clear()


def connector(settings: Mapping[str, JsonValue], context: ConnectorContext) -> RunbookConnector:
    """The connector's factory. Raises pydantic.ValidationError for settings it does not know."""
    return RunbookConnector(
        RunbookSettings.model_validate(settings), Folders.of(context.content_folders), context.state
    )


def _spec(name: str, meta: Meta, digest: str) -> ActionSpec:
    return ActionSpec(
        name=name,
        title=meta.title,
        arguments=meta.arguments_type,
        result=meta.result_type,
        effect=meta.effect,
        contract=meta.contract,
        takes_hosts=meta.hosts,
        content_digest=digest,
        documentation=meta.description,
        secret_hint=f"write `no_log: true` at arguments.{{name}} in playbooks/{name.partition('.')[2]}.meta.yml",
        reads_before=meta.probe == CHECK_MODE,
        probes=meta.probe is not None,
        settles=SETTLES,
    )
