"""The description of the API: complete, with valid examples, and the same in the manual."""

import pytest
from pydantic import TypeAdapter

from recsys.web import errors, requests, responses
from tests.web.api_page import PAGE, api_description, page


@pytest.fixture(scope="module")
def api() -> dict:
    return api_description()


def test_the_manual_has_the_fields_of_the_api(api):
    assert PAGE.read_text() == page(api), "write it again: python -m tests.web.api_page"


def test_every_field_and_parameter_is_described(api):
    objects = api["components"]["schemas"]
    for name, schema in objects.items():
        fields = schema.get("properties", {})
        assert [field for field, shape in fields.items() if not shape.get("description")] == [], name
    for methods in api["paths"].values():
        for route in methods.values():
            assert all(parameter["description"] for parameter in route.get("parameters", ()))


def test_examples_are_valid(api):
    models = vars(requests) | vars(responses) | vars(errors)
    objects = {name: schema for name, schema in api["components"]["schemas"].items() if "properties" in schema}
    assert {name for name, schema in objects.items() if "examples" in schema} == {
        f"{route}Request" for route in ("Recommend", "Similar", "Explain", "Feedback")
    }
    for name, schema in objects.items():
        for example in schema.get("examples", ()):
            models[name].model_validate(example)
        for field, shape in schema["properties"].items():
            for example in shape.get("examples", ()):
                TypeAdapter(models[name].model_fields[field].rebuild_annotation()).validate_python(example, strict=True)


def test_every_response_has_an_example_of_each_field(api):
    for name, schema in api["components"]["schemas"].items():
        if name.endswith("Response") or name in ("SimilarFilm", "ErrorDetails"):
            shapes = schema["properties"].items()
            plain = {field for field, shape in shapes if "$ref" not in str(shape)}
            assert {field for field, shape in shapes if "examples" in shape} == plain, name


def test_generated_clients_get_short_names_the_token_and_no_kind_that_is_refused(api):
    names = {route["operationId"] for methods in api["paths"].values() for route in methods.values()}
    assert names == {"recommend", "similar", "explain", "films", "film", "feedback", "runs", "health", "metrics"}
    assert api["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    kinds = api["components"]["schemas"]["FeedbackRequest"]["properties"]["kind"]["enum"]
    assert kinds == ["click", "rating", "not_interested", "seen", "watch_later", "undo"]
