"""Mixed requests while everything is killed again and again; their effects are counted at the targets.

The workload and the named kill points come from a seed; random kills on the wall clock come on top.

    ORDERLY_CHAOS_SEED       another workload           ORDERLY_CHAOS_MINUTES    for how long parts are killed, at most
    ORDERLY_CHAOS_REQUESTS   more or fewer requests
"""

import http.client
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
import pytest

from chaos_estate import ChaosEstate, Havoc, make_chaos_estate
from chaos_targets import CONNECTOR, CountingServer, counting
from chaos_workload import MODELS, NOTE, NOTE_META, Figures, Wanted, arm, workload
from flows.commands.models import compile_models, load_models
from flows.examples.sandbox import sandbox_estate
from flows.publishing import record_publication
from flows.records.records import Transaction
from flows.records.states import EffectState, RequestState
from private_postgres import PrivatePostgres, private_postgres
from waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(3600)]

SEED = int(os.environ.get("ORDERLY_CHAOS_SEED", "20261125"))
_RESTING = frozenset({state.value for state in RequestState if state.ended} | {"on_hold"})
_TO_DRAIN_SECONDS = 600.0


@contextmanager
def chaos_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can pass through, which pytest's are not."""
    with TemporaryDirectory(prefix="orderly-chaos-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def fill(content: Path) -> None:
    for model, text in MODELS.items():
        (content / "models" / f"{model}.yaml").write_text(text)
    (content / "extensions" / "chaos.py").write_text(CONNECTOR)
    (content / "runbooks" / "playbooks" / "chaos_note.yml").write_text(NOTE)
    (content / "runbooks" / "playbooks" / "chaos_note.meta.yml").write_text(NOTE_META)


@pytest.mark.parametrize(("database", "requests", "minutes"), [("sqlite", 60, 2.5), ("postgresql", 30, 1.5)])
def test_nothing_is_lost_done_twice_or_left_over_whatever_is_killed(
    database: str, requests: int, minutes: float, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = int(os.environ.get("ORDERLY_CHAOS_REQUESTS", requests))
    minutes = float(os.environ.get("ORDERLY_CHAOS_MINUTES", minutes))
    with chaos_folder() as folder, sandbox_estate() as sandbox, counting() as counter:
        aws = sandbox.settings.connectors["aws"]
        public = {"counter": counter.url}

        def run(postgres: PrivatePostgres | None) -> None:
            estate = make_chaos_estate(folder, {"aws": aws}, public, fill, postgres)
            counter.kill = estate.kill_holder
            try:
                table = _wreak(estate, counter, str(aws["endpoint_url"]), database, requests, minutes * 60)
            finally:
                estate.stop()
                estate.application.close()
            with capsys.disabled():
                print(table)  # noqa: T201 - the figures are what it is run for

        if database == "sqlite":
            run(None)
        else:
            with private_postgres(folder) as postgres:
                run(postgres)


def _wreak(
    estate: ChaosEstate, counter: CountingServer, endpoint: str, database: str, count: int, seconds: float
) -> str:
    wanted = workload(SEED, count, estate.folder / "targets")
    _publish(estate)
    estate.start_all()
    for one in wanted:
        arm(one, counter)
    began = time.monotonic()
    havoc = Havoc(estate, SEED, every=(1.0, 4.0))
    havoc.start()
    try:
        for one in wanted:
            one.id = _ordered(estate, one)
        accepted = time.monotonic() - began
        _wait_for_rest(estate, wanted, max(seconds - accepted, 0.0), gives_up=True)
    finally:
        havoc.end()
    assert havoc.broke is None, f"seed {SEED}: {havoc.broke!r}\n{estate.logs()}"
    _wait_for_rest(estate, wanted, _TO_DRAIN_SECONDS, gives_up=False)
    took = time.monotonic() - began
    estate.stop()
    problems = _problems(estate, counter, endpoint, wanted)
    assert not problems, f"seed {SEED}, {database}:\n" + "\n".join(problems)
    figures = Figures(estate.kills, *_counts(estate, counter, wanted))
    estate.kills["a run, at a named point"] += sum(one.folder.killed for one in wanted if one.kill is not None)
    killed_at_points = sum(one.kill is not None for one in wanted)
    rows = {
        "requests ordered, on record": f"{count}, {_on_record(estate)}",
        "kill points named beforehand": killed_at_points,
        "effects done twice": _duplicates(counter, wanted),
        "processes left": len(estate.processes()),
        "seconds, all in all": round(took),
    }
    return figures.table(f"Chaos on {database}, seed {SEED}:", rows)


def _publish(estate: ChaosEstate) -> None:
    loaded = load_models(estate.application, [estate.settings.content[0] / "models"])
    compiled = compile_models(estate.application, loaded)
    assert not compiled.wrong, [str(one) for one in compiled.diagnostics]
    for plan in compiled.plans:
        record_publication(estate.application.records, estate.application.registry, plan)


def _ordered(estate: ChaosEstate, one: Wanted) -> str:
    """Order as a front-end does that was told nothing yet: the same order again, until the answer is 202."""
    key = estate.settings.local_api_key_file.read_text().strip()
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid.uuid5(uuid.NAMESPACE_URL, one.tag))}

    def order() -> str:
        body = {"model": one.model, "inputs": one.inputs}
        answer = httpx.post(f"{estate.api_url}/v1/requests", json=body, headers=headers, timeout=15)
        assert answer.status_code in {200, 202}, answer.text
        return str(answer.json()["id"])

    return wait_until(f"{one.tag} is accepted", order, 180, every=0.2)


