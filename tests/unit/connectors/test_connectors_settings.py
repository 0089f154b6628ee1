"""The settings of each connector: what is refused, and why."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.aws import connector as aws_connector
from connectors.aws.clients import Clients, Target, TargetUnknown
from connectors.aws.settings import AwsSettings
from connectors.http_interface import HttpSettings
from connectors.mail import MailSettings, Tls
from connectors.registry import ConnectorContext


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"access_key_id": "AK"}, "goes with secret_access_key_file"),
        ({"secret_access_key_file": "k"}, "goes with secret_access_key_file"),
        ({"access_key_id": "AK", "secret_access_key_file": "k", "profile": "p"}, "profile or access_key_id"),
        ({"access_key_id": "AK", "secret_access_key": "hush"}, "stands in the clear"),
        ({"accounts": {"a": {"access_key_id": "AK", "secret_access_key": "hush"}}}, "accounts.a.secret_access_key"),
        ({"region": "Dublin"}, "region"),
        ({"accounts": {"a": {"account_id": "12"}}}, "account_id"),
        ({"accounts": {"a": {"role_arn": "admin"}}}, "role_arn"),
        ({"endpoint_url": "ftp://x"}, "endpoint_url"),
        ({"retries": 3}, "Extra inputs"),
    ],
)
def test_wrong_settings_of_aws_are_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        AwsSettings.model_validate(settings)


def test_clear_keys_are_for_a_sandbox_and_never_for_production() -> None:
    sandbox = {"endpoint_url": "http://127.0.0.1:1", "access_key_id": "AK", "secret_access_key": "hush"}
    assert AwsSettings.model_validate(sandbox).secret_key() == "hush"
    with pytest.raises(ValueError, match="stands in the clear"):
        aws_connector(sandbox, ConnectorContext(state=Path("unused"), environment="prod"))


def test_a_secret_key_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n")
    settings = AwsSettings.model_validate({"access_key_id": "AK", "secret_access_key_file": str(tmp_path / "key")})
    assert settings.secret_key() == "hush"
    assert "hush" not in repr(settings)


def test_a_target_is_completed_from_the_settings() -> None:
    role = "arn:aws:iam::123456789012:role/orderly"
    clients = Clients(
        AwsSettings.model_validate(
            {"region": "eu-west-1", "accounts": {"data": {"region": "us-east-1", "role_arn": role}, "plain": {}}}
        )
    )
    assert clients.target({}) == Target(region="eu-west-1")
    assert clients.target({"account": "data"}) == Target(region="us-east-1", account="data", role_arn=role)
    assert clients.target({"account": "plain"}) == Target(region="eu-west-1", account="plain")
    assert clients.target({"account": "data", "region": "eu-central-1"}).region == "eu-central-1"
    with pytest.raises(TargetUnknown, match="'other', but the settings name: data, plain"):
        clients.target({"account": "other"})


def test_without_any_region_the_error_says_where_to_give_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(TargetUnknown, match=r"target\.aws\.region"):
        Clients(AwsSettings()).target({})


def test_clients_are_shared_by_what_they_are_for() -> None:
    clients = Clients(
        AwsSettings.model_validate(
            {
                "endpoint_url": "http://127.0.0.1:1",
                "access_key_id": "AK",
                "secret_access_key": "hush",
                "region": "eu-west-1",
            }
        )
    )
    here = clients.target({})
    first = clients.client(here, "s3", 60)
    assert clients.client(here, "s3", 61) is first
    assert clients.client(here, "s3", 5) is not first
    assert clients.client(clients.target({"region": "us-east-1"}), "s3", 60) is not first
    clients.close()


def test_a_client_tries_once_and_no_longer_than_the_step_may_take() -> None:
    clients = Clients(
        AwsSettings.model_validate(
            {
                "endpoint_url": "http://127.0.0.1:1",
                "access_key_id": "AK",
                "secret_access_key": "hush",
                "region": "eu-west-1",
            }
        )
    )
    config = clients.client(clients.target({}), "s3", 7.5).meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.connect_timeout == 5
    assert config.read_timeout == 5
    clients.close()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"host": "h"}, "host and from go together"),
        ({"from": "a@b.example"}, "host and from go together"),
        ({"host": "h", "from": "nobody"}, "no mail address"),
        ({"host": "h", "from": "a@b.example\nBcc: x@y.example"}, "line breaks"),
        ({"host": "h", "from": "a@b.example", "username": "u"}, "password_file go together"),
        (
            {"host": "h", "from": "a@b.example", "username": "u", "password_file": "p", "tls": "none"},
            "not sent in the clear",
        ),
        ({"host": "h", "from": "a@b.example", "tls": "maybe"}, "tls"),
    ],
)
def test_wrong_settings_of_mail_are_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        MailSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "port"),
    [
        ({}, 25),
        ({"tls": "tls"}, 465),
        ({"username": "u", "password_file": "p"}, 587),
        ({"port": 2525, "tls": "tls"}, 2525),
    ],
)
def test_the_port_of_the_mail_server_follows_from_the_protection(settings: dict[str, object], port: int) -> None:
    made = MailSettings.model_validate({"host": "h", "from": "Orderly <a@b.example>", **settings})
    assert made.resolved_port == port
    assert made.tls in Tls


def test_wrong_settings_of_http_are_refused() -> None:
    with pytest.raises(ValidationError, match="timeout"):
        HttpSettings.model_validate({"timeout": 0})
