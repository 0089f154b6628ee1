# Part of Orderly. Copyright the Orderly contributors.
# GNU General Public License v3.0 or later (see runbooks/plugins/LICENSE)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback of the clean-up after a run: says of each host whether nothing of the run is left there."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: orderly_ended
    type: stdout
    short_description: Reports a clean-up to Orderly
    version_added: "0.1.0"
    description:
      - Writes a JSON line to the file that the variable ORDERLY_ENDED names, whenever more is known of a host.
      - The last line of a host counts. Its C(left) says why something may be left there; it is empty if nothing is.
    options: {}
"""


class CallbackModule(CallbackBase):
    """What became of each host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "orderly_ended"

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Name the hosts before any is connected to."""
        inventory = play.get_variable_manager()._inventory  # noqa: SLF001 - no other way to the inventory from a callback
        for host in inventory.get_hosts(play.hosts):
            _say(host.name, "it did not answer in time")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """What one look and kill came to."""
        lines = str(result.result.get("stdout", "")).split("\n")
        as_root = bool(result.task.become)
        _say(result.host.get_name(), _left([line.strip() for line in lines], as_root, result.result))

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Nothing is known of it, then."""
        _say(result.host.get_name(), str(result.result.get("msg", "")).strip() or "it is unreachable")


def _left(lines: list[str], as_root: bool, result: dict[str, t.Any]) -> str:
    became = os.environ.get("ORDERLY_BECAME") == "1"
    left = next((line for line in lines if line.startswith("left ")), None)
    if left is not None:
        return f"processes {left.removeprefix('left ')} cannot be killed"
    if "ended" in lines:
        return "" if as_root or "user 0" in lines or not became else "the run was another user there"
    if as_root:
        return f"the run was another user there, and root was refused: {_words(result)}" if became else ""
    return f"its processes could not be looked at: {_words(result)}"


def _words(result: dict[str, t.Any]) -> str:
    said = (str(result.get(part) or "").strip() for part in ("msg", "stderr", "stdout"))
    return "; ".join(filter(None, said))[:500] or "it gave no reason"


def _say(host: str, left: str) -> None:
    with Path(os.environ["ORDERLY_ENDED"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"host": host, "left": left}) + "\n")