def _wait_for_rest(estate: ChaosEstate, wanted: Sequence[Wanted], seconds: float, *, gives_up: bool) -> None:
    deadline = time.monotonic() + seconds
    while left := _not_at_rest(estate, wanted):
        if time.monotonic() > deadline:
            if gives_up:
                return
            told = "\n".join(_story(estate, one) for one in left[:3])
            raise AssertionError(f"seed {SEED}: {len(left)} requests do not come to rest\n{told}\n{estate.logs()}")
        time.sleep(0.5)


def _not_at_rest(estate: ChaosEstate, wanted: Sequence[Wanted]) -> list[Wanted]:
    def read(tx: Transaction) -> list[Wanted]:
        rows = {one.id: tx.requests.get(one.id) for one in wanted}
        return [one for one in wanted if (row := rows[one.id]) is None or row.state.value not in _RESTING]

    try:
        return estate.application.records.read(read)
    except Exception:  # noqa: BLE001 - the database is being killed
        return list(wanted)


# what must be so at the end


def _problems(estate: ChaosEstate, counter: CountingServer, endpoint: str, wanted: Sequence[Wanted]) -> list[str]:
    buckets = _buckets(endpoint)
    problems: list[str] = []
    for one in wanted:
        found = [*_wrong_in_records(estate, one), *_wrong_at_targets(estate, counter, buckets, one)]
        if found:
            problems += [f"{one.tag} ({one.model}): {problem}" for problem in found]
            problems.append(_story(estate, one))
    made_for = {f"chaos-{one.tag}" for one in wanted if one.model == "buckets"}
    problems += [f"a bucket that nobody ordered: {name}" for name in buckets if name not in made_for]
    total = _on_record(estate)
    if total != len(wanted):
        problems.append(f"{total} requests are on record, {len(wanted)} were ordered")
    try:
        wait_until("no process is left", lambda: not estate.processes(), 6.0)
    except AssertionError:
        problems += [f"a process is left: {process}" for process in estate.processes()]
    return problems


def _wrong_in_records(estate: ChaosEstate, one: Wanted) -> list[str]:
    def look(tx: Transaction) -> list[str]:
        row, claim = tx.requests.get(one.id), tx.claims.get(one.id)
        assert row is not None
        effects = tx.effects.latest(one.id)
        wrong = [f"audit: {problem.message}" for problem in tx.audit.verify(one.id)]
        wrong += [f"open effect of {each.path}" for each in effects if each.state is EffectState.OPEN]
        if claim is not None and not claim.released and claim.expires > estate.application.records.now():
            wrong.append("its claim was not given back")
        unknown = [each.path for each in effects if each.state is EffectState.UNKNOWN]
        if row.state is RequestState.ON_HOLD:
            if one.model != "posts-unkeyed" or unknown != ["only"]:
                wrong.append(f"it is on hold, unknown {unknown}: {row.state_reason}")
        elif row.state.value != one.state:
            wrong.append(f"it is {row.state.value}, not {one.state}: {row.state_reason}")
        return wrong

    return estate.application.records.read(look)


