"""The errors of connectors. What a call itself does wrong is `ActionFailed` (request_models.actions), sorted there.

Messages are for people: what, where, why, what to do.
"""

from collections.abc import Iterable, Sequence


class ConnectorError(Exception):
    """Base of what goes wrong around connectors, calls excepted."""


class ConnectorUnavailable(ConnectorError):
    """A connector could not be loaded or set up; `connector` names it and `source` says where it was to come from."""

    def __init__(self, connector: str, source: str, why: str) -> None:
        super().__init__(
            f"The connector '{connector}' ({source}) could not be loaded: {why}. "
            f"Mend it, or correct the settings under 'connectors.{connector}'; nothing was started."
        )
        self.connector = connector
        self.source = source
        self.why = why


class ConnectorNameTaken(ConnectorError):
    """Two connectors want the same name, so that `NAME.*` would mean two things."""

    def __init__(self, name: str, sources: Iterable[str]) -> None:
        self.name = name
        self.sources = tuple(sources)
        super().__init__(
            f"Two connectors are named '{name}': {' and '.join(self.sources)}. "
            "Rename one: the first part of an action's name says which system it acts on."
        )


class UnknownAction(ConnectorError):
    """No connector has an action of this name; `suggestions` are the nearest names there are."""

    def __init__(self, name: str, suggestions: Sequence[str], connectors: Sequence[str]) -> None:
        super().__init__(f"There is no action '{name}'. {_what_to_do(name, suggestions, connectors)}")
        self.name = name
        self.suggestions = tuple(suggestions)


def _what_to_do(name: str, suggestions: Sequence[str], connectors: Sequence[str]) -> str:
    if suggestions:
        return f"Did you mean {' or '.join(suggestions)}?"
    system = name.partition(".")[0]
    if system in connectors:
        return f"The connector '{system}' is there, but it has nothing like it."
    known = ", ".join(connectors) or "none"
    return f"The connectors loaded are: {known}. Install the one that offers '{system}', or correct the name."
