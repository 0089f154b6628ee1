"""The commands that go over the API, and those that read models: answers, exit codes, and no traceback."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.records.states import RequestState

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def move(api: Any, request_id: str, *states: RequestState) -> None:
    for state in states:
        api.application.records.run(
            lambda tx, state=state: tx.requests.move(request_id, state, actor="test", why="the test says so")
        )


def submitted(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    request_id: str = json.loads(done.stdout)["id"]
    return request_id


def inputs_of(api: Any, request_id: str) -> Any:
    return api.application.records.read(lambda tx: tx.requests.get(request_id)).inputs.public


class TestSubmit:
    def test_values_are_read_as_the_model_asks_so_that_text_stays_text(self, api: Any, orderly: Run) -> None:
        done = orderly("submit", "project-bucket", "-i", "project=apollo", "-i", "days=5", "-i", "note=007", "--json")

        assert inputs_of(api, submitted(done)) == {"project": "apollo", "region": "eu-west-1", "days": 5, "note": "007"}

    def test_a_value_may_hold_equals_signs_and_braces(self, api: Any, orderly: Run) -> None:
        done = orderly("submit", "project-bucket", "-i", "project=apollo", "-i", "note={{ a=b }}", "--json")

        assert inputs_of(api, submitted(done))["note"] == "{{ a=b }}"

    def test_inputs_come_from_yaml_on_standard_input_and_dates_stay_text(self, api: Any, orderly: Run) -> None:
        done = orderly(
            "submit", "project-bucket", "--inputs", "-", "--json", text="project: apollo\nnote: 2026-12-01\ndays: 7\n"
        )

        assert inputs_of(api, submitted(done)) == {
            "project": "apollo",
            "region": "eu-west-1",
            "days": 7,
            "note": "2026-12-01",
        }

    def test_for_people_it_says_how_to_follow(self, orderly: Run) -> None:
        done = orderly("submit", "project-bucket", "-i", "project=apollo")

        assert done.returncode == 0
        assert "orderly watch " in done.stdout

    def test_wrong_inputs_are_named_with_exit_code_1(self, orderly: Run) -> None:
        done = orderly("submit", "project-bucket", "-i", "days=many", "-i", "colour=red")

        assert done.returncode == 1
        for pointer in ("/inputs/project", "/inputs/days", "/inputs/colour"):
            assert pointer in done.stderr

    def test_errors_are_json_too_where_json_is_asked_for(self, orderly: Run) -> None:
        done = orderly("submit", "project-bucket", "-i", "days=0", "--json")

        error = json.loads(done.stdout)["error"]
        assert done.returncode == error["exit_code"] == 1
        assert error["problem"]["type"] == "urn:orderly:problem:invalid-inputs"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("-i", "project"), "NAME=VALUE"),
            (("--inputs", "missing.yaml"), "missing.yaml"),
            (("--nonsense",), "No such option"),
        ],
    )
    def test_wrong_usage_is_exit_code_2(self, orderly: Run, arguments: tuple[str, ...], said: str) -> None:
        done = orderly("submit", "project-bucket", *arguments)

        assert done.returncode == 2
        assert said in done.stderr

    @pytest.mark.parametrize(
        "text", ["- a\n- b\n", "a: [\n", "a: !!python/object:os.system x\n", "a: 1\na: 2\n", "\x00"]
    )
    def test_inputs_that_are_no_object_are_refused(self, orderly: Run, text: str) -> None:
        assert orderly("submit", "project-bucket", "--inputs", "-", text=text).returncode == 2

    def test_an_unknown_model_is_exit_code_1(self, orderly: Run) -> None:
        done = orderly("submit", "no-such-thing")

        assert done.returncode == 1
        assert "no-such-thing" in done.stderr

    def test_an_api_that_does_not_answer_is_exit_code_3_and_says_what_to_do(
        self, orderly: Run, free_port: Callable[[], int]
    ) -> None:
        done = orderly("submit", "project-bucket", ORDERLY_API_URL=f"http://127.0.0.1:{free_port()}")

        assert done.returncode == 3
        assert "orderly up" in done.stderr

    def test_a_wrong_key_is_exit_code_1(self, orderly: Run) -> None:
        assert orderly("submit", "project-bucket", ORDERLY_API_KEY="ord_nonsense").returncode == 1

    def test_without_a_key_of_its_own_it_takes_this_machines(self, orderly: Run) -> None:
        assert orderly("requests", ORDERLY_API_KEY="").returncode == 0


class TestWatch:
    def test_it_follows_line_by_line_until_the_request_is_fulfilled(self, api: Any, orderly: Run) -> None:
        request_id = submitted(orderly("submit", "project-bucket", "-i", "project=apollo", "--json"))
        watched: list[Any] = []
        watching = threading.Thread(target=lambda: watched.append(orderly("watch", request_id)))
        watching.start()
        move(api, request_id, RequestState.IN_PROGRESS, RequestState.FULFILLED)
        watching.join()

        assert watched[0].returncode == 0
        assert watched[0].stdout.splitlines()[-1].startswith(f"request {request_id} is fulfilled")

    def test_a_request_on_hold_is_exit_code_1_with_what_to_do(self, api: Any, orderly: Run) -> None:
        request_id = submitted(orderly("submit", "project-bucket", "-i", "project=apollo", "--json"))
        move(api, request_id, RequestState.IN_PROGRESS, RequestState.ON_HOLD)

        done = orderly("watch", request_id)

        assert done.returncode == 1
        assert f"orderly retry {request_id} --why" in done.stdout

    def test_as_json_it_writes_a_line_for_each_change(self, api: Any, orderly: Run) -> None:
        request_id = submitted(orderly("submit", "project-bucket", "-i", "project=apollo", "--json"))
        move(api, request_id, RequestState.IN_PROGRESS, RequestState.ON_HOLD)

        lines = [json.loads(line) for line in orderly("watch", request_id, "--json").stdout.splitlines()]

        assert [line["state"] for line in lines] == ["on_hold"]

    def test_what_is_no_id_is_exit_code_2(self, orderly: Run) -> None:
        assert orderly("watch", "../catalogue").returncode == 2


def test_requests_are_listed_newest_first_over_several_pages(orderly: Run, anna: httpx.Client) -> None:
    for number in range(3):
        anna.post("/v1/requests", json={"model": "project-bucket", "inputs": {"project": f"p{number}x"}})

    found = json.loads(orderly("requests", "--limit", "2", "--json").stdout)
    shown = orderly("requests").stdout

    assert len(found["requests"]) == 2
    assert found["more"] is True
    assert shown.count("project-bucket") == 3
    assert found["requests"][0]["id"] in shown


def test_a_retry_says_why_and_lets_the_request_go_on(api: Any, orderly: Run) -> None:
    request_id = submitted(orderly("submit", "project-bucket", "-i", "project=apollo", "--json"))
    move(api, request_id, RequestState.IN_PROGRESS, RequestState.ON_HOLD)

    without_reason = orderly("retry", request_id)
    done = orderly("retry", request_id, "--why", "mended", "--json")
    again = orderly("retry", request_id, "--why", "again")

    assert without_reason.returncode == 2
    assert json.loads(done.stdout)["state"] == "in_progress"
    assert again.returncode == 1
    assert "in_progress" in again.stderr


def test_a_cancel_says_why_and_where_the_request_stands(api: Any, orderly: Run) -> None:
    request_id = submitted(orderly("submit", "project-bucket", "-i", "project=apollo", "--json"))

    without_reason = orderly("cancel", request_id)
    done = orderly("cancel", request_id, "--why", "ordered twice")
    again = orderly("cancel", request_id, "--why", "again", "--json")

    assert without_reason.returncode == 2
    assert done.returncode == 0
    assert "is cancelled" in done.stdout
    assert json.loads(again.stdout)["state"] == "cancelled"


def test_an_undo_is_begun_and_refused_in_the_wrong_state(api: Any, orderly: Run) -> None:
    request_id = submitted(orderly("submit", "project-bucket", "-i", "project=apollo", "--json"))
    too_early = orderly("undo", request_id, "--why", "no")
    move(api, request_id, RequestState.IN_PROGRESS, RequestState.FULFILLED)

    done = orderly("undo", request_id, "--why", "its parent is undone", "--leave")

    assert (too_early.returncode, done.returncode) == (1, 0)
    assert "on_hold or fulfilled" in too_early.stderr
    assert f"orderly watch {request_id}" in done.stdout
    undo = api.application.records.read(lambda tx: tx.undos.get(request_id))
    assert (undo.ends_as, undo.leaves) == (RequestState.CANCELLED, True)


class TestModels:
    def test_what_is_shipped_is_right(self, orderly: Run) -> None:
        done = orderly("check", "--json")

        answer = json.loads(done.stdout)
        assert (done.returncode, answer["ok"]) == (0, True), done.stdout
        assert set(answer["models"]) >= {"project-bucket", "linux-account", "project-space"}

    def test_a_wrong_model_is_told_with_file_and_line(self, orderly: Run, tmp_path: Path) -> None:
        model = tmp_path / "thing.yaml"
        model.write_text("model: thing\ntitle: Thing\nkind: nonsense\n")

        done = orderly("check", str(model))

        assert done.returncode == 1
        assert f"{model}:3:" in done.stdout

    def test_a_path_that_is_not_there_is_exit_code_2(self, orderly: Run) -> None:
        assert orderly("check", "nowhere.yaml").returncode == 2

    @pytest.mark.parametrize("stage", ["loaded", "resolved", "typed", "planned"])
    def test_every_stage_can_be_looked_at(self, orderly: Run, stage: str) -> None:
        done = orderly("show", "project-bucket", "--stage", stage, "--json")

        assert done.returncode == 0
        assert json.loads(done.stdout)["model"] == "project-bucket"

    def test_a_name_that_is_not_there_is_corrected(self, orderly: Run) -> None:
        done = orderly("show", "project-buckt")

        assert done.returncode == 2
        assert "project-bucket" in done.stderr


def test_doctor_finds_what_is_wrong_and_says_what_to_do(orderly: Run, api: Any) -> None:
    healthy = orderly("doctor", "--json")
    api.application.settings.state.chmod(0o755)
    ailing = orderly("doctor")

    findings = {finding["check"]: finding["verdict"] for finding in json.loads(healthy.stdout)["findings"]}
    assert healthy.returncode == 0, healthy.stdout
    assert {findings[check] for check in ("modules", "state", "keyring", "records", "local key", "connectors")} == {
        "good"
    }
    assert findings["prefect"] == "idle"
    assert ailing.returncode == 1
    assert "chmod 700" in ailing.stdout


def test_modules_that_are_not_ours_are_refused_at_the_start(orderly: Run, tmp_path: Path) -> None:
    strange = tmp_path / "strange" / "connectors"
    strange.mkdir(parents=True)
    (strange / "__init__.py").touch()

    done = orderly("doctor", PYTHONPATH=str(strange.parent))

    assert done.returncode == 1
    assert str(strange.parent) in done.stderr


def test_help_needs_nothing_heavy() -> None:
    program = """
import sys
sys.argv = ["orderly", "--help"]
from flows.cli import main
try:
    main()
finally:
    print(sorted({"prefect", "sqlalchemy", "fastapi", "boto3", "ansible_runner", "httpx"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert "submit" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_settings_that_are_wrong_are_told_in_words(orderly: Run) -> None:
    done = orderly("requests", ORDERLY_API__PORT="eighty")

    assert done.returncode == 1
    assert "api.port" in done.stderr
