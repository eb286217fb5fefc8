"""No click is lost while a list changes, and each counts for the film that the viewer saw."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.browsing import CHROMIUM, cards, own_films, rate, stars, titles, upload, watchlist

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

# Holds what the server sends, as a slow line does; the page goes on sending.
HOLD = """() => {
    const line = window.socket.io.engine.transport.ws, receive = line.onmessage;
    window.held = [];
    line.onmessage = (message) => window.held.push(message);
    window.letThrough = () => { line.onmessage = receive; window.held.forEach(receive); };
}"""


@contextmanager
def pressed(page: Page, control: Locator) -> Iterator[None]:
    """Press the mouse on a control, and release it at the same place afterwards."""
    control.scroll_into_view_if_needed()
    box = control.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    yield
    page.mouse.up()


def press_in_page(control: Locator) -> None:
    """Activate a control without the mouse, which is in use."""
    control.evaluate("control => control.click()")


def wait_until_deleted(page: Page, element: Locator) -> None:
    """Wait until the server has deleted an element, which the page still shows."""
    pattern = f'"{element.get_attribute("id").removeprefix("c")}":null'
    page.wait_for_function("text => window.held.some((message) => message.data.includes(text))", arg=pattern)


def test_a_button_that_moves_between_press_and_release_receives_the_click(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    first, second = titles(page)[:2]
    with pressed(page, cards(page).nth(1).get_by_role("button", name="Watch later")):
        press_in_page(cards(page).first.get_by_role("button", name="Not interested"))
        expect(cards(page).filter(has_text=first)).to_have_count(0)
    expect(watchlist(page)).to_contain_text(second)
    expect(own_films(page)).to_have_count(2)


def test_stars_that_are_removed_before_the_release_are_still_given(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    first = titles(page)[0]
    with pressed(page, stars(cards(page).first, 4)):
        press_in_page(cards(page).first.get_by_role("button", name="Watch later"))
        expect(cards(page).filter(has_text=first)).to_have_count(0)
    expect(stars(own_films(page).filter(has_text=first), 4)).to_have_attribute("aria-checked", "true")
    expect(own_films(page)).to_have_count(2)


def test_a_link_that_moves_between_press_and_release_is_followed(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    first, second = titles(page)[:2]
    with pressed(page, cards(page).nth(1).get_by_role("link")):
        press_in_page(cards(page).first.get_by_role("button", name="Seen it"))
        expect(cards(page).filter(has_text=first)).to_have_count(0)
    expect(page.get_by_role("heading", level=1, name=second, exact=True)).to_be_visible()


def test_a_press_that_is_released_elsewhere_is_not_a_click(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    with pressed(page, cards(page).first.get_by_role("button", name="Watch later")):
        page.mouse.move(5, 5)
    cards(page).nth(1).get_by_role("button", name="Seen it").click()
    expect(own_films(page)).to_have_count(2)
    expect(page.locator("#watchlist")).to_be_hidden()


def test_clicks_on_what_the_server_has_deleted_count_for_its_film(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    first = titles(page)[0]
    card = cards(page).first
    page.evaluate(HOLD)
    card.get_by_role("button", name="Not interested").click()
    wait_until_deleted(page, card)
    card.get_by_role("button", name="Watch later").click()
    page.evaluate("window.letThrough()")
    expect(watchlist(page)).to_contain_text(first)
    expect(own_films(page)).to_have_count(1)

    row = own_films(page).first
    page.evaluate(HOLD)
    row.get_by_role("button", name="Remove").click()
    wait_until_deleted(page, row)
    stars(row, 2).click()
    page.evaluate("window.letThrough()")
    expect(page.locator(".snackbar")).to_contain_text("2 stars: The Winter Road")
    expect(stars(own_films(page).first, 2)).to_have_attribute("aria-checked", "true")


def test_undo_undoes_what_its_message_says_though_a_later_one_has_replaced_it(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    with pressed(page, page.get_by_role("button", name="Undo")):
        first = titles(page)[0]
        press_in_page(cards(page).first.get_by_role("button", name="Seen it"))
        expect(page.locator(".snackbar")).to_contain_text(first)
    expect(page.locator(".snackbar")).to_have_text("Undone")
    expect(own_films(page)).to_contain_text([first])  # alone


def test_stars_on_a_shelf_that_moves_are_given(visit):
    page = visit()
    rate(page, "The Winter Road", 5)
    page.get_by_label("Arrange").select_option("shelves")
    tiles = page.locator(".shelf").first.locator("li")
    expect(tiles).not_to_have_count(0)
    first, second = tiles.get_by_role("link").all_inner_texts()[:2]
    with pressed(page, stars(tiles.nth(1), 3)):
        press_in_page(stars(tiles.first, 2))
        expect(tiles.filter(has_text=first)).to_have_count(0)
    expect(stars(own_films(page).filter(has_text=second), 3)).to_have_attribute("aria-checked", "true")


def test_stars_of_a_search_result_that_is_replaced_are_given(visit):
    page = visit()
    page.get_by_role("searchbox").fill("winter road")
    found = page.locator(".found li")
    with pressed(page, stars(found.filter(has_text="The Winter Road"), 3)):
        page.get_by_role("searchbox").evaluate(
            "field => { field.value = 'signal night'; field.dispatchEvent(new Event('input')); }"
        )
        page.locator(".found[data-query='signal night']").wait_for(state="attached")
        expect(found.filter(has_text="The Winter Road")).to_have_count(0)
    expect(stars(own_films(page).filter(has_text="The Winter Road"), 3)).to_have_attribute("aria-checked", "true")


def test_a_film_of_an_uploaded_history_that_moves_is_left_out(visit):
    page = visit("/history")
    upload(page, "films.csv", "title,year\nThe Harbour Road,1951\nThe Winter Road,1952\nThe Lantern Road,1953\n")
    rows = page.get_by_role("region", name="Found").get_by_role("listitem")
    expect(rows).to_have_count(3)
    first, second = rows.locator(".row-title").all_inner_texts()[:2]
    with pressed(page, rows.nth(1).get_by_role("button", name="Leave out")):
        press_in_page(rows.first.get_by_role("button", name="Leave out"))
        expect(rows.filter(has_text=first)).to_have_count(0)
    expect(page.get_by_role("region", name="Not used (2)")).to_contain_text(second)
