"""kill -9 between an effect and its record, with the real connectors; effects are counted at their targets."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiosmtpd.controller import Controller
from moto.server import ThreadedMotoServer

import killed_worker
from connectors.registry import ConnectorContext, Registry
from flows.execution import Execution
from flows.lifecycle import Lifecycle
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.records.rows import EffectRow, RequestRow
from flows.records.states import EffectState, RequestState
from flows.settings import load_settings
from request_models.actions import Outcome
from request_models.json_values import JsonValue
from request_models.plan import Literal, MapOf, Step
from serving import Quiet, serving
from staging import House, Stage, plan_of, run_of

WORLD: dict[str, JsonValue] = {"region": "eu-west-1", "access_key_id": "AKIAORDERLY", "secret_access_key": "hush"}
AES: JsonValue = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
KMS: JsonValue = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}


@dataclass
class Scene:
    """An application over real connectors, whose workers can be killed in the middle of a call."""

    house: House
    registry: Registry
    content: Path

    def order(self, action: str, arguments: dict[str, JsonValue], **more: Any) -> RequestRow:
        spec = self.registry.action(action).spec
        node = MapOf({name: Literal(value) for name, value in arguments.items()})
        step = Step(action, spec.contract, spec.effect, node, path="one", title={"en": "one"}, **more)
        return self.house.order(plan_of(step))

    def kill(self, request: RequestRow, action: str, *, after_effect: bool = True) -> None:
        """Run the request in a process that is killed before or after the effect of its action."""
        identity = run_of(request)
        order = {
            "state": str(self.house.settings.state),
            "connectors": self.house.settings.connectors,
            "content": [str(self.content)],
            "request": request.id,
            "flow_run": identity.flow_run_id,
            "key": identity.idempotency_key,
            "action": action,
            "after_effect": after_effect,
        }
        worker = subprocess.run(
            [sys.executable, "-P", killed_worker.__file__, json.dumps(order)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert worker.returncode == -signal.SIGKILL, worker.stderr

    def effect(self, request: RequestRow) -> EffectRow:
        effect = self.house.records.read(lambda tx: tx.effects.current(request.id, "one"))
        assert effect is not None
        return effect

    def before(self, request: RequestRow) -> JsonValue:
        before = self.effect(request).before
        return None if before is None else self.house.records.read(lambda tx: tx.secrets.reveal(request.id, before))


@contextmanager
def scene_of(tmp_path: Path, **connectors: dict[str, JsonValue]) -> Iterator[Scene]:
    settings = load_settings(state=tmp_path / "state", connectors=connectors)
    records = Records.open(settings.records_url, Keyring.open(settings.keyring_file))
    records.migrate()
    content = tmp_path / "content"
    with Registry.discover(settings.connectors, ConnectorContext(settings.state, (content,))) as registry:
        execution = Execution(records, registry, settings)
        house = House(settings, records, Stage(), Lifecycle(records, {}), execution)
        yield Scene(house, registry, content)
    records.close()


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[tuple[Scene, Any]]:
    """A scene with an AWS stand-in, and a client that looks at it from the side."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "AKIAORDERLY", "aws_secret_access_key": "hush"}
    client = boto3.client("s3", endpoint_url=url, region_name="eu-west-1", **keys)
    with scene_of(tmp_path, aws={**WORLD, "endpoint_url": url}) as scene:
        yield scene, client
    client.close()
    server.stop()


@pytest.mark.parametrize("after_effect", [True, False])
def test_a_bucket_is_made_once_and_known_as_made(aws: tuple[Scene, Any], after_effect: bool) -> None:
    scene, client = aws
    name = f"killed-{os.getpid()}-{after_effect}".lower()
    place: JsonValue = {"LocationConstraint": "eu-west-1"}
    request = scene.order("aws.s3.create_bucket", {"Bucket": name, "CreateBucketConfiguration": place})
    scene.kill(request, "aws.s3.create_bucket", after_effect=after_effect)
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]].count(name) == int(after_effect)
    assert scene.house.run(request) == ["one:done"]
    assert scene.effect(request).outcome is Outcome.MADE, "undo would leave an `already_so` bucket where it is"
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]].count(name) == 1
    client.delete_bucket(Bucket=name)


def test_a_setting_is_known_as_changed_with_what_it_was_before(aws: tuple[Scene, Any]) -> None:
    scene, client = aws
    name = f"killed-{os.getpid()}-encryption"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=KMS)
    arguments = {"Bucket": name, "ServerSideEncryptionConfiguration": AES}
    request = scene.order("aws.s3.put_bucket_encryption", arguments)
    scene.kill(request, "aws.s3.put_bucket_encryption")
    assert scene.house.run(request) == ["one:done"]
    assert scene.effect(request).outcome is Outcome.CHANGED
    assert "aws:kms" in json.dumps(scene.before(request))
    client.delete_bucket(Bucket=name)


NETWORK = """
ec2:
  create_vpc:
    effect: has-probe
    why: The shipped line, which the stand-in needs no time to settle for.
    mark: {member: TagSpecifications, resource_type: vpc}
    settles: PT0S
    probe:
      operation: describe_vpcs
      arguments: {Filters: [{Name: "=tag:orderly:token", Values: ["@token"]}]}
      among: Vpcs
      answer: {Vpc: "@found"}
"""


