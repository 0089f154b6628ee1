"""The composition root: the only place where the parts of the application are put together.

The records and what works on them are imported when first asked for: to check a model needs no database, and half the
time of that command would go to importing one.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import request_models
from connectors.registry import ConnectorContext, Registry
from flows.bells import KEEPER, ring
from flows.settings import Settings

if TYPE_CHECKING:
    from flows.approval_deadlines import Deadlines
    from flows.approval_links import ApprovalLinks
    from flows.approval_mail import ApprovalMail
    from flows.approvals import Approvals
    from flows.corrections import Corrections
    from flows.execution import Execution
    from flows.identity.callers import Callers
    from flows.incoming_events import IncomingEvents
    from flows.interventions import Interventions
    from flows.lifecycle import Lifecycle
    from flows.people_tasks import PeopleTasks
    from flows.prerequisites import Prerequisites
    from flows.records.records import Records


_kept_registry: tuple[Settings, Registry] | None = None


def keep_registry(settings: Settings) -> Registry:
    """Make the registry that every fork of this process will have: connectors loaded, nothing connected.

    Raises ConnectorUnavailable.
    """
    global _kept_registry  # noqa: PLW0603 - what a fork inherits is what the process has
    registry = Application.open(settings).registry
    _kept_registry = settings, registry
    return registry


@dataclass(frozen=True)
class Application:
    """Everything one process needs, each part opened when it is first asked for. Use as a context manager, or close it.

    Nothing here is carried over a fork but a registry that was kept for it: a child opens its own.
    """

    settings: Settings

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The application with these settings. Parts raise their own errors when they are first used."""
        return cls(settings)

    @cached_property
    def records(self) -> "Records":
        """The records. Raises RecordsUnavailable, KeyringError."""
        from flows.records.keyring import Keyring  # noqa: PLC0415 - see above
        from flows.records.records import Records  # noqa: PLC0415 - see above

        keyring = Keyring.open(self.settings.keyring_file)
        return Records.open(self.settings.records_url, keyring, announce=lambda: ring(self.settings.state, KEEPER))

    @cached_property
    def registry(self) -> Registry:
        """Which actions exist. Raises ConnectorUnavailable."""
        if _kept_registry is not None and _kept_registry[0] == self.settings:
            return _kept_registry[1]
        context = ConnectorContext(
            state=self.settings.state,
            content_folders=self.settings.content,
            environment=self.settings.environment,
        )
        return Registry.discover(self.settings.connectors, context)

    @cached_property
    def callers(self) -> "Callers":
        """Who stands behind a credential."""
        from flows.identity.callers import Callers  # noqa: PLC0415 - see above

        return Callers(self.records, self.settings.identity)

    @cached_property
    def lifecycle(self) -> "Lifecycle":
        """What can be done to a request."""
        from flows.lifecycle import Lifecycle  # noqa: PLC0415 - see above

        return Lifecycle(self.records, self.settings.public)

    @cached_property
    def tasks(self) -> "PeopleTasks":
        """What can be done to people's tasks."""
        from flows.people_tasks import PeopleTasks  # noqa: PLC0415 - see above

        return PeopleTasks(self.records)

    @cached_property
    def interventions(self) -> "Interventions":
        """What can be done to requests on hold."""
        from flows.interventions import Interventions  # noqa: PLC0415 - see above

        return Interventions(self.records, self.registry, self.lifecycle)

    @cached_property
    def corrections(self) -> "Corrections":
        """How inputs of requests on hold are corrected."""
        from flows.corrections import Corrections  # noqa: PLC0415 - see above

        return Corrections(self.interventions, self.registry, self.settings.public)

    @cached_property
    def events(self) -> "IncomingEvents":
        """Where events come in."""
        from flows.incoming_events import IncomingEvents  # noqa: PLC0415 - see above

        return IncomingEvents(self.records)

    @cached_property
    def execution(self) -> "Execution":
        """What a flow run does."""
        from flows.execution import Execution  # noqa: PLC0415 - see above

        return Execution(self.records, self.registry, self.settings)

    @cached_property
    def prerequisites(self) -> "Prerequisites":
        """How prerequisites of requests are read."""
        from flows.prerequisites import Prerequisites  # noqa: PLC0415 - see above

        return Prerequisites(self.records, self.registry, self.settings)

    @cached_property
    def approvals(self) -> "Approvals":
        """What can be done to approvals."""
        from flows.approvals import Approvals  # noqa: PLC0415 - see above

        return Approvals(self.records, self.settings.public)

    @cached_property
    def approval_links(self) -> "ApprovalLinks":
        """How people decide by the link of a mail."""
        from flows.approval_links import ApprovalLinks  # noqa: PLC0415 - see above
        from flows.approver_directory import ApproverDirectory  # noqa: PLC0415 - see above

        return ApprovalLinks(self.records, self.approvals, ApproverDirectory(self.settings.approvers))

    @cached_property
    def approval_mail(self) -> "ApprovalMail":
        """How people hear of what they are asked."""
        from flows.approval_mail import ApprovalMail  # noqa: PLC0415 - see above
        from flows.approver_directory import ApproverDirectory  # noqa: PLC0415 - see above

        directory = ApproverDirectory(self.settings.approvers)
        return ApprovalMail(self.records, self.registry, directory, self.settings.api.url)

    @cached_property
    def deadlines(self) -> "Deadlines":
        """What time does to approvals."""
        from flows.approval_deadlines import Deadlines  # noqa: PLC0415 - see above

        return Deadlines(self.records, self.settings.public)

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """Where models are looked for: the user's folders, then the shipped catalogue."""
        shipped = Path(request_models.__file__).parent / "catalogue"
        return (*(folder / "models" for folder in self.settings.content), shipped)

    @property
    def calendar_folders(self) -> tuple[Path, ...]:
        """Where calendars are looked for: the user's folders, then the shipped ones."""
        shipped = Path(request_models.__file__).parent / "catalogue" / "calendars"
        return (*(folder / "calendars" for folder in self.settings.content), shipped)

    def close(self) -> None:
        """Let go of what was opened."""
        opened = vars(self)
        if "registry" in opened:
            self.registry.close()
        if "records" in opened:
            self.records.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
