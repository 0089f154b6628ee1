"""What the demonstration orders, and the proof of what came of it, read back from the target systems themselves."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.registry import Registry
from flows.sandbox.inspection import mails, read_host_file, run_on_host
from request_models.actions import ActionCall, ActionFailed
from request_models.json_values import JsonValue

REGION = "eu-west-1"
PERSON: Mapping[str, JsonValue] = {"id": "ada", "name": "Ada Example", "email": "ada@example.org"}
"""Whom it is all for; the sandbox's mail sink delivers to nobody."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class DemoOrder:
    """An order, and whether it needs hosts, which not every machine can have."""

    model: str
    inputs: Mapping[str, JsonValue]
    needs_hosts: bool = False

    @property
    def body(self) -> dict[str, JsonValue]:
        """As the API takes it."""
        return {
            "model": self.model,
            "inputs": dict(self.inputs),
            "requested_for": dict(PERSON),
            "source": {"system": "demo", "id": str(self.inputs.get("project") or self.inputs.get("account"))},
        }


@dataclass(frozen=True)
class Proof:
    """One thing that was read back. `seen` is empty when it was not there."""

    where: str
    what: str
    seen: str


def demo_orders(now: datetime | None = None) -> list[DemoOrder]:
    """One order for each shipped model; names are of this moment, so that every demonstration makes something new."""
    name = f"demo-{_base36(int((now or datetime.now(UTC)).timestamp()))}"
    return [
        DemoOrder("project-bucket", {"project": name, "region": REGION, "retention_days": 30, "cost_centre": "demo"}),
        DemoOrder(
            "linux-account",
            {"account": name, "full_name": str(PERSON["name"]), "ssh_key": _fresh_public_key(), "groups": ["demo"]},
            needs_hosts=True,
        ),
        DemoOrder(
            "project-space",
            {"project": name, "purpose": "What the demonstration made", "region": REGION},
            needs_hosts=True,
        ),
    ]


def prove(order: DemoOrder, request: Mapping[str, Any], registry: Registry, state: Path) -> Iterator[Proof]:
    """Read back what a fulfilled request made: from the AWS endpoint, the hosts, the mail sink."""
    outputs = {output["name"]: output["value"] for output in request["outputs"]}
    match order.model:
        case "project-bucket":
            yield from _bucket(registry, outputs["bucket"])
            yield _role(registry, f"{outputs['bucket']}-writer")
        case "linux-account":
            for host, facts in outputs["hosts"].items():
                yield from _account(state, host, facts, str(order.inputs["ssh_key"]))
        case "project-space":
            for host, facts in outputs["hosts"].items():
                yield from _folder(state, host, facts)
            yield from _bucket(registry, outputs["bucket"])
            yield _mail(state, str(order.inputs["project"]))
        case _:
            return


def _bucket(registry: Registry, bucket: str) -> Iterator[Proof]:
    def algorithm(answer: Any) -> str:
        rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
        return str(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])

    def closed(answer: Any) -> str:
        return "closed to the public" if all(answer["PublicAccessBlockConfiguration"].values()) else ""

    encrypted = _read(registry, "aws.s3.get_bucket_encryption", {"Bucket": bucket}, algorithm)
    private = _read(registry, "aws.s3.get_public_access_block", {"Bucket": bucket}, closed)
    yield Proof(
        "AWS endpoint", f"bucket {bucket}", f"encrypted with {encrypted}, {private}" if encrypted and private else ""
    )


def _role(registry: Registry, role: str) -> Proof:
    seen = _read(registry, "aws.iam.get_role", {"RoleName": role}, lambda answer: str(answer["Role"]["Arn"]))
    return Proof("AWS endpoint", f"role {role}", seen)


def _read(registry: Registry, action: str, arguments: Mapping[str, JsonValue], show: Callable[[Any], str]) -> str:
    call = ActionCall(
        action=action,
        arguments=arguments,
        token=uuid.uuid4(),
        request_id="demo",
        step_path="proof",
        target={"region": REGION},
        timeout_seconds=30.0,
    )
    try:
        return show(registry.action(action).run(call).result)
    except ActionFailed:
        return ""


def _account(state: Path, host: str, facts: Mapping[str, Any], key: str) -> Iterator[Proof]:
    account, home = str(facts["account"]), str(facts["home"])
    yield Proof(f"host {host}", f"account {account}", run_on_host(state, host, ["id", account]).output.strip())
    keys = read_host_file(state, host, f"{home}/.ssh/authorized_keys")
    yield Proof(f"host {host}", f"its key in {home}/.ssh/authorized_keys", key[:40] + "..." if key in keys else "")


def _folder(state: Path, host: str, facts: Mapping[str, Any]) -> Iterator[Proof]:
    folder, repository = str(facts["folder"]), str(facts["repository"])
    listed = run_on_host(state, host, ["ls", "-1", folder]).output.split()
    yield Proof(f"host {host}", f"folder {folder}", ", ".join(listed))
    head = run_on_host(state, host, ["cat", f"{repository}/HEAD"]).output.strip()
    yield Proof(f"host {host}", f"git repository {repository}", f"HEAD is {head}" if head else "")


def _mail(state: Path, project: str) -> Proof:
    found = [mail for mail in mails(state) if project in str(mail["Subject"])]
    seen = f"to {found[-1]['To']}: {found[-1]['Subject']}" if found else ""
    return Proof("mail sink", "mail to the owner", seen)


def _fresh_public_key() -> str:
    """A public key whose private half is thrown away: nobody can log in with it."""
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
