"""The server of the Model Context Protocol, asked by a client in the same process."""

import asyncio
import json
from typing import Any

import pytest

from recsys.web.recommendation_service import RecommendationService


def call(service: RecommendationService, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Call a tool; whether it succeeded, and its text."""
    mcp = pytest.importorskip("mcp")  # here, since it takes a second of each process that collects tests
    from recsys.web.mcp_server import create_mcp_server

    async def called() -> tuple[bool, str]:
        async with mcp.Client(create_mcp_server(service)) as client:
            result = await client.call_tool(tool, arguments)
            return not result.is_error, result.content[0].text

    return asyncio.run(called())


def test_tools_are_described_with_their_arguments(service):
    mcp = pytest.importorskip("mcp")
    from recsys.web.mcp_server import create_mcp_server

    async def listed() -> list[Any]:
        async with mcp.Client(create_mcp_server(service)) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(listed())}
    assert set(tools) == {"search", "recommend", "similar", "explain"}
    assert {"user_id", "history", "k", "genres"} <= set(tools["recommend"].input_schema["properties"])
    assert all(tool.description for tool in tools.values())


def test_a_film_is_searched_recommended_from_compared_and_explained(service):
    _, found = call(service, "search", query="matrix")
    [film] = json.loads(found)
    history = [{"movie_id": film["movie_id"]}, {"movie_id": 2}, {"movie_id": 4, "stars": 4}]
    recommended = json.loads(call(service, "recommend", history=history, k=3)[1])["films"]
    assert [listed["film"]["genres"] for listed in recommended] == [["Comedy"]] * 3
    best = recommended[0]["film"]["movie_id"]
    explained = json.loads(call(service, "explain", history=history, movie_id=best)[1])
    assert explained["reason"] == recommended[0]["reason"]
    assert len(json.loads(call(service, "similar", movie_id=best, k=2)[1])["films"]) == 2


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("rate", {}, "The tool must be one of search, recommend, similar, explain"),
        ("recommend", {}, "must have a user_id or a history"),
        ("recommend", {"user_id": "1", "k": "many"}, "k: Input should be a valid integer"),
        ("recommend", {"user_id": "nine"}, "User 'nine' is unknown"),
        ("similar", {"movie_id": "9999"}, "9999"),
    ],
)
def test_a_call_that_has_no_answer_gets_a_sentence(service, tool: str, arguments: dict, sentence: str):
    succeeded, text = call(service, tool, **arguments)
    assert not succeeded
    assert sentence in text