@pytest.mark.parametrize("after_effect", [True, False])
def test_what_has_no_token_and_no_name_is_known_by_its_tag_and_made_once(
    aws: tuple[Scene, Any], tmp_path: Path, after_effect: bool
) -> None:
    other, client = aws
    (tmp_path / "content" / "extensions").mkdir(parents=True)
    (tmp_path / "content" / "extensions" / "aws-effects.yaml").write_text(NETWORK)
    keys = {"aws_access_key_id": "AKIAORDERLY", "aws_secret_access_key": "hush"}
    ec2 = boto3.client("ec2", endpoint_url=client.meta.endpoint_url, region_name="eu-west-1", **keys)
    block = "10.77.0.0/16" if after_effect else "10.78.0.0/16"

    def networks() -> list[str]:
        filters = [{"Name": "cidr", "Values": [block]}]
        return [network["VpcId"] for network in ec2.describe_vpcs(Filters=filters)["Vpcs"]]

    with scene_of(tmp_path, **other.house.settings.connectors) as scene:
        request = scene.order("aws.ec2.create_vpc", {"CidrBlock": block})
        scene.kill(request, "aws.ec2.create_vpc", after_effect=after_effect)
        assert len(networks()) == int(after_effect)
        assert scene.house.run(request) == ["one:done"]
        assert len(networks()) == 1
        assert scene.effect(request).outcome is Outcome.MADE
        row = scene.house.records.read(lambda tx: tx.steps.get(request.id, "one"))
        assert row is not None
        assert row.result is not None
        assert row.result.public["Vpc"]["VpcId"] == networks()[0]  # type: ignore[index,call-overload]  # a map in a map
    ec2.delete_vpc(VpcId=networks()[0])
    ec2.close()


@dataclass
class Counter:
    """An HTTP server that counts: requests, and effects, which it has once a key if it honours keys."""

    honours_keys: bool
    requests: int = 0
    effects: int = 0
    keys: set[str] = field(default_factory=set)
    port: int = 0

    def take(self, headers: Message) -> None:
        self.requests += 1
        key = str(headers.get("Idempotency-Key"))
        if not (self.honours_keys and key in self.keys):
            self.effects += 1
        self.keys.add(key)


@contextmanager
def counting(*, honours_keys: bool) -> Iterator[Counter]:
    counter = Counter(honours_keys)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            counter.take(self.headers)
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as counter.port:
        yield counter


def test_a_post_to_a_server_that_ignores_keys_is_held_and_never_repeated(tmp_path: Path) -> None:
    with counting(honours_keys=False) as server, scene_of(tmp_path) as scene:
        request = scene.order("http.post", {"url": f"http://127.0.0.1:{server.port}/orders", "json": {"n": 1}})
        scene.kill(request, "http.post")
        for _ in range(3):
            assert scene.house.run(request) == ["one:failed"]
            assert scene.house.now(request).state is RequestState.ON_HOLD
        assert (server.requests, server.effects) == (1, 1)
        assert scene.effect(request).state is EffectState.UNKNOWN
        assert "A person must look" in scene.house.now(request).state_reason


def test_a_post_to_a_server_that_honours_keys_is_sent_again_and_has_one_effect(tmp_path: Path) -> None:
    with counting(honours_keys=True) as server, scene_of(tmp_path) as scene:
        url = f"http://127.0.0.1:{server.port}/orders"
        request = scene.order("http.post", {"url": url, "json": {"n": 1}, "honours_key_for": "PT24H"})
        scene.kill(request, "http.post")
        assert scene.house.run(request) == ["one:done"]
        assert (server.requests, server.effects, len(server.keys)) == (2, 1, 1)
        assert scene.effect(request).outcome is Outcome.MADE


class Mailbox:
    """What was delivered."""

    def __init__(self) -> None:
        self.delivered = 0

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 - named by aiosmtpd
        self.delivered += 1
        return "250 OK"


class AnyPort(Controller):
    """Listens on a free port; aiosmtpd's own first visit goes to the port it was given, which here is 0."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # it is a server once started
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd is half typed


@contextmanager
def receiving() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def mail_settings(port: int) -> dict[str, JsonValue]:
    return {"host": "127.0.0.1", "port": port, "from": "orderly@example.org"}


def test_a_mail_is_held_and_never_sent_twice(tmp_path: Path) -> None:
    with receiving() as (box, port), scene_of(tmp_path, mail=mail_settings(port)) as scene:
        request = scene.order("mail.send", {"to": "anna@example.org", "subject": "s", "text": "t"})
        scene.kill(request, "mail.send")
        for _ in range(2):
            assert scene.house.run(request) == ["one:failed"]
        assert box.delivered == 1
        assert scene.house.now(request).state is RequestState.ON_HOLD


def test_an_idempotent_runbook_runs_again_and_has_one_effect(tmp_path: Path) -> None:
    playbooks = tmp_path / "content" / "runbooks" / "playbooks"
    playbooks.mkdir(parents=True)
    (playbooks / "note.meta.yml").write_text(
        "{title: Note, effect: idempotent, check_mode: honest, probe: check_mode, hosts: false,"
        " arguments: {path: {type: str, required: true}}}"
    )
    (playbooks / "note.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - name: Write\n      ansible.builtin.lineinfile:\n"
        '        {path: "{{ path }}", line: once, create: true, mode: "0600"}\n'
    )
    note = tmp_path / "note"
    with scene_of(tmp_path) as scene:
        spec = scene.registry.action("runbook.note").spec
        content = scene.registry.content(str(spec.content_digest))
        assert content is not None
        scene.house.records.run(lambda tx: tx.content.put(str(spec.content_digest), content))
        request = scene.order("runbook.note", {"path": str(note)}, content_digest=spec.content_digest)
        scene.kill(request, "runbook.note")
        assert scene.house.run(request) == ["one:done"]
        assert note.read_text() == "once\n"
        assert scene.effect(request).outcome is Outcome.MADE
