"""The pages in a browser, on tiny runs: with the mouse, with the keyboard and on a phone."""

import contextlib
import csv
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from nicegui import Client, ui
from playwright.sync_api import Browser, Locator, Page, expect

from recsys.data.address import Address
from recsys.web.exploration import Exploration
from recsys.web.lists import ListOptions
from recsys.web.pages.components import Tag
from recsys.web.pages.layout import Snackbar
from recsys.web.pages.recommendations import Recommendations
from recsys.web.pages.shelves import Shelf, show_shelf
from recsys.web.pages.viewer_session import Site, ViewerSession
from recsys.web.recommendation_service import NO_STORE, RecommendationService
from recsys.web.store import Store
from tests.web.browsing import CHROMIUM, browser, running_server
from tests.web.conftest import EVIL, dataset_of

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

PICTURES = Path("outputs", "tests", "pages")
PATHS = ["/", "/user", "/user/u3", "/film/3", "/history", "/compare?user=u3", "/runs", "/film/none"]
LIMIT = 300_000  # milliseconds; a busy machine takes as long as it takes
KEEP_MESSAGES = """document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = ".snackbar { animation: none !important }";
    document.head.append(style);
});"""  # messages expire after seconds, within which a busy machine may not come to press Undo
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def store_file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("feedback") / "feedback.sqlite"


@pytest.fixture(scope="module")
def site(page_runs, store_file) -> Iterator[str]:
    settings = ("tensorboard=http://localhost:6006", "explore.places=0")
    with running_server(page_runs / "ease", page_runs / "lightgcn", store=store_file, settings=settings) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=LIMIT)
    with browser() as chromium:
        yield chromium


@pytest.fixture
def visit(site, chromium, request) -> Iterator[Open]:
    """Open a path as a new viewer; no error and no request to another site may occur until the end of the test."""
    problems: list[str] = []
    contexts = []

    def visit(path: str = "/", width: int = 1440, height: int = 900, expected: str = "nothing") -> Page:
        def note(text: str) -> None:
            if not re.search(f"{expected}|posters.example", text):
                problems.append(text)

        context = chromium.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(LIMIT)
        context.add_init_script(KEEP_MESSAGES)
        contexts.append(context)
        context.route("https://posters.example/**", lambda route: route.abort())
        page = context.new_page()
        page.on(
            "console", lambda message: message.type == "error" and note(f"{message.text} {message.location['url']}")
        )
        page.on("pageerror", lambda error: note(str(error)))
        page.on("dialog", lambda dialog: note(dialog.message) or dialog.dismiss())
        page.on("request", lambda request: request.url.startswith((site, "data:")) or note(request.url))
        page.goto(site + path)
        page.wait_for_function("window.did_handshake")
        return page

    yield visit
    PICTURES.mkdir(parents=True, exist_ok=True)
    for number, context in enumerate(contexts):
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        context.pages[0].screenshot(path=PICTURES / f"{name}-{number}.png", full_page=True)
        context.close()
    assert problems == []


def cards(page: Page) -> Locator:
    return page.locator(".cards:not([aria-busy=true]) .card:not(.skeleton)")


def titles(page: Page) -> list[str]:
    expect(cards(page).first).to_be_visible()
    return cards(page).locator("h3").all_inner_texts()


def stars(within: Page | Locator, n: float) -> Locator:
    return within.get_by_role("radio", name=f"{n:g} star{'' if n == 1 else 's'}", exact=True)


def own_films(page: Page) -> Locator:
    return page.locator("#own-films li")


def watchlist(page: Page) -> Locator:
    return page.locator("#watchlist li")


def top(locator: Locator) -> float:
    return locator.bounding_box()["y"]


def rate(page: Page, title: str, n: float) -> None:
    """Find a film by its title and give it stars."""
    page.get_by_role("searchbox").fill(title)
    row = page.locator(".found li", has=page.get_by_role("link", name=title, exact=True))
    stars(row, n).click()
    expect(own_films(page).filter(has_text=title)).to_be_visible()


