"""Whether this installation can work, and what to do where it cannot: what `orderly doctor` tells."""

import contextlib
import http.client
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from connectors.errors import ConnectorError
from flows.origin import home_of, strangers
from flows.records.errors import RecordsError
from flows.records.keyring import Keyring
from flows.records.records import Records
from flows.running import find_running
from flows.settings import Settings, settings_files
from flows.wiring import Application

DISTRIBUTION = "orderly"
_TIMEOUT_SECONDS = 3.0
_PREPARE = "Run: orderly up, or orderly migrate"


class Verdict(StrEnum):
    """How a check went. `idle`: nothing is wrong, it just does not run."""

    GOOD = "good"
    IDLE = "idle"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One check: what was found, and what to do about it."""

    check: str
    verdict: Verdict
    found: str
    do: str = ""


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one finding a check. Nothing is changed."""
    yield _modules()
    yield _settings()
    yield _state_folder(settings)
    yield _keyring(settings)
    records = _records(settings)
    yield records
    yield _local_key(settings, usable=records.verdict is Verdict.GOOD)
    yield _connectors(settings)
    yield _inventory(settings)
    yield from _running(settings)
    yield _programs()


def _modules() -> Finding:
    """Our modules must come from our distribution: a folder of the same name elsewhere would hide them."""
    if found := strangers():
        return Finding("modules", Verdict.BAD, "; ".join(found), "Remove such folders from PYTHONPATH, or rename them.")
    home = home_of("flows")
    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return Finding(
            "modules", Verdict.BAD, f"they come from {home}, which is not installed", "Run: pip install orderly"
        )
    if home not in _homes_of_distribution():
        return Finding(
            "modules",
            Verdict.BAD,
            f"they come from {home}, the distribution is elsewhere",
            "Call the command of the environment in which Orderly is installed, from another folder.",
        )
    return Finding("modules", Verdict.GOOD, f"orderly {version} from {home}")


def _homes_of_distribution() -> set[Path]:
    """The folder of the installed files, and for an editable installation the clone it points to."""
    distribution = metadata.distribution(DISTRIBUTION)
    homes = {Path(str(distribution.locate_file(""))).resolve()}
    written = distribution.read_text("direct_url.json")
    if written:
        url = urlsplit(json.loads(written)["url"])
        homes.add(Path(url.path).resolve())
    return homes


def _settings() -> Finding:
    files = ", ".join(str(path) for path in settings_files())
    return Finding("settings", Verdict.GOOD, files or "defaults and ORDERLY_* variables, no file")


def _state_folder(settings: Settings) -> Finding:
    folder = settings.state
    if not folder.exists():
        return Finding("state", Verdict.IDLE, f"{folder} is not there yet", "`orderly up` makes it.")
    if folder.stat().st_mode & 0o077:
        return Finding("state", Verdict.BAD, f"{folder} is open to other users", f"Run: chmod 700 {folder}")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("state", Verdict.BAD, f"{folder} cannot be written", f"Run: chown -R $USER {folder}")
    free = shutil.disk_usage(folder).free // 1024**2
    if free < 200:
        return Finding("state", Verdict.BAD, f"{folder} has only {free} MiB left", "Make room on its disk.")
    return Finding("state", Verdict.GOOD, f"{folder}, {free} MiB free")


def _keyring(settings: Settings) -> Finding:
    path = settings.keyring_file
    if not path.exists():
        return Finding("keyring", Verdict.IDLE, f"{path} is not there yet", _PREPARE)
    try:
        active = Keyring.open(path).active
    except RecordsError as error:
        return Finding("keyring", Verdict.BAD, str(error), "Put back the file that belongs to these records.")
    return Finding("keyring", Verdict.GOOD, f"{path}, active key {active}")


def _records(settings: Settings) -> Finding:
    if settings.database_url is None and not (settings.state / "records.db").exists():
        return Finding("records", Verdict.IDLE, "there are none yet", _PREPARE)
    try:
        records = Records.open(settings.records_url, Keyring.in_memory())
        with contextlib.closing(records):
            records.ready()
    except RecordsError as error:
        return Finding("records", Verdict.BAD, str(error), "Start the database, or run: orderly migrate")
    return Finding("records", Verdict.GOOD, "they answer, their tables are of this version")


