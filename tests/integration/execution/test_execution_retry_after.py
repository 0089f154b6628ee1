"""Retry after something else is another: the model, or after results that are large, binary or secret, or many."""

import base64
import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from connectors.registry import ConnectorContext, Registry
from flows.execution import Execution
from flows.lifecycle import Lifecycle
from flows.records.errors import SealBroken
from flows.records.keyring import Keyring
from flows.records.large_values import LARGE_BYTES
from flows.records.records import Records
from flows.records.rows import RequestRow, StepRow
from flows.records.states import EffectState, RequestState
from flows.settings import load_settings
from flows.step_run import MAX_KEPT_BYTES, MAX_RESULT_BYTES
from request_models.actions import Action, ActionCall, ActionResult, EffectClass, Outcome
from request_models.json_values import JsonValue
from request_models.plan import Expression, Group, Literal, Loop, MapOf, Step
from staging import CALLER, House, Stage, expression, plan_of, step, text
from undoing_world import fails

TEN_MEGABYTES = 10 * 1000 * 1000


@dataclass
class Target:
    """A real HTTP server. It counts what it is told, answers with what is asked for, and can refuse a path."""

    counts: Counter[str] = field(default_factory=Counter)
    refuses: set[str] = field(default_factory=set)
    body: bytes = b"{}"
    kind: str = "application/json"
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str) -> tuple[int, bytes]:
        with self.lock:
            self.counts[path] += 1
            return (500, b"{}") if path in self.refuses else (200, self.body)