def test_recommendations_follow_the_ratings_of_a_new_viewer_without_a_reload(visit):
    page = visit()
    expect(page.get_by_text("Rate a film or two")).to_be_visible()
    page.evaluate("window.here = true")
    page.get_by_role("searchbox").fill("harbor rod")
    first = page.locator(".found li").first
    expect(first).to_contain_text("The Harbour Road")
    stars(first, 4.5).click()
    listed = titles(page)
    assert "The Harbour Road" not in listed
    expect(cards(page).first).to_contain_text("liked The Harbour Road (1951)")
    page.get_by_text("Where the reasons come from").click()  # once for the list, and not on every card
    expect(page.locator(".why")).to_contain_text("score would fall most")
    expect(own_films(page)).to_have_count(1)
    stars(cards(page).first, 1).click()
    expect(own_films(page)).to_have_count(2)
    expect(cards(page).filter(has_text=listed[0])).to_have_count(0)
    assert page.evaluate("window.here")
    page.reload()
    expect(own_films(page)).to_have_count(2)
    expect(stars(own_films(page).nth(1), 4.5)).to_have_attribute("aria-checked", "true")


def test_a_new_viewer_can_rate_well_known_films(visit):
    page = visit()
    tile = page.locator(".start li").nth(2)
    title = tile.get_by_role("link").inner_text()
    stars(tile, 5).click()
    expect(own_films(page)).to_contain_text(title)
    assert titles(page)


