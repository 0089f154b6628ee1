"""A secret that a user typed is found nowhere but encrypted in our records, and at the systems it was meant for."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from estate import Estate, running
from flows.sandbox.inspection import read_host_file

pytestmark = [pytest.mark.acceptance, pytest.mark.needs("namespaces"), pytest.mark.timeout(900)]

CANARY = "canary-5e1d7b-swordfish"

MODEL = """\
model: vault-entry
title: Entry in the vault
kind: access
service: vault
owners: {accountable: vault-owner}
inputs:
  name: {type: string, pattern: "^[a-z]{3,20}$"}
  password: {type: string, minLength: 8, maxLength: 100, secret: true, title: Password}
  address: {type: string, format: uri}
values:
  login: "{{ inputs.name }}:{{ inputs.password }}"
due: {within: PT1H}
steps:
  - id: keep
    uses: aws.secretsmanager.create_secret
    target: {aws: {region: eu-west-1}}
    with: {Name: "{{ inputs.name }}", SecretString: "{{ inputs.password }}"}
    undo: {none: The test throws the estate away.}
  - id: write
    uses: runbook.keep_password
    hosts: file_servers
    with: {password: "{{ values.login }}"}
    undo: {none: The test throws the estate away.}
  - id: tell
    uses: http.post
    with:
      url: "{{ inputs.address }}"
      headers: {Authorization: "Bearer {{ inputs.password }}"}
      json: {login: "{{ values.login }}"}
    undo: {none: The test throws the estate away.}
  - id: refused
    uses: http.get
    with: {url: "{{ inputs.address }}/refused", headers: {Authorization: "Bearer {{ inputs.password }}"}}
outputs:
  login: {value: "{{ values.login }}", title: Login, secret: true}
"""

META = """\
title: Keeps a password on a host
check_mode: honest
effect: idempotent
arguments:
  password: {type: str, required: true, no_log: true}
outputs:
  written: {type: bool, required: true}
"""

PLAYBOOK = """\
- name: Keeps a password on a host
  hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Write its digest
      ansible.builtin.copy:
        dest: /var/password.sha256
        content: "{{ password | hash('sha256') }}"
        mode: "0600"
    - name: Say it aloud, which nobody should
      ansible.builtin.debug:
        msg: "the password is {{ password }}"
    - name: Report
      ansible.builtin.debug:
        msg: {outputs: {written: true, outcome: made}}
"""


class _Echo(BaseHTTPRequestHandler):
    """Repeats what it is told, most of all when it refuses: the rudest service there could be."""

    heard: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(200, f"{self.headers['Authorization']} {body}")

    def do_GET(self) -> None:
        self._answer(403, f"you sent {self.headers['Authorization']}")

    def _answer(self, status: int, text: str) -> None:
        self.heard.append(text)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def echo() -> Iterator[tuple[str, list[str]]]:
    heard: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Echo", (_Echo,), {"heard": heard}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "vault-entry.yaml").write_text(MODEL)
    (folder / "runbooks" / "playbooks").mkdir(parents=True)
    (folder / "runbooks" / "playbooks" / "keep_password.yml").write_text(PLAYBOOK)
    (folder / "runbooks" / "playbooks" / "keep_password.meta.yml").write_text(META)
    return folder


class _Watcher(threading.Thread):
    """Looks at the command lines and environments of all processes for as long as the request runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self.looks = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            self.looks += 1
            for part in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
                try:
                    if CANARY.encode() in part.read_bytes():
                        self.seen.add(str(part))
                except OSError:
                    continue

    def end(self) -> None:
        self._over.set()
        self.join()


def test_a_secret_input_is_nowhere_but_encrypted_and_where_it_belongs(
    tmp_path: Path, content: Path, echo: tuple[str, list[str]]
) -> None:
    address, heard = echo
    with running(tmp_path / "state", ORDERLY_CONTENT=str(content)) as estate:
        watcher = _Watcher()
        watcher.start()
        accepted = estate.order("vault-entry", {"name": "vault", "password": CANARY, "address": address})
        assert accepted.status_code == 202, accepted.text
        request = estate.settled(accepted.json()["id"], within=300)
        watcher.end()

        # It got where it belongs, and the last step failed with it in the service's answer.
        assert [step["state"] for step in request["steps"]] == ["done", "done", "done", "failed"], request
        assert any(CANARY in text for text in heard)
        login = f"vault:{CANARY}"
        assert (
            read_host_file(estate.state, "files-1", "/var/password.sha256")
            == hashlib.sha256(login.encode()).hexdigest()
        )

        assert watcher.looks > 0
        assert watcher.seen == set()
        for answer in _everything_said(estate, request["id"]):
            assert CANARY not in answer
    assert _files_that_hold_it(tmp_path) == []


def _everything_said(estate: Estate, request_id: str) -> Iterator[str]:
    """All that our API and Prefect's tell about the request."""
    for path in (f"/v1/requests/{request_id}", "/v1/requests", "/v1/catalogue", "/v1/catalogue/vault-entry"):
        yield estate.http().get(path).raise_for_status().text
    kinds: dict[str, Any] = {"flow_runs": {}, "task_runs": {}, "logs": {"limit": 200}, "artifacts": {}}
    for kind, body in kinds.items():
        yield estate.prefect().post(f"{kind}/filter", json=body).raise_for_status().text


def _files_that_hold_it(folder: Path) -> list[str]:
    """Every file that has the canary in it, but for the AWS endpoint's own memory: it was told the secret to keep."""
    return [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink() and CANARY.encode() in file.read_bytes()
        if "aws" not in file.name
        and file.parts[len(folder.parts) : len(folder.parts) + 3] != ("state", "sandbox", "aws")
    ]
