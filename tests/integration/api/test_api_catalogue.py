"""What can be ordered, as front-ends see it; and the API's own description."""

import json
from typing import Any

import httpx
import jsonschema
import pytest


def test_the_catalogue_lists_models_by_name_with_where_to_order(anna: httpx.Client) -> None:
    page = anna.get("/v1/catalogue").json()

    assert [model["model"] for model in page["items"]] == ["project-bucket"]
    assert page["items"][0]["title"] == "Object storage for a project"
    assert page["items"][0]["links"]["self"] == "https://orderly.example.org/v1/catalogue/project-bucket"
    assert page["next_page_token"] is None


def test_the_catalogue_comes_in_pages_and_can_be_searched(api: Any, anna: httpx.Client, make_plan: Any) -> None:
    for name in ("account", "network", "zone"):
        api.publish(make_plan(name, title=f"A {name}"))

    first = anna.get("/v1/catalogue", params={"limit": 3}).json()
    second = anna.get("/v1/catalogue", params={"limit": 3, "page_token": first["next_page_token"]}).json()

    assert [model["model"] for model in first["items"]] == ["account", "network", "project-bucket"]
    assert [model["model"] for model in second["items"]] == ["zone"]
    assert [model["model"] for model in anna.get("/v1/catalogue?text=ZONE").json()["items"]] == ["zone"]


def test_a_retired_model_is_no_longer_offered(api: Any, anna: httpx.Client) -> None:
    api.application.records.run(lambda tx: tx.publications.retire("project-bucket"))

    assert anna.get("/v1/catalogue").json()["items"] == []
    assert anna.get("/v1/catalogue/project-bucket").status_code == 404


def test_a_model_comes_with_a_form_that_validates_what_may_be_sent(anna: httpx.Client) -> None:
    model = anna.get("/v1/catalogue/project-bucket").json()

    schema = model["form"]["schema"]
    jsonschema.validate({"project": "apollo", **model["form"]["defaults"]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"project": "apollo", "colour": "red"}, schema)
    assert model["form"]["uiSchema"] == {
        "ui:order": ["project", "region", "days", "token", "note", "*"],
        "token": {"ui:widget": "password"},
    }
    assert model["form"]["defaults"] == {"region": "eu-west-1", "days": 90, "note": ""}
    assert [step["title"] for step in model["steps"]] == ["Creating the bucket", "Encrypting it"]


def test_an_unchanged_model_is_not_sent_again(api: Any, anna: httpx.Client, make_plan: Any) -> None:
    first = anna.get("/v1/catalogue/project-bucket")
    etag = first.headers["etag"]

    unchanged = anna.get("/v1/catalogue/project-bucket", headers={"If-None-Match": f'"other", W/{etag}'})
    in_chinese = anna.get("/v1/catalogue/project-bucket", headers={"If-None-Match": etag, "Accept-Language": "zh"})
    api.publish(make_plan(title="Another title, the same plan"))
    retitled = anna.get("/v1/catalogue/project-bucket", headers={"If-None-Match": etag})

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert in_chinese.json()["title"] == "项目对象存储"
    assert retitled.json()["title"] == "Another title, the same plan"
    assert retitled.json()["digest"] == first.json()["digest"]


def test_the_description_is_openapi_31_and_names_every_problem(api: Any) -> None:
    document = api.connection().get("/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["operationId"], where
            assert operation["tags"], where
            if path.startswith("/v1"):
                assert operation["security"] == [{"bearer": []}, {"apiKey": []}], where
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], f"{where} {status}"
                    assert response["content"]["application/problem+json"]["examples"], f"{where} {status}"


def test_every_reference_in_the_description_leads_somewhere(api: Any) -> None:
    text = api.connection().get("/openapi.json").text
    document = json.loads(text)

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return here + [found for value in part.values() for found in references(value)]
        return [found for value in part for found in references(value)] if isinstance(part, list) else []

    for reference in references(document):
        target = document
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


def test_the_examples_of_the_description_fit_their_schemas(api: Any) -> None:
    document = api.connection().get("/openapi.json").json()
    checked = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            jsonschema.Draft202012Validator(
                {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
            ).validate(example)
            checked += 1

    assert checked >= 4


def test_nothing_is_given_away_without_a_key_but_health_and_the_description(api: Any) -> None:
    stranger = api.connection()

    assert stranger.get("/healthz").json() == {"status": "ok"}
    assert stranger.get("/readyz").json() == {"status": "ok"}
    assert "server" not in stranger.get("/healthz").headers


def test_the_reference_for_people_needs_no_network_and_no_script(api: Any) -> None:
    answer = api.connection().get("/docs")

    assert answer.status_code == 200
    for loads_something in ("<script", "<link", "src=", "@import", "url("):
        assert loads_something not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for operation in ("createRequest", "getRequest", "listRequests", "retryRequest", "listModels", "getModel"):
        assert f'id="{operation}"' in answer.text