def test_the_last_action_can_be_undone_and_all_feedback_removed(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    first, second = titles(page)[:2]
    cards(page).nth(0).get_by_role("button", name="Not interested").click()
    expect(cards(page).filter(has_text=first)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(cards(page).nth(0)).to_contain_text(first)
    expect(own_films(page)).to_have_count(1)
    cards(page).nth(1).get_by_role("button", name="Seen it").click()
    expect(own_films(page).first).to_contain_text("Seen")
    own_films(page).first.get_by_role("button", name="Remove").click()
    expect(own_films(page)).to_have_count(1)
    expect(cards(page).nth(1)).to_contain_text(second)


def test_a_rating_is_changed_where_it_is_listed(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    stars(own_films(page).first, 2).click()
    expect(page.locator(".found li").first.locator("[aria-checked=true]")).to_have_attribute("aria-label", "2 stars")
    page.get_by_role("button", name="Undo").click()
    expect(stars(own_films(page).first, 5)).to_have_attribute("aria-checked", "true")


def test_genres_years_and_surprise_change_the_list(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    before = titles(page)
    page.get_by_text("Genres and years").click()
    page.get_by_role("button", name="Drama").click()
    expect(page.locator(".filters")).to_contain_text("1 chosen")
    expect(cards(page).filter(has_text="Comedy")).to_have_count(0)
    page.get_by_label("From", exact=True).fill("1970")
    page.get_by_label("From", exact=True).press("Enter")
    expect(page.locator(".filters")).to_contain_text("2 chosen")
    page.wait_for_function("document.querySelector('.cards').ariaBusy === 'false'")
    assert all(int(text.split(" · ")[0]) >= 1970 for text in cards(page).locator(".meta").all_inner_texts())
    page.get_by_role("button", name="Drama").click()
    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("From", exact=True).press("Enter")
    expect(cards(page)).to_have_count(len(before))
    page.get_by_role("slider").fill("1")
    expect(cards(page).first).not_to_contain_text(before[0])


@pytest.mark.parametrize(("width", "height", "highest"), [(390, 844, 500), (1280, 900, 420)])
@pytest.mark.parametrize("place", [".start", ".search"])
def test_after_the_first_rating_the_list_is_in_view_and_nothing_covers_it(visit, width, height, highest, place):
    page = visit(width=width, height=height)
    expect(page.locator(".start li a").first).to_be_visible()
    if place == ".search":
        rate(page, "The Winter Road", 5)
    else:
        stars(page.locator(".start li").first, 5).click()
    assert titles(page)
    expect(page.locator(".start .strip")).to_be_hidden()
    assert top(cards(page).first) < highest
    message, header = page.locator(".snackbar").bounding_box(), page.locator("header.top").bounding_box()
    assert header["y"] <= message["y"]
    assert message["y"] + message["height"] <= header["y"] + header["height"] <= top(page.get_by_role("heading").first)
    for other in page.locator("header.top :is(a, select)").all():
        box = other.bounding_box()
        assert (
            box["x"] + box["width"] <= message["x"]
            or message["x"] + message["width"] <= box["x"]
            or (box["y"] + box["height"] <= message["y"] or message["y"] + message["height"] <= box["y"])
        )
    page.get_by_role("heading", name="Start with these").click()  # for one more
    expect(page.locator(".start .strip")).to_be_visible()
    own_films(page).first.get_by_role("button", name="Remove").click()
    expect(page.locator(".start .strip")).to_be_visible()
    page.reload()
    expect(page.locator(".start li a").first).to_be_visible()


def test_a_phone_reaches_own_films_from_the_top_of_the_list(visit):
    page = visit(width=320, height=640)
    rate(page, "The Winter Road", 5)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    cards(page).first.get_by_role("button", name="Watch later").click()
    for name, own in (("Watchlist (1)", watchlist(page)), ("Your films (1)", own_films(page))):
        link = page.get_by_role("link", name=name)
        link.scroll_into_view_if_needed()
        assert top(link) < top(cards(page).first)
        expect(own).not_to_be_in_viewport()
        link.click()
        expect(own).to_be_in_viewport()
    watchlist(page).get_by_role("link").click()
    expect(page.locator(".expected .badge")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_a_film_to_watch_later_moves_to_the_watchlist_until_it_has_stars(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    first = titles(page)[0]
    expect(page.locator("#watchlist")).to_be_hidden()
    cards(page).first.get_by_role("button", name="Watch later").click()
    expect(watchlist(page)).to_contain_text(first)
    expect(cards(page).filter(has_text=first)).to_have_count(0)
    expect(own_films(page)).to_have_count(1)
    watchlist(page).get_by_role("link").click()
    later = page.get_by_role("button", name="Watch later")
    expect(later).to_have_attribute("aria-pressed", "true")
    later.click()
    expect(later).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Not interested").click()
    later.click()
    expect(page.get_by_role("button", name="Not interested")).to_have_attribute("aria-pressed", "false")
    page.go_back()
    stars(watchlist(page), 4).click()
    expect(page.locator("#watchlist")).to_be_hidden()
    expect(own_films(page)).to_have_count(2)


def test_a_viewer_s_ratings_are_downloaded(visit):
    page = visit()
    expect(page.get_by_role("button", name="Download")).to_be_hidden()
    rate(page, "The Winter Road", 4.5)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "ratings.csv"
    [row] = csv.DictReader(download.value.path().open())
    assert (row["title"], row["rating"]) == ("The Winter Road", "4.5")
    assert page.evaluate("document.cookie.match(/visitor=([^;]+)/)[1]") not in download.value.path().read_text()


def test_films_are_arranged_by_year_and_by_genre(visit):
    page = visit("/user/u3")
    before = titles(page)
    page.get_by_label("Arrange").select_option("newest")
    expect(cards(page).first).not_to_contain_text(before[0])
    years = [int(text.split(" · ")[0]) for text in cards(page).locator(".meta").all_inner_texts()]
    assert years == sorted(years, reverse=True)
    n_shown = len(years)
    page.get_by_role("button", name="Show more").click()
    expect(cards(page)).not_to_have_count(n_shown)
    years = [int(text.split(" · ")[0]) for text in cards(page).locator(".meta").all_inner_texts()]
    assert years == sorted(years, reverse=True)
    page.get_by_label("Arrange").select_option("shelves")
    shelves = page.locator(".shelf")
    expect(shelves.first).to_be_visible()
    assert sorted(shelves.get_by_role("heading").all_inner_texts()) == ["Comedy", "Drama"]
    listed = shelves.get_by_role("link").all_inner_texts()
    assert len(listed) == len(set(listed))
    stars(shelves.first.locator("li").first, 5).click()
    expect(own_films(page)).to_contain_text(listed[0])
    expect(shelves.filter(has_text=listed[0])).to_have_count(0)
    own_films(page).get_by_role("button", name="Remove").click()
    expect(own_films(page)).to_have_count(0)


def test_films_drawn_at_random_are_labelled_as_tries_without_a_reason(page_runs, feedback):
    service = RecommendationService({"ease": page_runs / "ease"}, dataset_of, feedback, Exploration(3, 20))
    with Client(ui.page("")) as client:
        session = ViewerSession(Site(service, None), "u3", service.loaded_run(), None, Snackbar())
        listed = service.build_list("u3", ListOptions(k=6))
        recommendations = Recommendations(session, "For you", ())
        for film in listed.films:
            recommendations._card(listed, film)
        show_shelf(session, Shelf("Drama", ListOptions(k=6), listed))
    texts = [element.text for element in client.elements.values() if isinstance(element, Tag)]
    assert texts.count("A try") == 2 * 3
    assert sum(text.startswith(("because", "liked by")) for text in texts) == 3


def test_two_lists_are_side_by_side_on_a_phone(visit):
    page = visit("/compare?user=u3", width=390, height=844)
    lists = page.locator(".ranked")
    expect(lists).to_have_count(2)
    left, right = (lists.nth(side).bounding_box() for side in (0, 1))
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390


BROKEN_WORDS = """() => [...document.querySelectorAll(".poster-title")].filter((title) => title.checkVisibility())
    .flatMap((title) => {
        const text = title.firstChild, right = title.closest(".poster").getBoundingClientRect().right;
        return [...text.data.matchAll(/\\S+/g)].filter((word) => {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            const boxes = [...range.getClientRects()];
            return boxes.length !== 1 || boxes[0].right > right;
        }).map((word) => word[0]);
    })"""


@pytest.mark.parametrize("width", [390, 1280])
def test_posters_break_no_word_and_leave_years_to_captions(visit, site, width):
    page = visit("/runs", width=width)
    for path in ("/film/28", "/film/29", "/user/u3"):
        page.goto(site + path)
        page.wait_for_function("document.querySelector('.poster') && !document.querySelector('.skeleton')")
        assert page.evaluate(BROKEN_WORDS) == []
        expect(page.locator(".poster").filter(has_text=re.compile(r"\d{4}"))).to_have_count(0)


def test_a_user_of_the_data_has_history_segment_and_recommendations(visit):
    page = visit("/user")
    page.get_by_label("Viewer's id").fill("u3")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Viewer u3")).to_be_visible()
    expect(page.locator(".segment")).to_contain_text("Late dramas")
    history = page.locator("aside .panel").last
    expect(history.locator("li").first).to_contain_text("September 2001")
    rated = history.get_by_role("link").all_inner_texts()
    assert not {f"{title} " for title in titles(page)} & {re.sub(r"\(\d+\)$", "", name) for name in rated}
    seen = titles(page)[0]
    cards(page).first.get_by_role("button", name="Seen it").click()
    expect(own_films(page)).to_contain_text(seen)
    page.get_by_role("button", name="Undo").click()
    expect(own_films(page)).to_have_count(0)


def test_a_film_page_shows_ratings_own_stars_and_similar_films(visit, store_file):
    page = visit()
    rate(page, "The Winter Road", 5)
    film = titles(page)[0]
    cards(page).first.get_by_role("link").click()
    expect(page.get_by_role("heading", name=film, exact=True)).to_be_visible()
    bars = page.locator(".histogram tr")
    expect(bars).to_have_count(10)
    counts = [int(text) for text in bars.locator(".number").all_inner_texts()]
    expect(page.locator("figcaption")).to_contain_text(f"{sum(counts)} ratings")
    expect(page.locator(".strip li")).to_have_count(14)
    expect(page.locator(".expected")).to_contain_text("% match")
    stars(page.locator(".own"), 3).click()
    expect(page.get_by_role("button", name="Remove")).to_be_visible()
    expect(page.locator(".expected")).to_be_empty()
    page.reload()
    expect(stars(page.locator(".own"), 3)).to_have_attribute("aria-checked", "true")
    store = Store.open(Address.parse(str(store_file)))
    user_id = page.evaluate("document.cookie.match(/visitor=([^;]+)/)[1]")
    shown = store.impressions()
    store.close()
    assert shown[shown["user_id"] == user_id]["clicked"].sum() == 1


def test_two_models_are_compared_on_one_history(visit):
    page = visit("/compare")
    expect(page.get_by_text("You have not rated any films yet")).to_have_count(2)
    page.get_by_label("Viewer", exact=True).fill("u3")
    page.get_by_label("Viewer", exact=True).press("Enter")
    lists = page.locator(".ranked")
    expect(lists).to_have_count(2)
    left, right = (set(lists.nth(side).get_by_role("link").all_inner_texts()) for side in (0, 1))
    assert page.locator(".shared").count() == 2 * len(left & right)
    expect(page.get_by_role("heading", level=2)).to_have_text(["ease", "lightgcn", "Test metrics"])
    expect(page.get_by_role("rowheader", name="NDCG@10")).to_contain_text("higher is better")
    page.get_by_label("Second model").select_option("ease")
    expect(page.locator(".shared")).to_have_count(20)
    assert page.url.endswith("/compare?a=ease&b=ease&user=u3")


def test_the_models_are_listed_with_metrics_and_a_link_to_tensorboard(visit):
    page = visit("/runs")
    expect(page.get_by_role("link", name="TensorBoard")).to_have_attribute("href", "http://localhost:6006")
    expect(page.get_by_role("columnheader")).to_have_text(["Metric", "ease", "lightgcn"])
    expect(page.get_by_role("rowheader", name="NDCG@10")).to_contain_text("higher is better")
    expect(page.get_by_role("rowheader", name="Hit rate@10")).to_be_visible()
    expect(page.locator("th", has_text=re.compile("^[a-z_]+@"))).to_have_count(0)


def test_everything_works_by_keyboard(visit):
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("lantern")
    expect(page.locator(".found[data-query=lantern] li")).not_to_have_count(0)
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(stars(own_films(page).first, 1.5)).to_have_attribute("aria-checked", "true")
    expect(stars(page.locator(".found li").first, 1.5)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".found li")).to_have_count(0)
    expect(page.get_by_role("searchbox")).to_be_focused()
    second = titles(page)[1]
    cards(page).nth(0).get_by_role("button", name="Not interested").focus()
    page.keyboard.press("Enter")
    expect(cards(page).first.get_by_role("link")).to_be_focused()
    expect(cards(page).first).to_contain_text(second)


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_is_wide_enough_and_axe_finds_nothing_serious(visit, path):
    page = visit(path, width=375, height=812, expected="404")
    if path == "/":
        rate(page, "The Winter Road", 5)
    page.wait_for_function("!document.querySelector('.skeleton, [aria-busy=true]')")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator("body")).to_have_class(re.compile(f"body--{scheme}"))
        found = Axe().run(page).response["violations"]
        assert {v["id"]: v["nodes"][0]["html"] for v in found if v["impact"] in ("serious", "critical")} == {}


def test_a_choice_of_colours_is_applied_at_once(visit):
    page = visit()
    expect(page.locator("body")).to_have_class(re.compile("body--light"))
    page.get_by_label("Colours").select_option("dark")
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))


def test_chosen_colours_hold_on_a_page_that_is_opened_at_once(visit, site):
    page = visit()
    expect(page.locator("body")).to_have_class(re.compile("body--light"))
    page.get_by_label("Colours").select_option("dark")
    page.goto(f"{site}/runs")
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    expect(page.get_by_label("Colours")).to_have_value("dark")


def test_titles_and_ids_are_shown_as_text(visit, site):
    page = visit(expected="404")
    page.get_by_role("searchbox").fill("script alert")
    expect(page.locator(".found li").first).to_contain_text(EVIL)
    for path in ("/film/0", f"/user/{EVIL}", f"/film/{EVIL}", f"/?run={EVIL}", f"/compare?user={EVIL}"):
        page.goto(site + path)
        expect(page.get_by_text(EVIL).first).to_be_visible()


@pytest.mark.parametrize("path", ["/film/none", "/user/none", "/nowhere", "/?run=none"])
def test_missing_pages_link_to_other_pages(visit, path):
    page = visit(path, expected="404")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page.locator(".notice p")).to_contain_text("There is no")
    page.get_by_role("link", name="Discover films").click()
    expect(page.get_by_role("searchbox")).to_be_visible()


def test_a_page_answers_requests_that_it_does_not_take_with_a_page(site):
    answer = httpx.post(f"{site}/runs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert "Method not allowed" in answer.text


@pytest.fixture
def failing_store(visit, store_file) -> Iterator[None]:
    """A store without one of its tables; it has them all again after the test."""
    with contextlib.closing(sqlite3.connect(store_file)) as connection:
        connection.execute("ALTER TABLE events RENAME TO lost")
        yield
        connection.execute("ALTER TABLE lost RENAME TO events")


@pytest.mark.parametrize(
    ("path", "place"),
    [("/", ".snackbar"), ("/film/3", ".snackbar"), ("/user/u3", ".cards .notice"), ("/compare?user=u3", ".notice")],
)
def test_without_the_store_pages_say_that_ratings_cannot_be_stored(visit, failing_store, path, place):
    page = visit(path)
    expect(page.locator(place).first).to_contain_text(NO_STORE)


def test_a_rating_that_cannot_be_stored_is_refused_in_one_sentence(visit, failing_store):
    page = visit("/film/3")
    stars(page, 4).click()
    expect(page.locator(".snackbar")).to_contain_text(NO_STORE)
    expect(page.get_by_role("button", name="Remove")).to_be_hidden()


def test_a_model_that_cannot_serve_new_viewers_says_so_and_takes_no_ratings(visit, site):
    page = visit("/?run=lightgcn")
    expect(page.locator(".notice")).to_contain_text("LightGCN recommends only to the 40 viewers of files")
    expect(page.get_by_role("searchbox")).to_have_count(0)
    expect(page.get_by_role("radio")).to_have_count(0)
    page.get_by_role("link", name="Use the model ease").click()
    rate(page, "The Winter Road", 5)
    expect(page.get_by_label("Model")).to_have_count(0)  # no other run can serve a new viewer
    page.goto(f"{site}/film/3?run=lightgcn")
    expect(page.get_by_role("heading", name="Similar films")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)
    page.goto(f"{site}/user/u3?run=lightgcn")
    assert titles(page)


def test_the_drawn_poster_shows_where_the_real_one_cannot_be_loaded(visit):
    page = visit("/film/3")
    expect(page.locator(".film .poster img")).to_be_hidden()
    expect(page.locator(".film .poster")).to_contain_text("Lantern Road")


def upload(page: Page, name: str, content: str) -> None:
    page.locator(".drop input").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content.encode()})


