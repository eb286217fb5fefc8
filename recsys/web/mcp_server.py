"""A server of the Model Context Protocol (https://modelcontextprotocol.io), for AI assistants.

Its tools search, recommend and explain films, and find similar films. They take the same requests as the HTTP API, and
the same service answers them.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, get_type_hints

from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool
from pydantic import ValidationError
from pydantic_core import to_json

from recsys.errors import UserError, one_of
from recsys.web.answers import explain, recommend, search, similar
from recsys.web.errors import sentence_of_invalid
from recsys.web.recommendation_service import RecommendationService

INSTRUCTIONS = "Call search to find the movie_id of a title; histories and the other tools take films by movie_id."
TOOLS: Mapping[str, Callable[..., Any]] = {answer.__name__: answer for answer in (search, recommend, similar, explain)}


def create_mcp_server(service: RecommendationService) -> Server:
    """Build an MCP server whose tool calls are answered by a recommendation service."""

    async def list_tools(context: object, params: object) -> ListToolsResult:
        return ListToolsResult(tools=[_described(name) for name in TOOLS])

    async def call_tool(context: object, params: CallToolRequestParams) -> CallToolResult:
        try:
            answer = await asyncio.to_thread(_answer, service, params.name, params.arguments or {})
        except UserError as error:
            return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)
        text = to_json(answer).decode()
        return CallToolResult(content=[TextContent(type="text", text=text)])

    return Server(
        "recsys",
        version=version("recsys"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def run_mcp_server(service: RecommendationService) -> None:
    """Read requests from standard input and write answers to standard output, until the input ends."""

    async def run() -> None:
        server = create_mcp_server(service)
        async with stdio_server() as (requests, answers):
            await server.run(requests, answers, server.create_initialization_options())

    asyncio.run(run())


def _described(name: str) -> Tool:
    """Describe a tool for clients with the docstring and the request type of the function that answers its calls."""
    request = get_type_hints(TOOLS[name])["request"]
    return Tool(name=name, description=inspect.getdoc(TOOLS[name]), input_schema=request.model_json_schema())


def _answer(service: RecommendationService, name: str, arguments: Mapping[str, Any]) -> Any:
    """Answer one tool call with the active version of a run: the run itself or its last promoted refit.

    Raises:
        UserError: there is no such tool, an argument is invalid, or the service refuses the request.
    """
    answer = TOOLS[one_of("The tool", name, TOOLS)]
    try:
        request = get_type_hints(answer)["request"].model_validate(arguments)
    except ValidationError as error:
        raise UserError(sentence_of_invalid(error.errors()[0])) from error
    service.refresh()
    return answer(service, request)
