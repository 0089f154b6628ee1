"""A real server on loopback over real records; models are plans put into the records as publishing does."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.api.server import server
from flows.preparation import prepare
from flows.records.records import Transaction
from flows.settings import load_settings
from flows.wiring import Application
from request_models.actions import EffectClass
from request_models.json_values import JsonValue
from request_models.plan import Due, Expression, Literal, MapOf, NamedValue, Output, Owners, Plan, Step
from waiting import wait_until

ORDERLY = Path(sys.executable).parent / "orderly"
EVERYDAY = ("catalogue:read", "requests:create", "requests:read")

INPUTS: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "project": {"type": "string", "pattern": "^[a-z][a-z0-9-]{1,19}$", "title": "Project"},
        "region": {"type": "string", "enum": ["eu-west-1", "us-east-1"], "default": "eu-west-1"},
        "days": {"type": "integer", "minimum": 1, "maximum": 3650, "default": 90},
        "token": {"type": "string", "writeOnly": True},
        "note": {"type": "string", "default": ""},
    },
    "required": ["project"],
    "additionalProperties": False,
}


def make_plan(model: str = "project-bucket", title: str = "Object storage for a project") -> Plan:
    def step(path: str, words: str) -> Step:
        return Step(
            path=path,
            title={"en": words},
            uses="memory.note",
            contract="1",
            effect=EffectClass.IDEMPOTENT,
            arguments=MapOf({"bucket": Expression("values.bucket", ("values.bucket",))}),
        )

    return Plan(
        model=model,
        title={"en": title, "zh": "项目对象存储"},
        kind="resource",
        service="object-storage",
        summary={"en": "A private bucket."},
        owners=Owners("anna", responsible=("platform",)),
        inputs=INPUTS,
        due=Due(900.0),
        blocks=(step("create", "Creating the bucket"), step("encrypt", "Encrypting it")),
        input_order=("project", "region", "days", "token", "note"),
        values=(NamedValue("bucket", Expression("inputs.project", ("inputs.project",))),),
        outputs=(Output("bucket", Literal("x"), {"en": "Bucket"}),),
    )


@dataclass
class Api:
    """The server, and what tests do to it and behind its back."""

    url: str
    application: Application
    _clients: list[httpx.Client] = field(default_factory=list)

    def key(self, subject: str, *scopes: str) -> str:
        return self.application.records.run(lambda tx: tx.api_keys.add(f"{subject}'s", subject, scopes or EVERYDAY))

    def client(self, subject: str, *scopes: str) -> httpx.Client:
        """A connection that authenticates as `subject`."""
        return self.connection({"Authorization": f"Bearer {self.key(subject, *scopes)}"})

    def connection(self, headers: dict[str, str] | None = None) -> httpx.Client:
        client = httpx.Client(base_url=self.url, headers=headers, timeout=10.0)
        self._clients.append(client)
        return client

    def publish(self, plan: Plan) -> None:
        def work(tx: Transaction) -> None:
            tx.plans.put(plan)
            tx.publications.put(plan.model, plan.digest)

        self.application.records.run(work)

    def recorded(self) -> list[str]:
        """All that is recorded, read behind the application's back: what a refused call must not change."""
        with closing(sqlite3.connect(self.application.settings.state / "records.db")) as database:
            return list(database.iterdump())

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="session")
def prepared_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with migrated records, to be copied: migrating takes longer than most tests."""
    state = tmp_path_factory.mktemp("prepared") / "state"
    prepare(load_settings(state=state))
    return state


@contextmanager
def serving(state: Path, **changes: Any) -> Iterator[Api]:
    """A server over a state folder, with a model to order; `changes` are settings."""
    settings = load_settings(state=state, api={"public_url": "https://orderly.example.org"}, **changes)
    with Application.open(settings) as application, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        running = server(application, "127.0.0.1", 0)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        served = Api(f"http://127.0.0.1:{listener.getsockname()[1]}", application)
        try:
            wait_until("the server has started", lambda: running.started)
            served.publish(make_plan())
            yield served
        finally:
            served.close()
            running.should_exit = True
            thread.join()


@pytest.fixture
def serve() -> Callable[..., "AbstractContextManager[Api]"]:
    """Serves a state folder, with settings of the test's own."""
    return serving


@pytest.fixture
def api(tmp_path: Path, prepared_state: Path) -> Iterator[Api]:
    shutil.copytree(prepared_state, tmp_path / "state")
    with serving(tmp_path / "state") as served:
        yield served


@pytest.fixture
def anna(api: Api) -> httpx.Client:
    return api.client("anna")


@pytest.fixture
def nothing_recorded(api: Api, anna: httpx.Client) -> Callable[[], None]:
    """Call it at the end: the records are as they were when the test began."""
    before = api.recorded()

    def check() -> None:
        assert api.recorded() == before

    return check


@pytest.fixture(name="make_plan")
def make_plan_fixture() -> Callable[..., Plan]:
    """Makes a plan; `model` and `title` may be given."""
    return make_plan


@pytest.fixture
def orderly_program() -> Path:
    """The installed command."""
    return ORDERLY


@pytest.fixture
def orderly(api: Api, tmp_path: Path) -> "Callable[..., subprocess.CompletedProcess[str]]":
    """Run a command against the server, as olga, in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ORDERLY_STATE": str(tmp_path / "state"),
        "ORDERLY_API_URL": api.url,
        "ORDERLY_PREFECT__API_URL": "http://127.0.0.1:9/api",  # nothing answers there, whatever else this machine runs
        "ORDERLY_API_KEY": api.key("olga", "admin"),
    }

    def run(*arguments: str, text: str = "", **changes: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [ORDERLY, *arguments],
            env={**environment, **changes},
            cwd=folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run
