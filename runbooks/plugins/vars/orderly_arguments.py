# Part of Orderly. Copyright the Orderly contributors.
# GNU General Public License v3.0 or later (see runbooks/plugins/LICENSE)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives each host the arguments of the step, as data."""

from __future__ import annotations

import typing as t
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ansible.inventory.host import Host
from ansible.plugins.vars import BaseVarsPlugin
from ansible.template import trust_as_template

# Plugins cannot import one another by name; this is the file they share.
_FILE = Path(__file__).resolve().parents[1] / "orderly_exchange.py"
_SPEC = t.cast(ModuleSpec, spec_from_file_location("orderly_exchange", _FILE))
orderly_exchange = module_from_spec(_SPEC)
t.cast(Loader, _SPEC.loader).exec_module(orderly_exchange)

DOCUMENTATION = """
    name: orderly_arguments
    short_description: The arguments of the step that runs this playbook
    version_added: "0.1.0"
    description:
      - Gives each host the arguments that Orderly was called with. Their text is never a template, whatever it holds.
      - They beat group and host variables, the inventory and role defaults. They lose to C(vars) of plays and roles,
        C(set_fact) and C(register); Orderly refuses a runbook that sets an argument's name in one of these.
      - A secret argument is a reference, resolved by the C(orderly_secret) lookup where it is used.
    options: {}
"""


class VarsModule(BaseVarsPlugin):
    """Reads the arguments once a process; a host's variables are its own, so they win over those of its groups."""

    REQUIRES_ENABLED = True
    _arguments: t.ClassVar[dict[str, t.Any] | None] = None

    def get_vars(self, loader: t.Any, path: str, entities: t.Any, cache: bool = True) -> dict[str, t.Any]:
        """The arguments for a host, nothing for a group."""
        super().get_vars(loader, path, entities)
        if not orderly_exchange.is_orderly_run():
            return {}
        entities = entities if isinstance(entities, list) else [entities]
        if not any(isinstance(entity, Host) for entity in entities):
            return {}
        if VarsModule._arguments is None:
            VarsModule._arguments = _received(orderly_exchange.ask(want="arguments"))
        return VarsModule._arguments


def _received(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    # Only this text, made of a name that Orderly checked, is a template; what a person gave is data.
    references = {name: trust_as_template(f"{{{{ lookup('orderly_secret', '{name}') }}}}") for name in answer["secret"]}
    return {**answer["plain"], **references}
