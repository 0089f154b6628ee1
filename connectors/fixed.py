"""A connector whose few actions are all known when it is made."""

from collections.abc import Iterable, Mapping

from request_models.actions import Action


class FixedConnector:
    """Actions by full name under one connector name; nothing is held open, and no content is carried."""

    def __init__(self, name: str, actions: Iterable[Action]) -> None:
        self._name = name
        self._actions: Mapping[str, Action] = {action.spec.name: action for action in actions}

    @property
    def name(self) -> str:
        return self._name

    def find(self, name: str) -> Action | None:
        return self._actions.get(name)

    def names(self) -> Iterable[str]:
        return tuple(self._actions)

    def content(self, digest: str) -> bytes | None:
        return None

    def close(self) -> None:
        return None
