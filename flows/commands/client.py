"""The API as the commands use it: over HTTP, with the local key or the one that is named."""

import os
import uuid
from collections.abc import Mapping
from typing import Any, Self, cast
from urllib.parse import quote

import httpx

from flows.commands.exits import REFUSED, UNAVAILABLE, USAGE, CommandFailed
from flows.running import find_running
from flows.settings import Settings, load_settings
from request_models.json_values import JsonValue

URL = "ORDERLY_API_URL"
KEY = "ORDERLY_API_KEY"
_TIMEOUT = httpx.Timeout(15.0, connect=5.0)


class ApiClient:
    """A connection to the API. Every method raises CommandFailed with what the API said."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        # Proxies of the environment are for the outside world; the local API is never behind one.
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT, trust_env=URL in os.environ
        )

    @classmethod
    def of_this_machine(cls) -> Self:
        """As ORDERLY_API_URL and ORDERLY_API_KEY say; else the running `orderly up`; else as the settings say."""
        settings = load_settings()
        running = find_running(settings.state)
        url = os.environ.get(URL) or (running.api if running else settings.api.url)
        return cls(url, os.environ.get(KEY) or _local_key(settings))

    def submit(self, order: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Order; sent again once, under the same Idempotency-Key, when no answer came."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        try:
            return self._call("POST", "/v1/requests", json=order, headers=headers)
        except CommandFailed as error:
            if error.exit_code != UNAVAILABLE:
                raise
            return self._call("POST", "/v1/requests", json=order, headers=headers)

    def request(self, request_id: str) -> dict[str, Any]:
        """One request."""
        return self._call("GET", f"/v1/requests/{_segment(request_id)}")

    def requests(self, parameters: Mapping[str, str | int]) -> dict[str, Any]:
        """A page of requests."""
        return self._call("GET", "/v1/requests", params=dict(parameters))

    def models(self) -> list[dict[str, Any]]:
        """What can be ordered."""
        return cast(list[dict[str, Any]], self._call("GET", "/v1/catalogue", params={"limit": 200})["items"])

    def model(self, name: str) -> dict[str, Any]:
        """One model, with its form."""
        return self._call("GET", f"/v1/catalogue/{quote(name, safe='')}")

    def retry(self, request_id: str, why: str) -> dict[str, Any]:
        """Retry a request that is on hold."""
        return self._act(request_id, "retry", {"why": why})

    def cancel(self, request_id: str, why: str, *, leave: bool = False) -> dict[str, Any]:
        """Cancel a request."""
        return self._act(request_id, "cancel", {"why": why, "leave": leave})

    def undo(self, request_id: str, why: str, *, leave: bool = False) -> dict[str, Any]:
        """Take back what a request did."""
        return self._act(request_id, "undo", {"why": why, "leave": leave})

    def act_on_hold(self, request_id: str, verb: str, body: Mapping[str, JsonValue]) -> dict[str, Any]:
        """`complete`, `skip`, `fix`, `assign` or `release-locks` a request that is on hold."""
        return self._act(request_id, verb, body)

    def locks(self) -> dict[str, Any]:
        """The locks that are held or waited for."""
        return self._call("GET", "/v1/locks")

    def tasks(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """People's tasks."""
        return self._call("GET", "/v1/tasks", params=dict(parameters))

    def task(self, task_id: str) -> dict[str, Any]:
        """One task."""
        return self._call("GET", f"/v1/tasks/{_segment(task_id, 'task', 'orderly tasks')}")

    def act_on_task(self, task_id: str, verb: str, body: Mapping[str, JsonValue]) -> dict[str, Any]:
        """`complete`, `assign` or `comment` a task."""
        return self._call("POST", f"/v1/tasks/{_segment(task_id, 'task', 'orderly tasks')}:{verb}", json=dict(body))

    def approvals(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """What is asked of people to decide."""
        return self._call("GET", "/v1/approvals", params=dict(parameters))

    def approval(self, approval_id: str) -> dict[str, Any]:
        """One approval."""
        return self._call("GET", f"/v1/approvals/{_segment(approval_id, 'approval', 'orderly approvals')}")

    def decide(self, approval_id: str, verb: str, body: Mapping[str, JsonValue]) -> dict[str, Any]:
        """`approve`, `reject` or `delegate`."""
        path = f"/v1/approvals/{_segment(approval_id, 'approval', 'orderly approvals')}:{verb}"
        return self._call("POST", path, json=dict(body))

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def _act(self, request_id: str, verb: str, body: Mapping[str, JsonValue]) -> dict[str, Any]:
        return self._call("POST", f"/v1/requests/{_segment(request_id)}:{verb}", json=dict(body))

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise CommandFailed(
                f"The API at {self.url} does not answer: {why}. Start it with `orderly up`, or set {URL}.", UNAVAILABLE
            ) from None
        if answer.is_success:
            return cast(dict[str, Any], answer.json())
        raise _failure(answer)


def _failure(answer: httpx.Response) -> CommandFailed:
    try:
        problem = answer.json()
        detail, errors = str(problem["detail"]), problem.get("errors") or []
    except (ValueError, KeyError, TypeError):
        return CommandFailed(f"The API answered {answer.status_code} with something that is no problem document.")
    lines = [detail, *(f"  {part.get('pointer') or part.get('parameter')}: {part['message']}" for part in errors)]
    return CommandFailed("\n".join(lines), UNAVAILABLE if answer.status_code == 503 else REFUSED, {"problem": problem})


def _local_key(settings: Settings) -> str:
    try:
        return settings.local_api_key_file.read_text().strip()
    except FileNotFoundError:
        why = "there is none yet: `orderly up` makes it"
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
    raise CommandFailed(f"No API key: set {KEY}. This machine's own, {settings.local_api_key_file}: {why}.", USAGE)


def _segment(request_id: str, kind: str = "request", lists: str = "orderly requests") -> str:
    # An id is a UUID; anything else would be another path.
    try:
        return str(uuid.UUID(request_id))
    except ValueError:
        raise CommandFailed(f"{request_id!r} is no {kind} id. `{lists}` lists them.", USAGE) from None