def test_a_history_from_elsewhere_is_shown_then_used_or_stored(visit, store_file):
    page = visit("/")
    page.get_by_role("link", name="bring your history").click()
    rows = ["The Harbour Road,1951,4.5", "Winter Road,1952,", "Parasite,2019,5", f'"{EVIL}",2019,5']
    upload(page, "films.csv", "\n".join(["title,year,rating", *rows]))
    expect(page.get_by_role("heading", name="2 of 4 films found in films.csv (table)")).to_be_visible()
    expect(page.get_by_role("region", name="Not used (2)")).to_contain_text(f"Parasite (2019)not in the data{EVIL}")
    stored = sqlite3.connect(store_file)
    n_before = stored.execute("SELECT count(*) FROM events").fetchone()
    page.get_by_role("button", name="Use for this visit").click()
    expect(cards(page)).to_have_count(12)
    expect(page.get_by_text("2 films of films.csv (table) count for this visit.")).to_be_visible()
    assert stored.execute("SELECT count(*) FROM events").fetchone() == n_before

    page.get_by_role("link", name="Change").click()
    upload(page, "films.csv", "\n".join(["title,year,rating", *rows]))
    page.get_by_role("button", name="Leave out The Winter Road (1952)").click()
    expect(page.get_by_role("heading", name="1 of 4 films found")).to_be_visible()
    page.get_by_role("button", name="The Winter Road (1952)").click()
    page.get_by_role("button", name="Store my ratings").click()
    expect(page.get_by_text("Stored: 2 films.")).to_be_visible()
    latest = "SELECT kind, value FROM events ORDER BY number DESC LIMIT 2"
    assert set(stored.execute(latest)) == {("rating", 4.5), ("seen", None)}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Stored: 2 films.")).to_be_hidden()
    assert set(stored.execute(latest)) == {("undo", None)}


def test_a_file_that_is_no_history_is_refused_in_one_sentence(visit):
    page = visit("/history")
    upload(page, "other.csv", "a,b\n1,2\n")
    expect(page.locator(".notice")).to_contain_text("other.csv must be a history of Letterboxd")
    upload(page, "large.csv", "x" * 6_000_000)
    expect(page.locator(".notice")).to_contain_text("The file must have at most 5 MB.")


def test_a_history_is_of_no_use_to_a_model_that_ignores_it(visit):
    page = visit("/history?run=lightgcn")
    expect(page.get_by_text("This model cannot serve new viewers")).to_be_visible()
