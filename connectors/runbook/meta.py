"""`NAME.meta.yml`: what a playbook promises as an action; `runbooks/playbooks/linux_account.meta.yml` is an example.

- `title`, `description`: texts. `contract`: raised when arguments or outputs change incompatibly (default "1").
- `effect`: read-only, idempotent, has-probe, or not-repeatable (the default).
- `check_mode`: honest, partial or none: how far a run with --check can be believed.
- `probe`: with has-probe, how it is found out what a run did of which nobody saw the end: the name of a read-only
  playbook that takes some of the arguments and gives, for each host, `presence` (ours, absent, foreign, cannot_tell, by
  a mark that this runbook leaves) beside the outputs of this one; or `check_mode`, where that is honest. The latter
  goes with idempotent too: what a run would change is recorded before it, so that its repetition after a crash still
  says what the first did. It costs a run with --check before each.
- `arguments`: written as the options of a role's meta/argument_specs.yml, with pattern and bounds (argument_specs.py).
- `outputs`: what the final task gives for each host, written like arguments.
- `single`: true when there is one output for the run, whatever host gave it. `hosts`: false when it acts from here, on
  the implicit localhost.
"""

import keyword
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator

from connectors.runbook.ansible_yaml import parse_yaml
from connectors.runbook.argument_specs import Option, object_type, refuse_unfit_defaults
from connectors.runbook.errors import BadMeta
from request_models.actions import EffectClass
from request_models.value_types import Member, ObjectType, StringType, ValueType

SUFFIX = ".meta.yml"

OUTCOMES = ("made", "changed", "already_so")

CHECK_MODE = "check_mode"
"""In `probe`: run this very playbook with --check."""

PRESENCE = "presence"
"""The output in which a playbook that probes says what it found."""

Effect = Literal[EffectClass.READ_ONLY, EffectClass.IDEMPOTENT, EffectClass.HAS_PROBE, EffectClass.NOT_REPEATABLE]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

RESERVED = frozenset(
    {
        # Ansible's magic variables and keywords,
        "action", "any_errors_fatal", "args", "async", "become", "become_user", "become_method", "changed_when",
        "check_mode", "collections", "connection", "debugger", "delegate_facts", "delegate_to", "diff",
        "environment", "fact_path", "failed_when", "force_handlers", "gather_facts", "gather_subset",
        "gather_timeout", "group_names", "groups", "handlers", "hosts", "hostvars", "ignore_errors",
        "ignore_unreachable", "include", "inventory_dir", "inventory_file", "inventory_hostname",
        "inventory_hostname_short", "item", "lookup", "loop", "loop_control", "max_fail_percentage",
        "module_defaults", "name", "namespace", "no_log", "notify", "omit", "order", "play_hosts", "playbook_dir",
        "poll", "port", "post_tasks", "pre_tasks", "q", "query", "register", "remote_user", "retries",
        "role_name", "role_names", "role_path", "role_uuid", "roles", "run_once", "serial", "strategy", "tags",
        "tasks", "throttle", "timeout", "until", "vars", "vars_files", "vars_prompt", "when", "with_items",
        # and what Jinja puts into every template.
        "range", "dict", "lipsum", "cycler", "joiner", "now", "undef", "true", "false", "none", "and", "or",
        "not", "is", "in", "if", "else", "elif", "for", "block", "endblock", "macro", "set", "filter", "call",
        "import", "from", "extends", "self", "caller", "varargs", "kwargs", "context",
    }
)  # fmt: skip


class Meta(BaseModel):
    """A playbook's interface. Undo is no part of it: a model says how its step is undone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: StrictStr
    description: StrictStr = ""
    contract: StrictStr = "1"
    effect: Effect = EffectClass.NOT_REPEATABLE
    check_mode: Literal["honest", "partial", "none"]
    probe: Name | None = None
    single: bool = False
    hosts: bool = True
    arguments: Annotated[dict[Name, Option], AfterValidator(refuse_unfit_defaults)] = Field(default_factory=dict)
    outputs: dict[Name, Option] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _probe_is_whole(self) -> Self:
        with_idempotent = self.effect is EffectClass.IDEMPOTENT and self.probe == CHECK_MODE
        if (self.probe is None) is (self.effect is EffectClass.HAS_PROBE) and not with_idempotent:
            raise ValueError("probe goes with effect: has-probe; check_mode also with idempotent")
        if self.probe == CHECK_MODE and self.check_mode != "honest":
            raise ValueError("probe: check_mode needs check_mode: honest, or it would say that nothing is left to do")
        return self

    @property
    def arguments_type(self) -> ObjectType:
        """What a step gives."""
        return object_type(self.arguments)

    @property
    def output_type(self) -> ObjectType:
        """What one host, or a `single` run, reports."""
        return object_type(self.outputs)

    @property
    def result_type(self) -> ValueType:
        """What a step gets: the output itself with `single`, else `hosts`, with the output and outcome of each."""
        if self.single:
            return self.output_type
        outcome = Member(type=StringType(enum=OUTCOMES), required=True)
        of_host = ObjectType(members={**self.output_type.members, "outcome": outcome})
        return ObjectType(members={"hosts": Member(type=ObjectType(others=of_host), required=True)})


def read_meta(file: Path) -> Meta:
    """Read and check a meta file. Raises BadMeta."""
    if not file.is_file():
        raise BadMeta(file, "is missing: a playbook is offered as an action when its meta says what it takes and gives")
    return parse_meta(file, file.read_text(encoding="utf-8"))


def parse_meta(file: Path, text: str) -> Meta:
    """Check the text of a meta file. Raises BadMeta."""
    try:
        meta = Meta.model_validate(parse_yaml(file, text, BadMeta))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
        raise BadMeta(file, "; ".join(problems)) from error
    for name in meta.arguments:
        _refuse_reserved(file, name)
    return meta


def _refuse_reserved(file: Path, name: str) -> None:
    if name in RESERVED or keyword.iskeyword(name):
        raise BadMeta(file, f"arguments.{name}: the name means something to Ansible or Jinja already; take another")
    if name.startswith(("ansible_", "orderly_")):
        raise BadMeta(file, f"arguments.{name}: names that begin with ansible_ or orderly_ steer the run; take another")
