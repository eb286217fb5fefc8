"""Every page: what it shows, in both schemes of colours, on a phone, for bad addresses and without its store."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from nicegui import Client, ui
from playwright.sync_api import expect

from recsys.data.address import Address
from recsys.web.deadline import Deadline
from recsys.web.exploration import Exploration
from recsys.web.lists import ListOptions
from recsys.web.pages.components import Tag
from recsys.web.pages.layout import Snackbar
from recsys.web.pages.recommendations import Recommendations
from recsys.web.pages.shelves import Shelf, ShelfRow
from recsys.web.pages.viewer_session import Site, ViewerSession
from recsys.web.recommendation_service import NO_STORE, RecommendationService
from recsys.web.requests import MAX_QUERY
from recsys.web.store import Store
from tests.web.browsing import CHROMIUM, cards, own_films, rate, stars, titles
from tests.web.conftest import LIMIT, dataset_of, train_run
from tests.web.pages.conftest import EVIL

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

PATHS = ["/", "/user", "/user/u3", "/film/3", "/history", "/compare?user=u3", "/runs", "/film/none"]
CONTRAST = {"runOnly": ["color-contrast"]}


@pytest.fixture(scope="module")
def served_runs(page_run, page_data, tmp_path_factory) -> list[Path]:
    """EASE, and LightGCN, which cannot serve new viewers."""
    directory = tmp_path_factory.mktemp("known_viewers_only") / "lightgcn"
    return [page_run, train_run(directory, *page_data, "model=lightgcn", "model.max_epochs=1")]


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


def test_films_drawn_at_random_are_labelled_and_have_no_reason(page_run, feedback):
    service = RecommendationService(
        {"ease": page_run}, dataset_of, feedback, Exploration(3, 20), deadline=Deadline(LIMIT)
    )
    with Client(ui.page("")) as client:
        session = ViewerSession(Site(service, None), "u3", service.loaded_run(), None, Snackbar())
        listed = service.build_list("u3", ListOptions(k=6))
        recommendations = Recommendations(session, "For you", ())
        shelf = Shelf("Drama", ListOptions(k=6), listed)
        recommendations._show_list([shelf])
        ShelfRow(session, shelf)
    texts = [element.text for element in client.elements.values() if isinstance(element, Tag)]
    assert texts.count("Random pick") == 2 * 3
    assert sum(text.startswith(("because", "liked by")) for text in texts) == 3


def test_two_lists_are_side_by_side_on_a_phone(visit):
    page = visit("/compare?user=u3", width=390, height=844)
    lists = page.locator(".ranked")
    expect(lists).to_have_count(2)
    left, right = (lists.nth(side).bounding_box() for side in (0, 1))
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_films_in_both_lists_are_marked_in_words_on_a_phone(visit):
    page = visit("/compare?a=ease&b=ease&user=u3", width=390, height=844)
    film = page.locator(".ranked li").first
    expect(film.get_by_text("in both")).to_be_visible()
    assert film.get_by_text("in both").bounding_box()["y"] >= top_of(film.locator(".row-body .meta"))
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


@pytest.mark.parametrize("path", ["/film/28", "/film/29", "/user/u3"])
def test_posters_break_no_word_and_leave_years_to_captions(visit, path):
    page = visit(path)
    page.wait_for_function("document.querySelector('.poster') && !document.querySelector('.skeleton')")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
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


LOW_TARGETS = """() =>
    [...document.querySelectorAll("button:not(.badge), select, summary, input, nav a, .rows a, a.chip")]
    .filter((target) => target.checkVisibility() && target.getBoundingClientRect().height < 39.9)
    .map((target) => target.outerHTML)"""


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_is_wide_enough_for_targets_of_40_pixels_and_axe_finds_nothing_serious(visit, path):
    page = visit(path, width=375, height=812, tolerate="404")
    if path == "/":
        rate(page, "The Winter Road", 5)
    page.wait_for_function("!document.querySelector('.skeleton, [aria-busy=true]')")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.evaluate(LOW_TARGETS) == []
    for scheme, options in {"light": None, "dark": CONTRAST}.items():  # colours alone differ
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("body")).to_have_class(re.compile(f"body--{scheme}"))
        found = Axe().run(page, options=options).response["violations"]
        assert {v["id"]: v["nodes"][0]["html"] for v in found if v["impact"] in ("serious", "critical")} == {}


def top_of(place) -> float:
    return place.bounding_box()["y"]


def test_a_message_moves_nothing_on_a_phone_and_a_search_without_results_nothing_on_a_screen(visit):
    page = visit()
    expect(page.locator(".invitation")).to_be_visible()
    strip = page.locator(".start")
    before = top_of(strip)
    page.get_by_role("searchbox").fill("zzzxqv")
    expect(page.get_by_text("No film has that title")).to_be_visible()
    assert top_of(strip) == before
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("searchbox").fill("")
    heading = page.get_by_role("heading", level=1)
    before = top_of(heading)
    rate(page, "The Winter Road", 5)
    expect(page.locator(".snackbar")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    assert top_of(heading) == before


def test_focus_keeps_the_corners_of_buttons_and_fields(visit):
    page = visit("/user")
    for element in (page.get_by_label("Viewer's id"), page.get_by_role("button", name="Show")):
        corners = "element => getComputedStyle(element).borderRadius"
        before = element.evaluate(corners)
        element.press("Shift")  # a key, so that the browser shows the focus
        expect(element).to_be_focused()
        assert element.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
        assert element.evaluate(corners) == before


def test_a_poster_in_a_list_has_the_shape_of_one_beside_long_and_short_reasons(visit):
    page = visit("/user/u3")
    titles(page)
    shapes = (
        cards(page)
        .locator(".poster")
        .evaluate_all("posters => posters.map(poster => poster.offsetHeight / poster.offsetWidth)")
    )
    assert shapes == pytest.approx([1.5] * len(shapes), abs=0.02)


def test_chosen_colours_apply_immediately_also_on_a_page_that_is_opened_immediately(visit, site):
    page = visit("/user")
    expect(page.locator("body")).to_have_class(re.compile("body--light"))
    page.get_by_label("Colours").select_option("dark")
    page.goto(f"{site}/runs")
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    expect(page.get_by_label("Colours")).to_have_value("dark")
    page.get_by_label("Colours").select_option("light")
    expect(page.locator("body")).to_have_class(re.compile("body--light"))


def test_a_search_reads_no_more_characters_than_the_field_takes(visit):
    page = visit()
    page.get_by_role("searchbox").evaluate(
        """field => {
            field.focus();
            field.maxLength = 10000;
            field.value = "The Winter Road".padEnd(10000, "x");
            field.dispatchEvent(new Event("input"));
        }"""
    )
    expect(page.get_by_text("No film has that title")).to_be_visible()
    assert len(page.locator(".found").get_attribute("data-query")) == MAX_QUERY


def test_titles_and_ids_are_shown_as_text(visit, site):
    page = visit(tolerate="404")
    page.get_by_role("searchbox").fill("script alert")
    expect(page.locator(".found li").first).to_contain_text(EVIL)
    for path in ("/film/0", f"/user/{EVIL}", f"/film/{EVIL}", f"/?run={EVIL}", f"/compare?user={EVIL}"):
        page.goto(site + path)
        expect(page.get_by_text(EVIL).first).to_be_visible()


def test_missing_pages_link_to_other_pages(visit, site):
    for path in ("/user/none", "/nowhere", "/?run=none"):
        answer = httpx.get(site + path)
        assert answer.status_code == 404
        assert "There is no" in answer.text
    page = visit("/film/none", tolerate="404")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page.locator(".notice p")).to_contain_text("There is no")
    page.get_by_role("link", name="Discover films").click()
    expect(page.get_by_role("searchbox")).to_be_visible()


def test_a_page_answers_requests_that_it_does_not_take_with_a_page(site):
    answer = httpx.post(f"{site}/runs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert "Method not allowed" in answer.text
    assert "does not take this kind of request" in answer.text


@pytest.fixture
def failing_store(site, store_file) -> Iterator[None]:
    """A store without one of its tables; it has them all again after the test."""
    with contextlib.closing(sqlite3.connect(store_file)) as connection:
        connection.execute("ALTER TABLE events RENAME TO lost")
        yield
        connection.execute("ALTER TABLE lost RENAME TO events")


def test_a_rating_that_cannot_be_stored_is_refused_in_one_sentence(visit, site, failing_store):
    page = visit("/film/3")
    expect(page.locator(".snackbar")).to_contain_text(NO_STORE)
    stars(page, 4).click()
    expect(page.locator(".snackbar")).to_contain_text(NO_STORE)
    expect(page.get_by_role("button", name="Remove")).to_be_hidden()
    for path, place in (("/", ".snackbar"), ("/user/u3", ".cards .notice"), ("/compare?user=u3", ".notice")):
        page.goto(site + path)
        expect(page.locator(place).first).to_contain_text(NO_STORE)


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


def test_a_history_is_of_no_use_to_a_model_that_ignores_it(visit):
    page = visit("/history?run=lightgcn")
    expect(page.get_by_text("This model cannot serve new viewers")).to_be_visible()
