"""Elements of pages: what NiceGUI does for each of them."""

from nicegui import Client, helpers, ui

from recsys.web.pages.components import Tag
from recsys.web.pages.signatures import remember_signatures


def test_signatures_of_methods_are_inspected_once_for_all_elements(monkeypatch):
    inspections = []
    original = helpers.expects_arguments
    monkeypatch.setattr(helpers, "expects_arguments", lambda handler: inspections.append(handler) or original(handler))
    with Client(ui.page("")):
        Tag("p")
        of_one_element = len(inspections)
        remember_signatures()
        inspections.clear()
        for _ in range(10):
            Tag("p")
    assert 0 < len(inspections) <= of_one_element


def test_remembered_signatures_are_those_of_the_methods_and_functions(monkeypatch):
    class Listener:
        def reload(self) -> None: ...

        def choose(self, event: object) -> None: ...

        def close(self, event: object = None) -> None: ...

    monkeypatch.setattr(helpers, "expects_arguments", helpers.expects_arguments)
    handlers = [
        Listener().reload,
        Listener().choose,
        Listener().close,
        Listener().choose,
        lambda: None,
        lambda event: None,
    ]
    expected = [helpers.expects_arguments(handler) for handler in handlers]
    remember_signatures()
    assert [helpers.expects_arguments(handler) for handler in handlers] == expected
    assert expected == [False, True, False, True, False, True]
