"""A worker that is killed with SIGKILL in the middle of a call: `python killed_worker.py ORDER`, ORDER being JSON.

It runs the steps of a request with the real connectors, and ends itself right after a step's action had its effect, or
right before, so that nobody hears of it.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.registry import ConnectorContext, Registry
from flows.execution import Execution, FlowRunIdentity, Proceed
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.settings import load_settings
from request_models.actions import Action, ActionCall, ActionResult, ActionSpec


@dataclass(frozen=True)
class Deadly:
    """An action whose process does not survive it; it reads and probes as the real one does."""

    inner: Any
    after_effect: bool

    @property
    def spec(self) -> ActionSpec:
        spec: ActionSpec = self.inner.spec
        return spec

    def run(self, call: ActionCall) -> ActionResult:
        if self.after_effect:
            self.inner.run(call)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class DeadlyRegistry(Registry):
    """A registry in which one action is deadly."""

    deadly: str
    after_effect: bool

    def action(self, name: str) -> Action:
        return self._touched(name, super().action(name))

    def pinned(self, name: str, content: bytes) -> Action:
        return self._touched(name, super().pinned(name, content))

    def _touched(self, name: str, action: Action) -> Action:
        return Deadly(action, self.after_effect) if name == self.deadly else action


def main(order: dict[str, Any]) -> None:
    """Run the request until the deadly action."""
    settings = load_settings(state=Path(order["state"]), connectors=order["connectors"])
    context = ConnectorContext(settings.state, tuple(map(Path, order["content"])))
    registry = DeadlyRegistry.discover(settings.connectors, context)
    registry.deadly, registry.after_effect = order["action"], order["after_effect"]
    records = Records.open(settings.records_url, Keyring.open(settings.keyring_file))
    entry = Execution(records, registry, settings).enter(
        order["request"], FlowRunIdentity(order["flow_run"], order["key"])
    )
    assert isinstance(entry, Proceed), entry
    with entry.session as session:
        session.walk(lambda unit: session.run_step(unit, print))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
