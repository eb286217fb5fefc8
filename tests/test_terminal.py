"""Text of data is printed as it is."""

import pytest
from rich.table import Table

from recsys.terminal import terminal, working
from tests.test_imports import imported_names, modules

TITLES = ("[bold]", "[/red] Return", "[Rec] (2007)", "M\\[", ":heart: Story", "[link=http://x]")


@pytest.mark.parametrize("title", TITLES)
def test_titles_with_brackets_and_colons_are_printed_unchanged(title, capsys):
    table = Table(title, title=title, caption=title)
    table.add_row(title)
    terminal().print(table)
    assert capsys.readouterr().out.count(title) == 4
    with working(title):
        pass


def test_all_output_by_rich_goes_through_the_terminal():
    def makes_consoles(module: str) -> bool:
        names = imported_names(module)
        return any(name in names for name in ("rich.print", "rich.get_console", "rich.console.Console"))

    assert {module for module in modules() if makes_consoles(module)} <= {"recsys.terminal", "recsys.data.report"}
