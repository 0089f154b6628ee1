"""`flows.entry.NAME` is a flow for whatever may be a model's name, and for nothing else."""

import pytest

from flows import entry


@pytest.mark.parametrize("model", ["project-bucket", "x", "Path", "1st-model"])
def test_any_model_name_gives_a_neutral_flow_of_that_name(model: str) -> None:
    flow = getattr(entry, model)
    assert flow.name == model
    assert list(flow.parameters.properties) == ["request_id"]
    assert (flow.retries, flow.timeout_seconds, flow.persist_result, flow.log_prints) == (0, None, False, False)


@pytest.mark.parametrize("name", ["__path__", "a.b", "a b", "-x", "", "x\n", "a_b"])
def test_what_cannot_be_a_models_name_is_no_attribute(name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(entry, name)