def _local_key(settings: Settings, *, usable: bool) -> Finding:
    path = settings.local_api_key_file
    if not path.exists():
        return Finding("local key", Verdict.IDLE, f"{path} is not there yet", _PREPARE)
    if path.stat().st_mode & 0o077:
        return Finding("local key", Verdict.BAD, f"{path} is open to other users", f"Run: chmod 600 {path}")
    if usable:
        with contextlib.closing(Records.open(settings.records_url, Keyring.in_memory())) as records:
            known = records.read(lambda tx: tx.api_keys.authenticate(path.read_text().strip()))
        if known is None:
            return Finding("local key", Verdict.BAD, "the records do not know it", "Run: orderly migrate")
    return Finding("local key", Verdict.GOOD, str(path))


def _connectors(settings: Settings) -> Finding:
    try:
        with Application.open(settings) as application:
            names = application.registry.connectors
    except ConnectorError as error:
        return Finding("connectors", Verdict.BAD, str(error), "Correct the settings under `connectors`.")
    return Finding("connectors", Verdict.GOOD, ", ".join(names))


def _inventory(settings: Settings) -> Finding:
    named = settings.connectors.get("runbook", {}).get("inventory") or []
    paths = [Path(str(path)) for path in (named if isinstance(named, list) else [named])]
    if not paths:
        return Finding(
            "inventory",
            Verdict.IDLE,
            "the settings name none",
            "For runbooks on hosts, set connectors.runbook.inventory.",
        )
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        return Finding("inventory", Verdict.BAD, f"not there: {', '.join(missing)}", "Correct the settings.")
    return Finding("inventory", Verdict.GOOD, ", ".join(str(path) for path in paths))


def _running(settings: Settings) -> Iterator[Finding]:
    running = find_running(settings.state)
    api = running.api if running else settings.api.url
    prefect = running.prefect_api if running else settings.prefect.api_url
    start = "Start it: orderly up" if running is None else f"See {settings.state / 'logs'}"
    yield _answers("api", f"{api}/readyz", start)
    answer = _answers("prefect", f"{prefect}/health", start)
    yield answer
    if answer.verdict is Verdict.GOOD:
        yield _worker(prefect, settings, start)


def _answers(check: str, url: str, otherwise: str) -> Finding:
    status, _ = _call("GET", url)
    if status is None:
        return Finding(check, Verdict.IDLE, f"{url} does not answer", otherwise)
    if status != http.HTTPStatus.OK:
        return Finding(check, Verdict.BAD, f"{url} answers {status}", otherwise)
    return Finding(check, Verdict.GOOD, url)


def _worker(prefect: str, settings: Settings, otherwise: str) -> Finding:
    pool = settings.prefect.work_pool
    status, answer = _call("POST", f"{prefect}/work_pools/{pool}/workers/filter", {})
    if status != http.HTTPStatus.OK or not isinstance(answer, list):
        return Finding("worker", Verdict.BAD, f"Prefect knows no work pool {pool!r}", "Run: orderly publish")
    online = [worker["name"] for worker in answer if worker.get("status") == "ONLINE"]
    if not online:
        return Finding("worker", Verdict.BAD, f"none is online in the work pool {pool!r}", otherwise)
    return Finding("worker", Verdict.GOOD, ", ".join(online))


def _call(method: str, url: str, body: object = None) -> tuple[int | None, object]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, parts.path, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            return None, None
    try:
        return answer.status, json.loads(said or b"null")
    except ValueError:
        return answer.status, None


def _programs() -> Finding:
    missing = [name for name in ("ssh", "git") if shutil.which(name) is None]
    if missing:
        return Finding("programs", Verdict.BAD, f"not installed: {', '.join(missing)}", "Install them.")
    return Finding("programs", Verdict.GOOD, "ssh, git")
