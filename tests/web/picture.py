"""Create docs/page.png for the README: `python -m tests.web.picture RUN`, for a run of EASE on MovieLens-100K."""

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.web.browsing import browser, cards, rate, running_server

PICTURE = Path("docs", "page.png")
RATED = {"Fargo": 5, "The Silence of the Lambs": 5, "Twelve Monkeys": 4}


def screenshot(page: Page) -> bytes:
    """Rate some films as a new viewer, and take a screenshot."""
    for title, stars in RATED.items():
        rate(page, title, stars)
    search = page.get_by_role("searchbox")
    search.fill("")
    search.blur()
    cards(page).first.wait_for()
    page.get_by_role("button", name="Undo").wait_for(state="hidden")
    return page.screenshot()


def main() -> None:
    """Serve the run, and save the screenshot in few colours, dithered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    run = parser.parse_args().run
    store = Path(tempfile.mkdtemp(), "feedback.sqlite")
    with running_server(run, store=store, settings=("explore.places=0",)) as address, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page.goto(address)
        picture = Image.open(io.BytesIO(screenshot(page)))
    PICTURE.parent.mkdir(exist_ok=True)
    picture = picture.convert("RGB")
    picture.quantize(palette=picture.quantize(256), dither=Image.Dither.FLOYDSTEINBERG).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
