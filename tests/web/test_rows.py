"""Lists that change in place."""

from nicegui import Client, ui

from recsys.web.pages.components import Tag
from recsys.web.pages.rows import Rows


class Word:
    """A row that shows a word."""

    def __init__(self, word: str) -> None:
        self.element = Tag("li", word)

    def show(self, word: str) -> None:
        self.element.text = word


def test_rows_stay_and_move_while_their_keys_are_listed():
    with Client(ui.page("")):
        with Tag("ul") as place:
            Tag("li", "being loaded")
        rows: Rows[str] = Rows(place)
        rows.show({1: "one", 2: "two", 3: "three"}, Word)
        before = {key: row.element for key, row in rows.shown.items()}
        rows.show({3: "drei", 4: "vier", 1: "eins"}, Word)
        assert [row.text for row in place] == ["drei", "vier", "eins"]
        assert [*rows.shown] == [3, 4, 1]
        assert {key: rows.shown[key].element for key in (1, 3)} == {key: before[key] for key in (1, 3)}
        assert before[2].is_deleted
        rows.show({}, Word)
        assert [*place] == []
