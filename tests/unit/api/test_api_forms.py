from flows.api.forms import form_of
from request_models.json_values import JsonValue
from request_models.plan import Due, Owners, Plan


def _plan(properties: dict[str, JsonValue], order: tuple[str, ...] = ()) -> Plan:
    return Plan(
        model="thing",
        title={"en": "Thing"},
        kind="resource",
        service="things",
        summary={},
        owners=Owners("anna"),
        inputs={
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": [*sorted(properties)],
            "additionalProperties": False,
        },
        due=Due(60.0),
        blocks=(),
        input_order=order,
    )


def test_a_form_keeps_the_models_order_and_leaves_room_for_inputs_not_listed() -> None:
    form = form_of(_plan({"b": {"type": "string"}, "a": {"type": "string"}}, order=("b", "a")))

    assert form.ui_schema["ui:order"] == ["b", "a", "*"]


def test_a_form_names_no_json_schema_version_because_the_renderer_refuses_one() -> None:
    assert "$schema" not in form_of(_plan({})).schema


def test_a_secret_input_is_a_password_field_and_its_default_is_not_shown() -> None:
    form = form_of(_plan({"token": {"type": "string", "writeOnly": True, "default": "hunter2"}}))

    assert form.ui_schema["token"] == {"ui:widget": "password"}
    assert form.defaults == {}


def test_defaults_are_given_with_their_types() -> None:
    form = form_of(_plan({"days": {"type": "integer", "default": 90}, "name": {"type": "string"}}))

    assert form.defaults == {"days": 90}


def test_long_free_text_gets_an_area_and_a_choice_does_not() -> None:
    form = form_of(
        _plan(
            {
                "why": {"type": "string", "maxLength": 2000},
                "pick": {"type": "string", "maxLength": 2000, "enum": ["a", "b"]},
            }
        )
    )

    assert form.ui_schema["why"] == {"ui:widget": "textarea"}
    assert "pick" not in form.ui_schema
