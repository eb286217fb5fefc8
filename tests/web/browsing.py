"""The server in a process of its own, a browser to visit it, and what tests do on its pages."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the first is a fifth faster
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = [  # no requests of the browser's own
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
]


@contextmanager
def running_server(*runs: Path, store: Path, settings: tuple[str, ...] = ()) -> Iterator[str]:
    """Run `python -m recsys serve` at a free port; gives its address."""
    with running_process(*runs, store=store, settings=settings) as (_, address):
        yield address


@contextmanager
def running_process(
    *runs: Path, store: Path, settings: tuple[str, ...] = ()
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `python -m recsys serve` at a free port; gives its process and address."""
    command = [sys.executable, "-m", "recsys", "serve", *map(str, runs), "port=0", *settings, "--store", str(store)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            found = (re.search(r"http://\S+", line) for line in iter(process.stdout.readline, ""))
            address = next((match[0] for match in found if match), None)
            assert address is not None, f"{' '.join(command)} ended with {process.wait()}"
            yield process, address
        finally:
            process.terminate()


@contextmanager
def browser() -> Iterator[Browser]:
    """Run Chromium without a window."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


def cards(page: Page) -> Locator:
    return page.locator(".cards:not([aria-busy=true]) .card:not(.skeleton)")


def titles(page: Page) -> list[str]:
    """Return the titles of the recommended films as soon as they are shown."""
    expect(cards(page).first).to_be_visible()
    return cards(page).locator("h3").all_inner_texts()


def stars(within: Page | Locator, n: float) -> Locator:
    return within.get_by_role("radio", name=f"{n:g} star{'' if n == 1 else 's'}", exact=True)


def own_films(page: Page) -> Locator:
    return page.locator("#own-films li")


def watchlist(page: Page) -> Locator:
    return page.locator("#watchlist li")


def rate(page: Page, title: str, n: float) -> None:
    """Find a film by its title, give it stars, and wait for the next list, since a card that moves is clicked twice.

    Playwright repeats a click if the element has left the place of the press, where the page has counted the press.
    """
    link = cards(page).first.get_by_role("link").first
    before = link.get_attribute("href") if link.is_visible() else ""
    page.get_by_role("searchbox").fill(title)
    row = page.locator(".found li", has=page.get_by_role("link", name=title, exact=True))
    stars(row, n).click()
    expect(own_films(page).filter(has_text=title)).to_be_visible()
    expect(link).not_to_have_attribute("href", before)


def upload(page: Page, name: str, content: str) -> None:
    """Bring a file to the page for histories from elsewhere."""
    page.locator(".drop input").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content.encode()})
