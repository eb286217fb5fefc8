"""URLs of pages."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def address(*parts: str, **query: str | int | None) -> str:
    """Build the URL of a page from path segments and query parameters; parameters that are None or "" are left out."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return "/" + "/".join(quote(part, safe="") for part in parts) + (f"?{urlencode(given)}" if given else "")