@pytest.fixture
def target() -> Iterator[Target]:
    known = Target()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = known.take(self.path)
            self.send_response(status)
            self.send_header("Content-Type", known.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = _answer  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    known.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


class WithStage(Registry):
    """The real connectors, and the stage for what follows them."""

    stage: Stage

    def action(self, name: str) -> Action:
        return self.stage.find(name) or super().action(name)


@contextmanager
def real_house(tmp_path: Path, **connectors: dict[str, JsonValue]) -> Iterator[tuple[House, Registry]]:
    settings = load_settings(state=tmp_path / "state", connectors=connectors)
    records = Records.open(settings.records_url, Keyring.open(settings.keyring_file))
    records.migrate()
    with WithStage.discover(settings.connectors, ConnectorContext(settings.state, ())) as registry:
        registry.stage = Stage()
        execution = Execution(records, registry, settings)
        yield House(settings, records, registry.stage, Lifecycle(records, {}), execution), registry
    records.close()


def calling(registry: Registry, action: str, path: str, **arguments: "JsonValue | Expression") -> Step:
    spec = registry.action(action).spec
    nodes = {name: one if isinstance(one, Expression) else Literal(one) for name, one in arguments.items()}
    return Step(action, spec.contract, spec.effect, MapOf(nodes), path=path, title={"en": path})


def row_of(house: House, request: RequestRow, path: str) -> StepRow:
    row = house.records.read(lambda tx: tx.steps.get(request.id, path))
    assert row is not None
    return row


class Flaky:
    """Fails until it is mended; keeps a digest of each text it got."""

    def __init__(self) -> None:
        self.broken = True
        self.got: list[str] = []

    def __call__(self, call: ActionCall) -> ActionResult:
        if self.broken:
            return fails(call)
        self.got.append(hashlib.sha256(str(call.arguments["text"]).encode()).hexdigest())
        return ActionResult(Outcome.MADE, {})


# the model is another


def test_after_the_model_was_changed_a_retry_goes_on_with_the_plan_that_was_accepted(house: House) -> None:
    flaky = Flaky()
    house.stage.action("one", behave=flaky)
    late = house.stage.action("late")
    house.stage.action("other")
    request = house.order(plan_of(step("one"), step("late", arguments=text(Literal("as accepted")))))
    house.run(request)
    house.publish(plan_of(step("other"), step("late", arguments=text(Literal("as changed")))))
    flaky.broken = False
    house.lifecycle.retry(request.id, CALLER, "mended")
    assert house.run(request) == ["one:done", "late:done"]
    assert late.calls[0].arguments == {"text": "as accepted"}
    assert house.now(request).plan_digest == request.plan_digest


# results that are large, binary, secret


def test_after_a_result_of_ten_megabytes_a_retry_has_it_whole_and_does_not_ask_for_it_again(
    tmp_path: Path, target: Target
) -> None:
    letters = base64.b64encode(os.urandom(TEN_MEGABYTES * 3 // 4)).decode()
    target.body = json.dumps({"report": letters}).encode()
    with real_house(tmp_path, http={"max_body_bytes": 2 * TEN_MEGABYTES}) as (house, registry):
        flaky = Flaky()
        house.stage.action("use", behave=flaky)
        read = calling(registry, "http.put", "read", url=f"{target.url}/report", json={})
        use = step("use", arguments=text(expression("steps.read.result.json.report")))
        request = house.order(plan_of(read, use))
        assert house.run(request) == ["read:done", "use:failed"]
        for path in ("read", "use"):
            row = row_of(house, request, path)
            sealed = row.result if path == "read" else row.arguments
            assert sealed is not None
            assert sealed.public is None
            assert sealed.large is not None
            assert sealed.large.size > TEN_MEGABYTES
        flaky.broken = False
        assert house.run(request) == ["read:done*", "use:done"]
        assert flaky.got == [hashlib.sha256(letters.encode()).hexdigest()]
        assert target.counts == {"/report": 1}
        assert house.now(request).state is RequestState.FULFILLED


def test_after_a_binary_result_a_retry_has_each_byte_of_it(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys: dict[str, JsonValue] = {"region": "eu-west-1", "access_key_id": "AKIAORDERLY", "secret_access_key": "hush"}
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="eu-west-1", aws_access_key_id="AKIAORDERLY", aws_secret_access_key="hush"
    )
    bucket = f"binary-{os.getpid()}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_object(Bucket=bucket, Key="photo", Body=content)
    try:
        with real_house(tmp_path, aws={**keys, "endpoint_url": url}) as (house, registry):
            flaky = Flaky()
            house.stage.action("use", behave=flaky)
            read = calling(registry, "aws.s3.get_object", "read", Bucket=bucket, Key="photo")
            request = house.order(plan_of(read, step("use", arguments=text(expression("steps.read.result.Body")))))
            house.run(request)
            client.put_object(Bucket=bucket, Key="photo", Body=b"another")
            flaky.broken = False
            assert house.run(request) == ["read:done*", "use:done"]
            assert flaky.got == [hashlib.sha256(base64.b64encode(content)).hexdigest()]
    finally:
        client.close()
        server.stop()


def test_after_a_large_secret_result_a_retry_has_it_and_it_stands_nowhere_in_clear(house: House) -> None:
    secret = "battery-staple-" * 20_000
    made = house.stage.action("key", behave=lambda call: ActionResult(Outcome.MADE, {"key": secret, "size": 7}))
    flaky = Flaky()
    house.stage.action("use", behave=flaky)
    request = house.order(
        plan_of(
            step("key", secret_results=("/key",)),
            step("use", arguments=text(expression("steps.key.result.key", secret=True))),
        )
    )
    house.run(request)
    flaky.broken = False
    assert house.run(request) == ["key:done*", "use:done"]
    assert (len(made.calls), flaky.got) == (1, [hashlib.sha256(secret.encode()).hexdigest()])
    result = row_of(house, request, "key").result
    assert result is not None
    assert result.public == {"key": None, "size": 7}
    for path in house.settings.state.rglob("*"):
        assert not path.is_file() or b"battery-staple" not in path.read_bytes()


def test_a_large_result_that_was_altered_is_not_used(house: House) -> None:
    house.stage.action("one", behave=lambda call: ActionResult(Outcome.MADE, {"long": "x" * (LARGE_BYTES + 1)}))
    request = house.order(plan_of(step("one")))
    house.run(request)
    result = row_of(house, request, "one").result
    assert result is not None
    assert result.large is not None
    known = house.records.read(lambda tx: tx.secrets.reveal(request.id, result))
    assert known == {"long": "x" * (LARGE_BYTES + 1)}
    other = replace(result, large=replace(result.large, digest="0" * 64))
    with pytest.raises(SealBroken, match="large value"):
        house.records.read(lambda tx: tx.secrets.reveal(request.id, other))


@pytest.mark.parametrize(
    ("length", "times", "said"),
    [
        (MAX_RESULT_BYTES + 1, 1, "answer is 32.0 MiB long; a step's may be 32.0 MiB"),
        (MAX_RESULT_BYTES - 100, MAX_KEPT_BYTES // MAX_RESULT_BYTES + 1, "more than the 256.0 MiB that are kept"),
    ],
)
@pytest.mark.slow
def test_a_result_beyond_the_bounds_is_refused_and_what_it_did_is_left_to_a_person(
    tmp_path: Path, length: int, times: int, said: str
) -> None:
    with real_house(tmp_path) as (house, _):
        texts = iter(chr(ord("a") + number) * length for number in range(times))
        house.stage.action("one", EffectClass.NOT_REPEATABLE, lambda call: ActionResult(Outcome.MADE, next(texts)))
        steps = [
            Step("stage.one", "1", EffectClass.NOT_REPEATABLE, text(Literal("x")), path=f"s{number}")
            for number in range(times)
        ]
        request = house.order(plan_of(*steps))
        house.run(request)
        now = house.now(request)
        assert now.state is RequestState.ON_HOLD
        assert said in now.state_reason
        effect = house.records.read(lambda tx: tx.effects.current(request.id, f"s{times - 1}"))
        assert effect is not None
        assert effect.state is EffectState.UNKNOWN
        assert len(house.stage.actions["stage.one"].calls) == times


# a long list


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_of_a_thousand_items_that_failed_at_the_617th_the_first_616_are_not_repeated(
    tmp_path: Path, target: Target
) -> None:
    schema: dict[str, JsonValue] = {"items": {"type": "array", "items": {"type": "integer"}}}
    with real_house(tmp_path) as (house, registry):
        put = calling(registry, "http.put", "put", url=expression(f"'{target.url}/' + (item | string)"), json={})
        each = Group(blocks=(put,), path="each", loop=Loop(expression("inputs['items']"), expression("item")))
        request = house.order(plan_of(each, inputs=schema), items=list(range(1, 1001)))
        target.refuses.add("/617")
        house.run(request)
        assert house.now(request).state is RequestState.ON_HOLD
        assert target.counts == {f"/{number}": 1 for number in range(1, 618)}
        target.refuses.clear()
        house.lifecycle.retry(request.id, CALLER, "mended")
        seen = house.run(request)
        assert seen[0] == "each[617].put:done"
        assert house.now(request).state is RequestState.FULFILLED
        assert target.counts == {f"/{number}": 1 + (number == 617) for number in range(1, 1001)}
