"""Write docs/api.md from the API's own description: `python -m tests.web.api_page`."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from fastapi import FastAPI

from recsys.web.api import add_api
from recsys.web.recommendation_service import RecommendationService
from recsys.web.request_metrics import RequestMetrics

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
INTRODUCTION = """# Fields of the API

The requests and responses of [the API](serving.md#the-api), as `/api/openapi.json` describes them, from which clients
can be generated. Fields of requests in **bold** are required, and unknown fields are refused. Ids are text or integers
in requests, and text in responses."""
ERRORS = """## Errors

Every error has the body `{"error": {"status": 404, "message": "..."}}`. After 429 and 503, wait and send the request
again; feedback that is sent again with its key is stored once."""
QUOTE = '"'
PARTS = ("RatedFilm", "FilmResponse", "ListedFilmResponse", "ReasonResponse", "SimilarFilm")  # of other objects
WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "null": "null"}

Schema = dict[str, Any]


def api_description() -> Schema:
    """Return the description of the API, for which no service is needed."""
    app = FastAPI()
    add_api(app, cast(RecommendationService, SimpleNamespace()), RequestMetrics())
    return app.openapi()


def page(api: Schema) -> str:
    """Return the page: a section for each route, tables of the objects within requests and responses, and errors."""
    objects = api["components"]["schemas"]
    routes = [(path, method, route) for path, methods in api["paths"].items() for method, route in methods.items()]
    errors = {code: error["description"] for code, error in routes[0][2]["responses"].items() if code != "200"}
    parts = [INTRODUCTION, *(part for route in routes for part in _route(*route, objects)), "## Objects"]
    for name in PARTS:
        parts += [f"### {name}", _fields(objects[name])]
    return "\n\n".join([*parts, ERRORS, _table(("status", "meaning"), errors.items())]) + "\n"


def _route(path: str, method: str, route: Schema, objects: Schema) -> list[str]:
    parts = [f"## {method.upper()} {path}", route["description"]]
    if "requestBody" in route:
        body = objects[_name(_content(route["requestBody"])["schema"])]
        parts += ["Request:", _fields(body), f"```json\n{json.dumps(body['examples'][0])}\n```"]
    if "parameters" in route:
        rows = [
            (_bold(value["name"], value["required"]), _type(value["schema"]), value["description"])
            for value in route["parameters"]
        ]
        parts += ["Parameters:", _table(("name", "type", "meaning"), rows)]
    schema = _content(route["responses"]["200"])["schema"]
    name = _name(schema.get("items", schema))
    if name is None or name in PARTS:
        return [*parts, f"Response: {_type(schema)}."]
    return [*parts, "Response, for each run:" if "items" in schema else "Response:", _fields(objects[name])]


def _content(part: Schema) -> Schema:
    [content] = part["content"].values()
    return content


def _name(schema: Schema) -> str | None:
    """Return the name of the object that a schema refers to, if it does."""
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def _fields(schema: Schema) -> str:
    """Return a table of the fields of an object; all fields of a response are required, and none is bold."""
    is_request = schema.get("additionalProperties") is False
    rows = [
        (_bold(name, is_request and name in schema.get("required", ())), _type(field), field["description"])
        for name, field in schema["properties"].items()
    ]
    return _table(("field", "type", "meaning"), rows)


def _type(schema: Schema) -> str:
    """Return a type in words, with its range and its default."""
    if name := _name(schema):
        words = "`best`, `newest` or `oldest`" if name == "Order" else f"[{name}](#{name.lower()})"
    elif "anyOf" in schema:
        words = " or ".join(_type(option) for option in schema["anyOf"])
    elif "enum" in schema:
        words = ", ".join(f"`{value}`" for value in schema["enum"])
    elif schema["type"] == "array":
        words = f"list of {_type(schema['items'])}"
    elif schema["type"] == "object":
        words = f"object of {_type(schema['additionalProperties'])}"
    else:
        words = WORDS[schema["type"]] + _range(schema)
    return words + (f", `{json.dumps(schema['default']).strip(QUOTE)}` by default" if "default" in schema else "")


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return "" if high is None or high > 2**53 else f" from {low:g} to {high:g}"


def _bold(name: str, is_required: bool) -> str:
    return f"**`{name}`**" if is_required else f"`{name}`"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


if __name__ == "__main__":
    PAGE.write_text(page(api_description()), encoding="utf-8")
