"""The settings of the AWS connector: `connectors.aws`, checked when the connector is made."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, model_validator

REGION_PATTERN = r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$"
"""Every region's name, those of other partitions too: eu-west-1, us-gov-east-1, cn-north-1, us-iso-east-1."""

ROLE_PATTERN = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"

Region = Annotated[str, Field(pattern=REGION_PATTERN)]
RoleArn = Annotated[str, Field(pattern=ROLE_PATTERN)]


class Credentials(BaseModel):
    """Where credentials come from. Nothing given: the usual chain of AWS tools (environment, files, instance role)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key_file: Path | None = None
    secret_access_key: SecretStr | None = None
    """In the clear, so only beside an `endpoint_url`: for a sandbox, whose keys open nothing."""

    @model_validator(mode="after")
    def _key_is_whole(self) -> Self:
        secrets = [given for given in (self.secret_access_key_file, self.secret_access_key) if given is not None]
        if len(secrets) > 1:
            raise ValueError("give secret_access_key_file or secret_access_key, not both")
        if (self.access_key_id is None) != (not secrets):
            raise ValueError("access_key_id goes with secret_access_key_file; give both or neither")
        if self.access_key_id is not None and self.profile is not None:
            raise ValueError("give profile or access_key_id, not both")
        return self

    def secret_key(self) -> str | None:
        """The secret access key, read from its file now. Raises OSError when the file cannot be read."""
        if self.secret_access_key_file is not None:
            return self.secret_access_key_file.read_text(encoding="utf-8").strip()
        return None if self.secret_access_key is None else self.secret_access_key.get_secret_value()


class Account(Credentials):
    """An account models may name under `target.aws.account`; credentials not given here are the connector's own."""

    account_id: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None
    role_arn: RoleArn | None = None
    """Assumed from the credentials, for every call to this account."""
    external_id: str | None = None
    region: Region | None = None


class AwsSettings(Credentials):
    """All of `connectors.aws`. `effects` are files like the shipped effects.yaml; their lines win over ours.

    A content folder's `extensions/aws-effects.yaml` is read without being named here.
    """

    endpoint_url: AnyHttpUrl | None = None
    """One endpoint for every service: the sandbox, or a stand-in of AWS."""
    region: Region | None = None
    account_id: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None
    accounts: dict[str, Account] = Field(default_factory=dict)
    effects: tuple[Path, ...] = ()
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Seconds; a shorter timeout of the step wins."""
    read_timeout: Annotated[float, Field(gt=0, le=900)] = 60.0
    """Seconds without a byte of answer; a shorter timeout of the step wins."""
    max_body_bytes: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024
    """The longest streamed answer (an object of S3, the payload of a function) taken into a result."""
    max_page_items: Annotated[int, Field(gt=0)] = 10_000
    """The most items that `PaginationConfig` gathers when it sets no `MaxItems`."""

    @model_validator(mode="after")
    def _clear_keys_only_for_a_sandbox(self) -> Self:
        if self.endpoint_url is None:
            self.refuse_clear_keys()
        return self

    def refuse_clear_keys(self) -> None:
        """Raises ValueError when a secret key stands in the settings themselves."""
        holders: list[tuple[str, Credentials]] = [
            ("", self),
            *((f"accounts.{name}.", account) for name, account in self.accounts.items()),
        ]
        for where, holder in holders:
            if holder.secret_access_key is not None:
                raise ValueError(
                    f"{where}secret_access_key stands in the clear; put it into a file and name that in "
                    f"{where}secret_access_key_file (in the clear only beside endpoint_url, for a sandbox)"
                )
