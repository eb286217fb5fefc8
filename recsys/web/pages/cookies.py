"""Cookies that the pages read on the server and set in the browser."""

from __future__ import annotations

from nicegui import ui

MAX_AGE = 365 * 24 * 3600  # seconds


def cookie(name: str) -> str:
    """Return the value of a cookie in the current request, or "" if there is none; clients can send any value."""
    request = ui.context.client.request
    return "" if request is None else request.cookies.get(name, "")


def set_cookie(name: str, value: str) -> None:
    """Set a cookie in the browser; its value must consist of letters, digits and hyphens."""
    ui.run_javascript(cookie_script(name, f"'{value}'"))


def cookie_script(name: str, value: str) -> str:
    """Return JavaScript that sets a cookie to the value of a JavaScript expression.

    If the page was loaded over HTTPS, the browser sends the cookie over HTTPS only.
    """
    secure = "(location.protocol === 'https:' ? '; secure' : '')"
    return f"document.cookie = '{name}=' + {value} + '; path=/; max-age={MAX_AGE}; samesite=lax' + {secure}"
