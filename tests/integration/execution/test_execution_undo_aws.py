"""Undo at an AWS stand-in: what was there before is there afterwards, as it was; and a kill -9 in the middle of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

import killed_worker
from connectors.registry import ConnectorContext, Registry
from flows.execution import Execution
from flows.lifecycle import Lifecycle
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.rows import RequestRow
from flows.records.states import RequestState
from flows.settings import load_settings
from request_models.json_values import JsonValue
from request_models.plan import Literal, MapOf, Step, Undo, UndoAction
from staging import CALLER, House, Stage, expression, plan_of, run_of

AES: JsonValue = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
KMS: JsonValue = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
HERE: JsonValue = {"LocationConstraint": "eu-west-1"}
TAGS: JsonValue = {"TagSet": [{"Key": "owner", "Value": "orderly"}]}


@dataclass
class Scene:
    """An application over the real connector, and a client that looks at the stand-in from the side."""

    house: House
    registry: Registry
    s3: Any

    def step(self, path: str, action: str, arguments: dict[str, JsonValue], undo: Undo) -> Step:
        spec = self.registry.action(action).spec
        node = MapOf({name: Literal(value) for name, value in arguments.items()})
        return Step(
            path=path,
            title={"en": path},
            uses=action,
            contract=spec.contract,
            effect=spec.effect,
            arguments=node,
            undo=undo,
        )

    def order(self, bucket: str, *, more: tuple[Step, ...] = ()) -> RequestRow:
        """A bucket, encrypted and tagged, and a last step that cannot succeed."""
        delete = self.registry.action("aws.s3.delete_bucket").spec
        undo = UndoAction(
            uses=delete.name,
            contract=delete.contract,
            effect=delete.effect,
            arguments=MapOf({"Bucket": expression("args.Bucket")}),
        )
        encryption: dict[str, JsonValue] = {"Bucket": bucket, "ServerSideEncryptionConfiguration": AES}
        missing: dict[str, JsonValue] = {"Bucket": f"{bucket}-missing", "Tagging": TAGS}
        place: dict[str, JsonValue] = {"Bucket": bucket, "CreateBucketConfiguration": HERE}
        steps = (
            self.step("create", "aws.s3.create_bucket", place, Undo(actions=(undo,))),
            self.step("encrypt", "aws.s3.put_bucket_encryption", encryption, Undo(covered_by="create")),
            self.step(
                "tag", "aws.s3.put_bucket_tagging", {"Bucket": bucket, "Tagging": TAGS}, Undo(covered_by="create")
            ),
            *more,
            self.step("fail", "aws.s3.put_bucket_tagging", missing, Undo(none="never")),
        )
        request = self.house.order(plan_of(*steps))
        self.house.run(request)
        assert self.house.now(request).state is RequestState.ON_HOLD, self.house.now(request).state_reason
        return request

    def cancel(self, request: RequestRow) -> RequestRow:
        self.house.lifecycle.cancel(request.id, CALLER, "not needed")
        return self.house.dispatched(request)

    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]

    def encryption(self, bucket: str) -> str:
        return json.dumps(self.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "AKIAORDERLY", "aws_secret_access_key": "hush"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="eu-west-1", **keys)
    aws: dict[str, JsonValue] = {
        "region": "eu-west-1",
        "access_key_id": "AKIAORDERLY",
        "secret_access_key": "hush",
        "endpoint_url": f"http://{host}:{port}",
    }
    settings = load_settings(state=tmp_path / "state", connectors={"aws": aws})
    records = Records.open(settings.records_url, Keyring.open(settings.keyring_file))
    records.migrate()
    with Registry.discover(settings.connectors, ConnectorContext(settings.state)) as registry:
        execution = Execution(records, registry, settings)
        yield Scene(House(settings, records, Stage(), Lifecycle(records, {}), execution), registry, client)
    records.close()
    client.close()
    server.stop()


def test_what_was_made_is_gone_and_what_was_set_in_it_went_along(scene: Scene) -> None:
    name = f"undo-{os.getpid()}-made"
    request = scene.order(name)
    assert name in scene.buckets()
    assert scene.house.run(scene.cancel(request)) == ["create.undo:done"]
    assert name not in scene.buckets()
    assert scene.house.now(request).state is RequestState.CANCELLED
    made = scene.house.records.read(lambda tx: tx.steps.get(request.id, "create"))
    assert made is not None
    assert "looked for, and gone" in made.message


def test_a_bucket_that_was_there_is_still_there_as_it_was(scene: Scene) -> None:
    name = f"undo-{os.getpid()}-there"
    scene.s3.create_bucket(Bucket=name, CreateBucketConfiguration=HERE)
    scene.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=KMS)
    before = scene.encryption(name)
    request = scene.order(name)
    assert "AES256" in scene.encryption(name)
    assert scene.s3.get_bucket_tagging(Bucket=name)["TagSet"] == cast(Any, TAGS)["TagSet"]
    assert scene.house.run(scene.cancel(request)) == ["tag.undo:done", "encrypt.undo:done"]
    assert scene.house.now(request).state is RequestState.CANCELLED, scene.house.now(request).state_reason
    assert scene.encryption(name) == before
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        scene.s3.get_bucket_tagging(Bucket=name)
    scene.s3.delete_bucket(Bucket=name)


def test_an_undo_whose_process_is_killed_half_way_finishes_on_retry(scene: Scene) -> None:
    first, second = f"undo-{os.getpid()}-first", f"undo-{os.getpid()}-second"
    place: dict[str, JsonValue] = {"Bucket": second, "CreateBucketConfiguration": HERE}
    delete = scene.registry.action("aws.s3.delete_bucket").spec
    undo = UndoAction(
        uses=delete.name,
        contract=delete.contract,
        effect=delete.effect,
        arguments=MapOf({"Bucket": expression("args.Bucket")}),
    )
    more = (scene.step("another", "aws.s3.create_bucket", place, Undo(actions=(undo,))),)
    undoing = scene.cancel(scene.order(first, more=more))
    identity = run_of(undoing)
    order: dict[str, Any] = {
        "state": str(scene.house.settings.state),
        "connectors": scene.house.settings.connectors,
        "request": undoing.id,
        "flow_run": identity.flow_run_id,
        "key": identity.idempotency_key,
        "content": [],
        "action": "aws.s3.delete_bucket",
        "after_effect": True,
    }
    worker = subprocess.run(
        [sys.executable, "-P", killed_worker.__file__, json.dumps(order)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert worker.returncode == -signal.SIGKILL, worker.stderr
    assert (second in scene.buckets(), first in scene.buckets()) == (False, True)
    assert scene.house.now(undoing).state is RequestState.UNDOING
    assert scene.house.run(undoing) == ["another.undo:done", "create.undo:done"]
    assert not {first, second} & set(scene.buckets())
    assert scene.house.now(undoing).state is RequestState.CANCELLED
