"""Schemathesis over the whole OpenAPI document: every check, stateful, as two users who must not meet.

In CI for a minute; longer with ORDERLY_SCHEMATHESIS_SECONDS.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.records.states import RequestState

SECONDS = int(os.environ.get("ORDERLY_SCHEMATHESIS_SECONDS", "45"))
SCOPES = (
    "catalogue:read",
    "requests:create",
    "requests:read",
    "requests:act",
    "requests:for-others",
    "tasks:read",
    "tasks:act",
    "events:send",
)

# What a schema cannot say: a page token that nobody was given, an Idempotency-Key used before with another body, an
# ETag of another moment, inputs that the model refuses. All of it is named in the document.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "422"]
"""


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 2 + 120)
def test_no_check_fails_and_two_users_never_meet(
    serve: Callable[..., Any], tmp_path: Path, prepared_state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(prepared_state, tmp_path / "state")
    with serve(tmp_path / "state", identity={"rate": {"per_second": 0}}) as api:
        users = [
            {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {api.key(name, *SCOPES)}"}]}
            for name in ("anna", "ben")
        ]
        (tmp_path / "users.yaml").write_text(json.dumps({"auth": users}))
        (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
        command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run", f"{api.url}/openapi.json"]
        done = subprocess.run(
            [*command, "--auth-wfc", "users.yaml", "--max-time", str(SECONDS), "--continue-on-failure"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        acted = api.application.records.read(_acts)

    assert done.returncode == 0, done.stdout
    assert "object_level_authorization" not in done.stdout
    assert not [record for record in caplog.records if record.exc_info], "no call ends in a traceback"
    for owners, actors in acted:
        assert actors <= owners | {"orderly"}, "nobody did anything to what is not theirs"


def _acts(tx: Any) -> list[tuple[set[str], set[str]]]:
    """Of each request: whose it is, with the ids of their keys; and who did something to it."""
    keys = {key.subject: key.id for key in tx.api_keys.list()}
    acts = []
    for row in tx.requests.in_states(RequestState):
        owners = {row.requester.id, row.requested_for.id}
        acts.append(
            (owners | {keys[name] for name in owners if name in keys}, {one.actor for one in tx.audit.of(row.id)})
        )
    return acts
