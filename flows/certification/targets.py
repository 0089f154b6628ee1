"""What is there at the targets: read from the sandbox itself, not from our records, and made as new between runs.

A fact is a path and a value. Moments, random ids and the request's own id are masked, so that two runs can be compared;
what differs between two undisturbed runs all the same is no fact.
"""

import http.client
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from flows.sandbox.hosts import Hosts, interpreter, inventory
from flows.sandbox.inspection import folder as sandbox_folder
from flows.sandbox.inspection import mails
from flows.sandbox.namespaces import run_inside

Facts = Counter[tuple[str, str]]

_MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[a-z]{1,10}-[0-9a-f]{8}(?:[0-9a-f]{9})?\b"), "ID"),
    (re.compile(r"\bA[A-Z]{3}[A-Z0-9]{12,17}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"), "MOMENT"),
)

_TREES = ("/etc", "/home", "/root", "/srv", "/opt", "/var")
_LOOK = """
import hashlib, json, os, stat, sys
mask, found = sys.argv[1].encode(), {}
for tree in sys.argv[2:]:
    for place, folders, files in os.walk(tree):
        for name in folders + files:
            path = os.path.join(place, name)
            about = os.lstat(path)
            what = [oct(about.st_mode), about.st_uid, about.st_gid]
            if stat.S_ISLNK(about.st_mode):
                what.append(os.readlink(path))
            elif stat.S_ISREG(about.st_mode):
                what.append(hashlib.sha256(open(path, 'rb').read().replace(mask, b'REQUEST')).hexdigest())
            found[path] = json.dumps(what)
json.dump(found, sys.stdout)
"""
"""Says what files there are. On a host whose trees are overlays only what was changed is looked at, from outside."""


_ANY_SIGNATURE = "AWS4-HMAC-SHA256 Credential=sandbox/20300101/us-east-1/s3/aws4_request, Signature=none"


class Targets:
    """The sandbox's AWS endpoint, mailbox and hosts. In the main thread only: hosts end with the one that starts them.

    `with_hosts`: there are hosts to act on, by an inventory of their own, made by each `renew`.
    """

    def __init__(self, state: Path, endpoint_url: str, *, with_hosts: bool) -> None:
        self._state = state
        self._endpoint = urlsplit(endpoint_url).netloc
        self._folder = state / "certified-hosts"
        self._hosts = Hosts(self._folder / "now", state) if with_hosts else None
        self._before: dict[str, dict[str, str]] = {}
        self._renewed = 0
        self.inventory = self._folder / "hosts.yml"

    def prepare(self) -> None:
        """Write the inventory: it stays the same, whichever hosts bear the names. Have the AWS endpoint warm."""
        self._ask("GET", "/", {"Authorization": _ANY_SIGNATURE})
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._hosts is not None:
            self._hosts.start()
            self.inventory.write_text(json.dumps(inventory(list(self._hosts.running.values()))))
            self._hosts.stop()

    def renew(self, *, hosts: bool) -> None:
        """Have everything as if nothing had ever been done. `hosts`: they are needed."""
        self._ask("POST", "/moto-api/reset")
        for mail in (sandbox_folder(self._state) / "mail").glob("*.eml"):
            mail.unlink()
        self.end()
        if hosts and self._hosts is not None:
            self._hosts.start()
            self._before = {name: self._on_host(name, "") for name in self._hosts.running}

    def end(self) -> None:
        """End the hosts, and forget what was on them."""
        if self._hosts is None:
            return
        self._hosts.stop()
        now = self._folder / "now"
        if now.exists():
            self._renewed += 1
            old = now.rename(self._folder / f"old-{self._renewed}")
            shutil.rmtree(old, ignore_errors=True)

    def facts(self, request_id: str) -> Facts:
        """What is there now."""
        found = [*self._aws(), *self._mails(), *self._host_files(request_id)]
        return Counter((_masked(path, request_id), _masked(value, request_id)) for path, value in found)

    def _aws(self) -> Iterator[tuple[str, str]]:
        state: dict[str, str] = json.loads(self._ask("GET", "/orderly-sandbox/state"))
        yield from ((f"aws/{path}", value) for path, value in state.items())

    def _mails(self) -> Iterator[tuple[str, str]]:
        for mail in mails(self._state):
            yield f"mail/{mail['X-Envelope-To']}/{mail['Subject']}", mail.get_content()

    def _host_files(self, request_id: str) -> Iterator[tuple[str, str]]:
        """What differs from what was there when the host was started."""
        for name in () if self._hosts is None else self._hosts.running:
            before, now = self._before[name], self._on_host(name, request_id)
            for path in before.keys() | now.keys():
                if now.get(path) != before.get(path):
                    yield f"host/{name}{path}", now.get(path, "removed")

    def _on_host(self, name: str, request_id: str) -> dict[str, str]:
        assert self._hosts is not None
        host = self._hosts.running[name]
        changed = host.folder / "upper"
        look = ["-I", "-S", "-c", _LOOK, request_id or "-"]
        if changed.is_dir():
            ended = subprocess.run([sys.executable, *look, str(changed)], capture_output=True, check=False)
        else:
            ended = run_inside(host.process, [interpreter(), *look, *_TREES])
        if ended.returncode != 0:
            raise RuntimeError(f"what is on {name} cannot be read: {ended.stderr.decode(errors='replace').strip()}")
        found: dict[str, str] = json.loads(ended.stdout)
        return {path.removeprefix(str(changed)): value for path, value in found.items()}

    def _ask(self, method: str, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
        connection = http.client.HTTPConnection(self._endpoint, timeout=60)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"the sandbox answers {answer.status} to {method} {path}")
            return body
        finally:
            connection.close()


def _masked(text: str, request_id: str) -> str:
    text = text.replace(request_id, "REQUEST")
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text


def volatile_paths(one: Facts, other: Facts) -> frozenset[str]:
    """The paths at which two undisturbed runs differ."""
    return frozenset(path for path, _ in (*(one - other), *(other - one)))


def differences(expected: Facts, found: Facts, volatile: frozenset[str]) -> list[str]:
    """What is there and should not be, and the other way round."""
    more = [f"there is {_said(fact)}" for fact in (found - expected) if fact[0] not in volatile]
    less = [f"there is not {_said(fact)}" for fact in (expected - found) if fact[0] not in volatile]
    return sorted(more) + sorted(less)


def surplus(expected: Facts, found: Facts) -> list[str]:
    """What is there more often than it should ever be, whatever its value."""
    most, there = (Counter[str]() for _ in range(2))
    for counted, facts in ((most, expected), (there, found)):
        for (path, _), count in facts.items():
            counted[path] += count
    return sorted(f"{path} is there {count} times" for path, count in there.items() if count > most[path])


def _said(fact: tuple[str, str]) -> str:
    path, value = fact
    return f"{path} = {value[:80]}"