def _wrong_at_targets(estate: ChaosEstate, counter: CountingServer, buckets: Counter[str], one: Wanted) -> list[str]:
    wrong: list[str] = []
    held = _state(estate, one) is RequestState.ON_HOLD
    lines, posts = one.folder.effects(), counter.left(one.tag)
    if lines != one.lines:
        wrong.append(f"its folder has {dict(lines)}, not {dict(one.lines)}")
    if held:
        if posts["only"] > 1:
            wrong.append(f"the counting server counts {dict(posts)} for a request on hold")
    elif posts != one.posts:
        wrong.append(f"the counting server counts {dict(posts)}, not {dict(one.posts)}")
    if one.model == "posts-unkeyed" and counter.calls[one.tag, "only"] > 1:
        wrong.append(f"what cannot be repeated was called {counter.calls[one.tag, 'only']} times")
    if one.model == "buckets" and buckets[f"chaos-{one.tag}"] != 1:
        wrong.append(f"its bucket is there {buckets[f'chaos-{one.tag}']} times")
    if one.model == "notes" and (one.folder.path / "note").read_text() != "once\n":
        wrong.append("its note is not as it should be")
    return wrong


def _state(estate: ChaosEstate, one: Wanted) -> RequestState:
    row = estate.application.records.read(lambda tx: tx.requests.get(one.id))
    assert row is not None
    return row.state


def _buckets(endpoint: str) -> Counter[str]:
    """What the AWS endpoint itself says is there."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    try:
        connection.request("GET", "/orderly-sandbox/state")
        facts = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return Counter(path.split("/")[3] for path in facts if path.startswith("s3/") and path.endswith("/region_name"))


def _on_record(estate: ChaosEstate) -> int:
    return estate.application.records.read(lambda tx: len(tx.requests.in_states(RequestState)))


def _duplicates(counter: CountingServer, wanted: Sequence[Wanted]) -> int:
    """How many effects there were beyond the first of each."""
    counts = [*counter.effects.values(), *(count for one in wanted for count in one.folder.effects().values())]
    return sum(count - 1 for count in counts)


def _counts(
    estate: ChaosEstate, counter: CountingServer, wanted: Sequence[Wanted]
) -> tuple[Counter[str], Counter[str]]:
    states = Counter(_state(estate, one).value for one in wanted)
    effects = Counter(
        {
            "the counting server": sum(counter.effects.values()),
            "folders": sum(sum(one.folder.effects().values()) for one in wanted),
            "the AWS endpoint": sum(one.model == "buckets" for one in wanted),
            "files by runbooks": sum(one.model == "notes" for one in wanted),
        }
    )
    return states, effects


def _story(estate: ChaosEstate, one: Wanted) -> str:
    """All that is known of a request, for whoever has to find out."""

    def tell(tx: Transaction) -> list[str]:
        row = tx.requests.get(one.id)
        claim = tx.claims.get(one.id)
        lines = [f"  story of {one.tag}, {one.model}, kill point {one.kill}: {row and row.state}"]
        lines += [f"    claim {claim}"]
        for event in tx.audit.of(one.id):
            lines.append(f"    {event.at:%H:%M:%S.%f} {event.actor} {event.event} -> {event.to_state}: {event.why}")
        for attempt in tx.steps.attempts(one.id):
            lines.append(
                f"    attempt {attempt.path}[{attempt.item_key}] {attempt.started:%H:%M:%S.%f}:"
                f" {attempt.outcome} {attempt.error_code or ''}"
            )
        for effect in tx.effects.all(one.id):
            lines.append(
                f"    effect {effect.path}[{effect.item_key}] generation {effect.generation}"
                f" {effect.state.value} {effect.outcome}"
            )
        return lines

    return "\n".join(estate.application.records.read(tell))
