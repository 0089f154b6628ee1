"""Arguments that are secrets are declared so: where their name says it, or a role they are given to."""

from collections.abc import Iterator
from typing import Any

from connectors.runbook.ansible_yaml import read_yaml
from connectors.runbook.argument_specs import secrets_in
from connectors.runbook.content import Runbook
from connectors.runbook.errors import UnsafeRunbook
from connectors.runbook.hazards import arguments_given
from connectors.runbook.reach import reach_of
from request_models.secret_names import names_a_secret


def refuse_undeclared_secrets(runbook: Runbook) -> None:
    """Raise UnsafeRunbook at the first argument that is a secret, and of which nothing says `no_log`."""
    meta_file = runbook.files[f"playbooks/{runbook.name}.meta.yml"]
    undecided = {name for name, option in runbook.meta.arguments.items() if "no_log" not in option.model_fields_set}
    undecided -= secrets_in(runbook.meta.arguments)
    texts = {"str", "raw", "json", "bytes", "list"}
    for name in sorted(undecided):
        if names_a_secret(name) and runbook.meta.arguments[name].type in texts:
            raise UnsafeRunbook(
                meta_file,
                f"arguments.{name}: the name says that it is a secret; write `no_log: true`, so that it is shown and "
                "stored nowhere, or `no_log: false` if it is none",
            )
    given = arguments_given(runbook, reach_of(runbook))
    for option, path in _secret_options(runbook):
        for name in sorted(undecided & given.get(option, frozenset())):
            raise UnsafeRunbook(
                meta_file,
                f"arguments.{name}: it is given to the role's option `{option}`, which is `no_log` ({path}); write "
                "`no_log: true` here too",
            )


def _secret_options(runbook: Runbook) -> Iterator[tuple[str, str]]:
    for path, file in runbook.files.items():
        parts = path.split("/")
        if parts[0] == "roles" and len(parts) == 4 and parts[2] == "meta" and parts[3].startswith("argument_specs."):
            specs: Any = read_yaml(file, UnsafeRunbook)
            for entry in (specs.get("argument_specs") or {}).values() if isinstance(specs, dict) else ():
                for name, option in (entry.get("options") or {}).items() if isinstance(entry, dict) else ():
                    if isinstance(option, dict) and option.get("no_log") is True:
                        yield str(name), path
