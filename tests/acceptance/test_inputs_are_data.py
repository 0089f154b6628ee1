"""Input is data: whatever a user types arrives exactly or is refused; nothing of it is evaluated, expanded or run."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from estate import Estate, running
from flows.sandbox.inspection import mails, run_on_host

pytestmark = [pytest.mark.acceptance, pytest.mark.needs("namespaces"), pytest.mark.timeout(900)]

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3Z0x5mO3nq0o0Nf8yV6b1v9r3Q2p8mS7tYk1h0aZxB ada@example.org"
HOSTS = ("web-1", "web-2", "files-1")
MODELS = ("project-bucket", "linux-account", "project-space")


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with running(tmp_path_factory.mktemp("data") / "state") as estate:
        yield estate


@pytest.fixture
def touched() -> Iterator[Path]:
    """A file that exists if anything was run; its name is short, since some inputs are."""
    path = Path("/tmp", f"x{uuid.uuid4().hex[:6]}")  # a payload can name no private folder
    yield path
    path.unlink(missing_ok=True)


def payloads(touched: Path) -> list[Any]:
    return [
        f"{{{{ lookup('pipe','touch {touched}') }}}}",
        "{{ 7 * 191 }}",
        f"{{% set x = lookup('pipe','touch {touched}') %}}",
        f"$(touch {touched})",
        f"`touch {touched}`",
        f"; touch {touched}",
        f"' || touch {touched} || '",
        "-rf",
        "../../x",
        "$HOME ~root ${PATH}",
        "~root",
        "007",
        "no",
        "one\ntwo",
        "nul\u0000nul",
        "a" * 1_000_000,
        {"__ansible_vault": "x"},
        {"__ansible_unsafe": "{{ 7 * 191 }}"},
        {"__prefect_kind": "jinja", "template": "{{ 7 * 191 }}"},
        {"__prefect_kind": "workspace_variable", "variable_name": "x"},
        ["{{ 7 * 191 }}"],
    ]


def valid(model: str, name: str) -> dict[str, Any]:
    match model:
        case "linux-account":
            return {"account": name, "full_name": "Ada Lovelace", "ssh_key": SSH_KEY}
        case "project-space":
            return {"project": name, "purpose": "Analytical engines"}
        case _:
            return {"project": name}


def test_every_payload_in_every_input_arrives_exactly_or_is_refused(estate: Estate, touched: Path) -> None:
    accepted: list[tuple[str, str, str, Any]] = []
    for model in MODELS:
        form = estate.http().get(f"/v1/catalogue/{model}").raise_for_status().json()
        for name in form["form"]["schema"]["properties"]:
            for number, payload in enumerate(payloads(touched)):
                unique = f"p{uuid.uuid4().hex[:10]}"
                answer = estate.order(model, valid(model, unique) | {name: payload})
                assert answer.status_code in {202, 422}, (model, name, number, answer.text[:300])
                if answer.status_code == 422:
                    pointers = [error["pointer"] for error in answer.json()["errors"]]
                    assert any(f"/{name}" in pointer for pointer in pointers), (model, name, answer.text[:300])
                else:
                    accepted.append((model, name, answer.json()["id"], payload))
    assert {(model, name) for model, name, _, _ in accepted} >= {
        ("linux-account", "full_name"),
        ("project-space", "purpose"),
    }

    for model, name, request_id, payload in accepted:
        done = estate.settled(request_id, within=600)
        assert done["state"] == "fulfilled", (model, name, payload, done["state_reason"])
    assert not touched.exists()
    for host in HOSTS:
        assert run_on_host(estate.state, host, ["test", "-e", str(touched)]).code == 1, host

    names = {payload for model, name, _, payload in accepted if (model, name) == ("linux-account", "full_name")}
    passwd = run_on_host(estate.state, "web-1", ["cat", "/etc/passwd"]).output
    assert names <= {line.split(":")[4] for line in passwd.splitlines()}

    purposes = {payload for model, name, _, payload in accepted if (model, name) == ("project-space", "purpose")}
    found = run_on_host(estate.state, "files-1", ["sh", "-c", "cat /var/projects/*/*/description"]).output
    assert purposes <= set(found.splitlines())
    texts = "".join(str(mail.get_content()) for mail in mails(estate.state))
    assert all(purpose in texts for purpose in purposes)


@pytest.mark.parametrize("model", MODELS)
def test_inputs_that_the_model_does_not_know_are_refused_whatever_they_are_called(estate: Estate, model: str) -> None:
    for name in ("__ansible_vault", "__prefect_kind", "ansible_become_pass", "omit", "{{ x }}", ""):
        answer = estate.order(model, valid(model, "unknowninput") | {name: "x"})
        assert answer.status_code == 422, (name, answer.text)


def test_a_body_over_a_mebibyte_is_refused_and_nothing_is_recorded(estate: Estate) -> None:
    before = len(estate.http().get("/v1/requests", params={"limit": 200}).json()["items"])
    answer = estate.order("project-bucket", {"project": "a" * 1_100_000})
    assert answer.status_code == 413
    assert len(estate.http().get("/v1/requests", params={"limit": 200}).json()["items"]) == before
