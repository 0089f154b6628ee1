"""Clients of AWS: one for each account, role, region, service and timeout, made when first needed and kept."""

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader, create_loader
from botocore.session import Session

from connectors.aws.settings import Account, AwsSettings, Credentials
from request_models.json_values import JsonValue

CLIENTS_KEPT = 64
ROLE_SESSION = "orderly"
_TIMEOUTS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0)
"""Timeouts are rounded down to these seconds, so that steps share clients."""


class TargetUnknown(ValueError):
    """The target of a call names an account that the settings do not, or no region can be found for it."""


@dataclass(frozen=True)
class Target:
    """Where a call goes. `account` is a name of the settings, None for the connector's own credentials."""

    region: str
    account: str | None = None
    role_arn: str | None = None


class Clients:
    """Sessions and clients. Safe in threads; a forked process makes its own."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._sessions: dict[tuple[str | None, str | None], Session] = {}
        self._clients: OrderedDict[tuple[Target, str, float, float], Any] = OrderedDict()
        self._account_ids: dict[tuple[str | None, str | None], str] = {}

    def target(self, given: Mapping[str, JsonValue]) -> Target:
        """Complete `target.aws` of a step from the settings. Raises TargetUnknown."""
        name = None if given.get("account") is None else str(given["account"])
        account = self._account(name)
        region = (
            given.get("region")
            or (account and account.region)
            or self._settings.region
            or self._default_region(account)
        )
        if not region:
            raise TargetUnknown(
                "no region is known: give target.aws.region, or set connectors.aws.region (or AWS_REGION)"
            )
        role = given.get("role") or (account.role_arn if account else None)
        return Target(region=str(region), account=name, role_arn=None if role is None else str(role))

    def client(self, target: Target, service: str, timeout_seconds: float | None) -> Any:
        """A client whose calls are tried once: retries are the step's. Raises TargetUnknown and botocore's errors."""
        connect = _rounded(self._settings.connect_timeout, timeout_seconds)
        read = _rounded(self._settings.read_timeout, timeout_seconds)
        key = (target, service, connect, read)
        with self._lock:
            self._forget_the_parents()
            client = self._clients.get(key)
            if client is None:
                client = self._clients[key] = self._make(target, service, connect, read)
            self._clients.move_to_end(key)
            while len(self._clients) > CLIENTS_KEPT:
                # It may still be in use, so it is left to the garbage collector.
                self._clients.popitem(last=False)
            return client

    def account_id(self, target: Target, timeout_seconds: float | None) -> str:
        """The twelve digits of the account the target's credentials belong to; AWS is asked once where nothing says."""
        account = self._account(target.account)
        configured = account.account_id if account is not None else self._settings.account_id
        if configured is not None and (account is None or target.role_arn in {None, account.role_arn}):
            return configured
        key = (target.account, target.role_arn)
        known = self._account_ids.get(key)
        if known is None:
            known = str(self.client(target, "sts", timeout_seconds).get_caller_identity()["Account"])
            self._account_ids[key] = known
        return known

    def close(self) -> None:
        """Close the connections that are open."""
        with self._lock:
            self._forget_the_parents()
            clients = list(self._clients.values())
            self._clients.clear()
            self._sessions.clear()
        for client in clients:
            client.close()

    def _forget_the_parents(self) -> None:
        """A fork must not share connections with its parent, nor close them."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._clients = OrderedDict()
            self._sessions = {}

    def _account(self, name: str | None) -> Account | None:
        if name is None:
            return None
        account = self._settings.accounts.get(name)
        if account is None:
            known = ", ".join(sorted(self._settings.accounts)) or "none"
            raise TargetUnknown(
                f"target.aws.account is '{name}', but the settings name: {known}; see connectors.aws.accounts"
            )
        return account

    def _default_region(self, account: Account | None) -> str | None:
        region = self._base_session(account).get_config_variable("region")
        return None if region is None else str(region)

    def _make(self, target: Target, service: str, connect: float, read: float) -> Any:
        return self._session(target).create_client(
            service,
            region_name=target.region,
            endpoint_url=self._endpoint(),
            config=Config(
                connect_timeout=connect,
                read_timeout=read,
                retries={"mode": "standard", "total_max_attempts": 1},
                user_agent_extra="orderly",
                # A sandbox on this machine is not behind the proxy that leads out of it.
                proxies={} if self._is_local() else None,
                s3={"addressing_style": "path"} if self._settings.endpoint_url is not None else None,
            ),
        )

    def _endpoint(self) -> str | None:
        return None if self._settings.endpoint_url is None else str(self._settings.endpoint_url)

    def _is_local(self) -> bool:
        endpoint = self._settings.endpoint_url
        return endpoint is not None and endpoint.host in {"127.0.0.1", "[::1]", "localhost"}

    def _session(self, target: Target) -> Session:
        key = (target.account, target.role_arn)
        session = self._sessions.get(key)
        if session is None:
            session = self._base_session(self._account(target.account))
            if target.role_arn is not None:
                session = self._assuming(session, target)
            self._sessions[key] = session
        return session

    def _base_session(self, account: Account | None) -> Session:
        credentials = self._credentials(account)
        session = _new_session(credentials.profile)
        if credentials.access_key_id is not None:
            session.set_credentials(credentials.access_key_id, credentials.secret_key())
        return session

    def _credentials(self, account: Account | None) -> Credentials:
        own = account is not None and (account.access_key_id is not None or account.profile is not None)
        return account if own and account is not None else self._settings

    def _assuming(self, source: Session, target: Target) -> Session:
        """A session whose credentials come from assuming the role, and are fetched anew before they run out."""
        account = self._account(target.account)
        credentials = source.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        extra = {"RoleSessionName": ROLE_SESSION}
        if account is not None and account.external_id is not None and target.role_arn == account.role_arn:
            extra["ExternalId"] = account.external_id
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda service, **options: source.create_client(
                service, region_name=target.region, endpoint_url=self._endpoint(), **options
            ),
            source_credentials=credentials,
            role_arn=target.role_arn,
            extra_args=extra,
        )
        session = _new_session()
        session.register_component("credential_provider", CredentialResolver([_Fetching(fetcher)]))
        return session


@cache
def _definitions(folders: str | None) -> Loader:
    """The definitions of services and endpoints, which a client reads; AWS_DATA_PATH adds folders to look in."""
    return create_loader(folders)


def read_definitions(service: str) -> None:
    """Read what a client of the service needs, so that the next one, here or in a fork, is made at once."""
    session = _new_session()
    session.set_credentials("none", "none")
    session.create_client(service, region_name="us-east-1", endpoint_url="http://127.0.0.1:9").close()


def _new_session(profile: str | None = None) -> Session:
    """A session; all share what they read of the definitions, 0.1 s of work for a service."""
    session = Session(profile=profile)
    session.register_component("data_loader", _definitions(session.get_config_variable("data_path")))
    return session


class _Fetching(CredentialProvider):  # type: ignore[misc]  # botocore is untyped, so its classes are Any to mypy
    METHOD = "assume-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(method=self.METHOD, refresh_using=self._fetcher.fetch_credentials)


def _rounded(setting: float, timeout_seconds: float | None) -> float:
    if timeout_seconds is None or timeout_seconds >= setting:
        return setting
    return max((seconds for seconds in _TIMEOUTS if seconds <= timeout_seconds), default=max(timeout_seconds, 0.05))
