"""A served run, and one browser tab for all tests of a file: a new one takes three seconds to load the scripts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import ConsoleMessage, Dialog, Error, Page, Request, expect

from tests.web.browsing import browser, running_server
from tests.web.conftest import train_run, write_data

PICTURES = Path("outputs", "tests", "pages")
LIMIT = 300_000  # milliseconds; a busy machine takes as long as it takes
KEEP_MESSAGES = """document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = ".snackbar { animation: none !important }";
    document.head.append(style);
});"""  # messages expire after seconds, within which a busy machine may not come to press Undo
EVIL = "<script>alert(1)</script>"  # a title that a page must show as text
WORDS = ["Harbour", "Winter", "Lantern", "Orchard", "Signal", "Garden", "Mirror", "Voyage", "Letter", "Summit"]
TITLES = [EVIL, *(f"The {word} {end}" for end in ("Road", "House", "Night") for word in WORDS)][:28]
TITLES += ["Koyaanisqatsi: Life Unwound", "Mary Shelley's Frankenstein"]  # words as long as a poster is wide
Visit = Callable[..., Page]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Take a picture of the page on which a test failed."""
    report = yield
    if report.when == "call" and report.failed and "tab" in item.funcargs:
        PICTURES.mkdir(parents=True, exist_ok=True)
        item.funcargs["tab"].screenshot(path=PICTURES / f"{item.name}.png", full_page=True)
    return report


@pytest.fixture(scope="session")
def page_data(tmp_path_factory) -> list[str]:
    """Overrides that read the ratings of 40 users in half stars, of whom half like dramas and half comedies."""
    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    ratings = [
        (f"u{user}", item, rng.integers(6, 11) / 2, 10**9 + rng.integers(10**6))
        for user in range(40)
        for item in np.arange(user % 2, 30, 2)
        if rng.random() < 0.6
    ]
    titles = [f"{title} ({1950 + i})" for i, title in enumerate(TITLES)]
    films = pd.DataFrame({"movie_id": range(30), "title": titles})
    films["genres"] = ["Drama" if i % 2 else "Comedy" for i in films["movie_id"]]
    films["poster"] = ["https://posters.example/3.jpg" if i == 3 else "" for i in films["movie_id"]]
    return write_data(folder, ratings, films, "ks=[1,5,10]")


@pytest.fixture(scope="session")
def page_run(page_data, tmp_path_factory) -> Path:
    """A run of EASE with segments."""
    directory = tmp_path_factory.mktemp("page_run") / "ease"
    train_run(directory, *page_data, "model=ease", "model.l2=5", "model.prior_strength=0")
    (directory / "segments").mkdir()
    (directory / "segments" / "segments.csv").write_text("user_id,name\nu3,Late dramas\n")
    return directory


@pytest.fixture(scope="module")
def served_runs(page_run) -> list[Path]:
    return [page_run]


@pytest.fixture(scope="module")
def store_file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("feedback") / "feedback.sqlite"


@pytest.fixture(scope="module")
def site(served_runs, store_file) -> Iterator[str]:
    """The address of a server of `served_runs`."""
    settings = ("tensorboard=http://localhost:6006", "explore.places=0")
    with running_server(*served_runs, store=store_file, settings=settings) as address:
        yield address


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    expect.set_options(timeout=LIMIT)
    with browser() as chromium:
        page = chromium.new_page(reduced_motion="reduce")
        page.set_default_timeout(LIMIT)
        page.add_init_script(KEEP_MESSAGES)
        page.route("https://posters.example/**", lambda route: route.abort())
        yield page


@pytest.fixture
def visit(site, tab) -> Iterator[Visit]:
    """Open a path as a new viewer; no error and no request to another site may occur until the end of the test."""
    problems: list[str] = []
    tolerated = {"posters.example"}

    def note(text: str) -> None:
        if not any(part in text for part in tolerated):
            problems.append(text)

    def note_error(error: Error) -> None:
        note(str(error))

    def note_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            note(f"{message.text} {message.location['url']}")

    def note_dialog(dialog: Dialog) -> None:
        note(dialog.message)
        dialog.dismiss()

    def note_request(request: Request) -> None:
        if not request.url.startswith((site, "data:")):
            note(request.url)

    notes = {"console": note_console, "pageerror": note_error, "dialog": note_dialog, "request": note_request}

    def visit(path: str = "/", width: int = 1440, height: int = 900, tolerate: str = "posters.example") -> Page:
        tolerated.add(tolerate)
        tab.context.clear_cookies()
        tab.emulate_media(color_scheme="light")
        tab.set_viewport_size({"width": width, "height": height})
        tab.goto(site + path)
        tab.wait_for_function("window.did_handshake")
        return tab

    for event, noted in notes.items():
        tab.on(event, noted)
    yield visit
    for event, noted in notes.items():
        tab.remove_listener(event, noted)
    assert problems == []
