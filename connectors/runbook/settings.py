"""The connector's part of the settings, `connectors.runbook`."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _absolute(path: Path) -> Path:
    if not path.expanduser().is_absolute():
        raise ValueError("must be an absolute path: runs have a working folder of their own")
    return path.expanduser()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class SshSettings(BaseModel):
    """How hosts are reached where the inventory does not say. Keys stay in files; host keys are always checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str | None = None
    private_key_file: AbsolutePath | None = None
    known_hosts_file: AbsolutePath | None = None
    connect_seconds: Annotated[int, Field(ge=1, le=300)] = 10


class RunbookSettings(BaseModel):
    """`inventory` are files or folders that Ansible reads: the operator's own, trusted. `forks` hosts work at once.

    `kill_seconds` is how long a run that was stopped may take to end before it is killed outright.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inventory: list[AbsolutePath] = Field(default_factory=list)
    ssh: SshSettings = Field(default_factory=SshSettings)
    forks: Annotated[int, Field(ge=1, le=500)] = 10
    kill_seconds: Annotated[float, Field(gt=0, le=120)] = 15.0
