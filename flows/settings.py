"""Settings in layers: defaults, then the files named by ORDERLY_SETTINGS, then ORDERLY_* variables (design section 7).

ORDERLY_SETTINGS is a list of YAML files, separated as in PATH; a later file wins, key by key. A variable names a nested
setting with two underscores: ORDERLY_API__PORT=8300.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from flows.errors import SettingsError
from flows.identity_settings import IdentitySettings

SETTINGS_FILES = "ORDERLY_SETTINGS"


def _default_state() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "orderly"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApiSettings(_Part):
    """Where our API listens, and how the outside names it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8220, ge=1, le=65535)
    public_url: str | None = None
    """What links in answers and in Prefect start with; by default the address it listens on."""

    @property
    def url(self) -> str:
        """The base URL for links, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


class PrefectSettings(_Part):
    """The Prefect server that runs the flows."""

    api_url: str = "http://127.0.0.1:4200/api"
    ui_url: str | None = None
    work_pool: str = "orderly"
    auth_string: SecretStr | None = None

    @property
    def ui(self) -> str:
        """The base URL of Prefect's UI, without a slash at the end."""
        return (self.ui_url or self.api_url.removesuffix("/api")).rstrip("/")


class KeeperSettings(_Part):
    """How often the keeper looks, in seconds, and when it gives a run up."""

    dispatch_every: float = Field(default=0.5, gt=0)
    reconcile_every: float = Field(default=5.0, gt=0)
    crashes_before_hold: int = Field(default=5, ge=1)
    longest_run_seconds: float = Field(default=86_400.0, gt=0)
    """A request that one process runs for longer than this goes on hold; it does not count while it waits."""
    lock_hold_seconds: float = Field(default=86_400.0, gt=0)
    """How long a request on hold keeps its locks; a retry takes them again."""
    prerequisites_seconds: float = Field(default=14_400.0, gt=0)
    """For how long a prerequisite that cannot be read is tried, before its request is rejected."""


class ClaimSettings(_Part):
    """How long a claim lives without being renewed, in seconds (invariant 2)."""

    ttl_seconds: float = Field(default=30.0, ge=1)


class ApproverSettings(_Part):
    """Somebody who decides: where mail is sent to, and the groups that he is one of."""

    email: str
    name: str = ""
    groups: tuple[str, ...] = ()


class WorkerSettings(_Part):
    """The worker of this machine."""

    limit: int = Field(default_factory=lambda: max(4, 2 * (os.cpu_count() or 1)), ge=1)
    """Flow runs at a time; by default two a processor, four at least."""
    poll_seconds: float = Field(default=1.0, gt=0)
    branches: int = Field(default=8, ge=1)
    """Branches of one `parallel` block at a time."""
    warm: bool = True
    """Fork flow runs from a parent that has everything loaded; false: an interpreter is spawned for each."""
    run_memory_mib: int | None = Field(default=2048, ge=256)
    """What a process of a flow run may have to itself."""
    run_cpu_seconds: int | None = Field(default=None, ge=60)
    """Processor time that a process of a flow run may use before it is killed."""
    run_oom_score: int = Field(default=300, ge=0, le=1000)
    """Added to the score of flow runs by which the kernel picks whom to kill when memory runs out."""


class ReviewSettings(_Part):
    """The review: what its gates and costs are."""

    gates: dict[str, dict[str, float]] = {}
    """Numbers of gates, by detector, that are other than the shipped ones."""
    cost_per_minute: float | None = Field(default=None, ge=0)
    """What a minute of a person's work costs, in any currency; without it no cost is told."""
    cost_per_request: dict[str, float] = {}
    """What a request costs besides people, by model."""


class Settings(BaseSettings):
    """All settings. Unknown keys are refused, so that a misspelt one is never silently ignored."""

    model_config = SettingsConfigDict(env_prefix="ORDERLY_", env_nested_delimiter="__", frozen=True, extra="forbid")

    environment: Literal["dev", "prod"] = "dev"
    state: Path = Field(default_factory=_default_state)
    content: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders with a team's own `models/`, `runbooks/`, `extensions/`, `tests/`; searched before what is shipped."""
    database_url: str | None = None
    """SQLAlchemy URL; by default SQLite in the state folder."""
    keyring: Path | None = None
    """Encryption keys; in production a file outside the state folder (invariant 9)."""
    api: ApiSettings = ApiSettings()
    identity: IdentitySettings = IdentitySettings()
    prefect: PrefectSettings = PrefectSettings()
    keeper: KeeperSettings = KeeperSettings()
    claim: ClaimSettings = ClaimSettings()
    worker: WorkerSettings = WorkerSettings()
    review: ReviewSettings = ReviewSettings()
    approvers: dict[str, ApproverSettings] = {}
    """People who are asked by mail, by id, beside those whom the API keys name with their addresses."""
    step_timeout_seconds: float = Field(default=600.0, gt=0)
    """For steps that say no timeout."""
    connectors: dict[str, dict[str, JsonValue]] = {}
    """Each connector's own part, checked by the connector."""
    public: dict[str, JsonValue] = {}
    """What models may read, as `settings.NAME`; never put a secret here."""

    @field_validator("content", mode="before")
    @classmethod
    def _split_path_list(cls, value: object) -> object:
        return [name for name in value.split(os.pathsep) if name] if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = YamlConfigSettingsSource(settings_cls, yaml_file=list(settings_files()), deep_merge=True)
        return init_settings, env_settings, files

    def model_post_init(self, context: object, /) -> None:
        if self.environment == "prod" and self.keyring is None:
            raise ValueError("in production `keyring` must name a file outside the state folder (invariant 9)")

    @property
    def records_url(self) -> str:
        """The SQLAlchemy URL of the records."""
        return self.database_url or f"sqlite:///{self.state / 'records.db'}"

    @property
    def keyring_file(self) -> Path:
        """Where the encryption keys are."""
        return self.keyring or self.state / "keys" / "keyring.json"

    @property
    def local_api_key_file(self) -> Path:
        """The key that the command line uses on this machine."""
        return self.state / "keys" / "local-api-key"


def settings_files() -> tuple[Path, ...]:
    """The files of ORDERLY_SETTINGS, in order. Raises SettingsError when one is not there."""
    names = [name for name in os.environ.get(SETTINGS_FILES, "").split(os.pathsep) if name]
    paths = tuple(Path(name).expanduser() for name in names)
    for path in paths:
        if not path.is_file():
            raise SettingsError(
                f"{SETTINGS_FILES} names {path}, which is no file. Correct the variable or make the file."
            )
    return paths


def load_settings(**given: Any) -> Settings:
    """Read all layers; `given` wins over every layer. Raises SettingsError with each thing that is wrong."""
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except ValueError as error:
        raise SettingsError(f"The settings cannot be read: {error}") from None
    return settings.model_copy(
        update={
            "state": settings.state.expanduser().absolute(),
            "content": tuple(folder.expanduser().absolute() for folder in settings.content),
        }
    )


def _explain(error: ValidationError) -> str:
    faults = [
        f"  {'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}" for fault in error.errors()
    ]
    where = ", ".join(str(path) for path in settings_files()) or "no file"
    return "\n".join([f"The settings are wrong (read from {where} and ORDERLY_* variables):", *faults])
