# Part of Orderly. Copyright the Orderly contributors.
# GNU General Public License v3.0 or later (see runbooks/plugins/LICENSE)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a secret argument from the engine when it is used."""

from __future__ import annotations

import typing as t
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

# Plugins cannot import one another by name; this is the file they share.
_FILE = Path(__file__).resolve().parents[1] / "orderly_exchange.py"
_SPEC = t.cast(ModuleSpec, spec_from_file_location("orderly_exchange", _FILE))
orderly_exchange = module_from_spec(_SPEC)
t.cast(Loader, _SPEC.loader).exec_module(orderly_exchange)

DOCUMENTATION = """
    name: orderly_secret
    short_description: A secret argument of the step that runs this playbook
    version_added: "0.1.0"
    description:
      - Asks the engine over a Unix socket. A playbook just uses the argument's name, C({{ password }}); the vars plugin
        makes that this lookup.
      - Use it in tasks with C(no_log) only.
    options:
      _terms:
        description: Names of secret arguments.
        required: true
        type: list
        elements: str
"""


class LookupModule(LookupBase):
    """One value for each name."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[t.Any]:
        """The values; they are data, never templates."""
        if not orderly_exchange.is_orderly_run():
            raise AnsibleError("orderly_secret: Orderly did not start this playbook, so there are none")
        answers = [orderly_exchange.ask(want="secret", name=str(name)) for name in terms]
        unknown = [name for name, answer in zip(terms, answers, strict=True) if "value" not in answer]
        if unknown:
            raise AnsibleError(f"orderly_secret: no secret argument is named {', '.join(map(str, unknown))}")
        return [answer["value"] for answer in answers]
