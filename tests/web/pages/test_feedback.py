"""A viewer gives feedback with the mouse, with the keyboard, on a phone and by a file, and the lists follow."""

import csv
import sqlite3

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.browsing import CHROMIUM, cards, own_films, rate, stars, titles, upload, watchlist
from tests.web.pages.conftest import EVIL, TITLES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def top(locator: Locator) -> float:
    return locator.bounding_box()["y"]


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


def test_nothing_moves_when_the_page_of_a_returning_viewer_connects(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    expect(cards(page).first).to_be_visible()
    context = page.context.browser.new_context(viewport=page.viewport_size)
    context.add_cookies(page.context.cookies())
    unconnected = context.new_page()
    unconnected.route_web_socket("**", lambda socket: None)
    unconnected.route("**/socket.io/**", lambda route: route.abort())
    unconnected.goto(page.url)
    for place in (page, unconnected):
        expect(place.get_by_role("slider")).to_be_visible()
        expect(place.locator(".start .strip")).to_be_hidden()
        expect(place.get_by_text("Rate a few films you know")).to_be_hidden()
        expect(place.get_by_role("link", name="bring your history")).to_be_hidden()
    assert (
        abs(top(unconnected.get_by_role("heading", name="For you")) - top(page.get_by_role("heading", name="For you")))
        < 1
    )
    context.close()


def test_feedback_is_changed_where_it_is_listed_undone_and_removed(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    stars(own_films(page).first, 2).click()
    expect(page.locator(".found li").first.locator("[aria-checked=true]")).to_have_attribute("aria-label", "2 stars")
    page.get_by_role("button", name="Undo").click()
    expect(stars(own_films(page).first, 5)).to_have_attribute("aria-checked", "true")
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


def test_genres_years_and_surprise_change_the_list(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    before = titles(page)
    page.get_by_text("Genres and years").click()
    page.get_by_role("button", name="Drama").click()
    expect(page.get_by_role("button", name="Drama")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".filters")).to_contain_text("1 chosen")
    expect(cards(page).filter(has_text="Comedy")).to_have_count(0)
    page.get_by_label("From", exact=True).fill("1970")
    page.get_by_label("From", exact=True).press("Enter")
    expect(page.locator(".filters")).to_contain_text("2 chosen")
    page.wait_for_function(
        """() => {
            const years = [...document.querySelectorAll(".cards:not([aria-busy=true]) .card:not(.skeleton) .meta")];
            return years.length && years.every(meta => parseInt(meta.innerText) >= 1970);
        }"""
    )
    page.get_by_role("button", name="Drama").click()
    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("From", exact=True).press("Enter")
    expect(cards(page)).to_have_count(len(before))
    page.get_by_role("slider").fill("1")
    expect(cards(page).first).not_to_contain_text(before[0])


def rate_well_known_film(page: Page) -> None:
    tile = page.locator(".start li").nth(2)
    title = tile.get_by_role("link").inner_text()
    stars(tile, 5).click()
    expect(own_films(page)).to_contain_text(title)


def assert_message_covers_nothing(page: Page) -> None:
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


@pytest.mark.parametrize(("width", "height", "highest"), [(390, 844, 500), (1280, 900, 420)])
def test_after_the_first_rating_the_list_is_in_view_and_nothing_covers_it(visit, width, height, highest):
    for rate_a_film in (rate_well_known_film, lambda page: rate(page, "The Winter Road", 5)):
        page = visit(width=width, height=height)
        expect(page.locator(".start li a").first).to_be_visible()
        rate_a_film(page)
        assert titles(page)
        expect(page.locator(".start .strip")).to_be_hidden()
        assert top(cards(page).first) < highest
        assert_message_covers_nothing(page)
    page.get_by_role("heading", name="Start with these").click()  # for one more
    expect(page.locator(".start .strip")).to_be_visible()
    own_films(page).first.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Rate a film or two")).to_be_visible()
    expect(page.locator(".start .strip")).to_be_visible()
    page.reload()
    expect(page.locator(".start li a").first).to_be_visible()


def test_the_viewers_own_films_can_be_reached_from_the_top_of_the_list_on_a_phone(visit):
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


def test_stars_given_by_keyboard_where_films_are_listed_keep_the_focus(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    stars(own_films(page).first, 5).focus()
    for key in ("ArrowLeft", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".snackbar")).to_contain_text("4 stars: The Winter Road")
    expect(page.locator(".found li").first.locator("[aria-checked=true]")).to_have_attribute("aria-label", "4 stars")
    expect(stars(own_films(page).first, 4)).to_be_focused()


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
    expect(page.get_by_text("For this visit: 2 films from films.csv (table).")).to_be_visible()
    assert stored.execute("SELECT count(*) FROM events").fetchone() == n_before

    page.get_by_role("link", name="Change").click()
    upload(page, "films.csv", "\n".join(["title,year,rating", *rows]))
    page.get_by_role("button", name="Leave out The Winter Road (1952)").click()
    expect(page.get_by_role("heading", name="1 of 4 films found")).to_be_visible()
    expect(page.get_by_role("region", name="Not used (3)")).to_contain_text("left out by you")
    page.get_by_role("button", name="The Winter Road (1952)").click()
    page.get_by_role("button", name="Store my ratings").click()
    expect(page.get_by_text("Stored: 2 films.")).to_be_visible()
    latest = "SELECT kind, value FROM events ORDER BY number DESC LIMIT 2"
    assert set(stored.execute(latest)) == {("rating", 4.5), ("seen", None)}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Stored: 2 films.")).to_be_hidden()
    assert set(stored.execute(latest)) == {("undo", None)}


def test_show_all_names_as_many_films_as_there_are_after_some_were_left_out(visit):
    page = visit("/history")
    upload(page, "films.csv", "\n".join(["title,year", *(f"{TITLES[i]},{1950 + i}" for i in range(1, 16))]))
    found = page.get_by_role("region", name="Found")
    expect(page.get_by_role("button", name="Show all 15")).to_be_visible()
    expect(found.get_by_role("listitem")).to_have_count(12)
    for n_left in (14, 13):
        found.get_by_role("button", name="Leave out").first.click()
        expect(page.get_by_role("button", name=f"Show all {n_left}")).to_be_visible()
        expect(found.get_by_role("listitem")).to_have_count(12)
    page.get_by_role("button", name="Show all 13").click()
    expect(found.get_by_role("listitem")).to_have_count(13)
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()


def test_a_file_that_is_not_a_history_is_refused_in_one_sentence(visit):
    page = visit("/history")
    upload(page, "other.csv", "a,b\n1,2\n")
    expect(page.locator(".notice")).to_contain_text("other.csv must be a history of Letterboxd")
    upload(page, "large.csv", "x" * 6_000_000)
    expect(page.locator(".notice")).to_contain_text("The file must have at most 5 MB.")


def test_a_history_without_anything_new_says_so_and_offers_no_undo(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    expect(cards(page).first).to_be_visible()
    page.goto(page.url + "history")
    page.wait_for_function("window.did_handshake")
    upload(page, "none.csv", "title,year\nParasite,2019\n")
    expect(page.get_by_text("None of the films in this file can be used")).to_be_visible()
    upload(page, "rated.csv", "title,year,rating\nThe Winter Road,1952,4\n")
    page.get_by_role("button", name="Store my ratings").click()
    expect(page.locator(".notice")).to_contain_text("Nothing was stored")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
