"""Text of data is printed as it is, and progress is shown without a terminal too."""

import sys

import pytest
from rich.table import Table

from recsys import progress_bar
from recsys.progress_bar import ProgressBar, pace
from recsys.terminal import print_figures, terminal, working
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


def test_a_table_of_figures_is_split_if_the_terminal_is_too_narrow_for_its_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    print_figures(["metric", *"abcdef"], [["ndcg@10/with_history", *(f"0.{place}234" for place in range(6))]], "Test")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum("ndcg@10/with_history" in line for line in lines) == 6  # one column fits beside the names
    assert all(f"0.{place}234" in "".join(lines) for place in range(6))


def test_all_output_by_rich_goes_through_the_terminal():
    def makes_consoles(module: str) -> bool:
        names = imported_names(module)
        return any(name in names for name in ("rich.print", "rich.get_console", "rich.console.Console"))

    assert {module for module in modules() if makes_consoles(module)} <= {"recsys.terminal", "recsys.data.report"}


def test_progress_of_commands_that_do_not_log_goes_to_the_error_output(monkeypatch, caplog, capsys):
    monkeypatch.setattr(progress_bar, "LINE_SECONDS", 0.0)
    caplog.set_level("WARNING", logger=progress_bar.log.name)
    assert list(ProgressBar(range(3), "ranking")) == [0, 1, 2]
    assert "ranking: 1 of 3, " in capsys.readouterr().err


def test_progress_of_a_bar_below_another_one_has_no_empty_lines(monkeypatch, caplog):
    monkeypatch.setattr(progress_bar, "LINE_SECONDS", 0.0)
    with caplog.at_level("INFO"), ProgressBar(total=2, desc="outer") as outer:
        for _ in range(2):
            list(ProgressBar(range(2), "inner"))
            outer.update()
    assert any(message.startswith("inner: 1 of 2") for message in caplog.messages)
    assert all(message.startswith(("outer: ", "inner: ")) for message in caplog.messages)


def test_progress_without_a_terminal_is_a_line_from_time_to_time(monkeypatch, caplog):
    with caplog.at_level("INFO"):
        assert list(ProgressBar(range(3), "epoch 1 of 2")) == [0, 1, 2]
    assert not caplog.text  # it has ended before the first line
    monkeypatch.setattr(progress_bar, "LINE_SECONDS", 0.0)
    with caplog.at_level("INFO"), ProgressBar(total=4, desc="epoch 1 of 2", unit="batches") as bar:
        bar.set_postfix({"valid/ndcg@10": "0.1234"}, refresh=False)
        bar.update(2)
    last = caplog.messages[-1]
    assert last.startswith("epoch 1 of 2: 2 of 4 batches, ")
    assert " per second, " in last
    assert last.endswith(" left, valid/ndcg@10=0.1234")


def test_a_pace_is_a_number_of_units_in_a_second_or_of_seconds_for_each():
    paces = {12.52: "12.5 per second", 1.0: "1.0 per second", 0.5155: "1.94 s each", 0.0: "none yet"}
    assert [pace(rate) for rate in paces] == list(paces.values())


def test_a_bar_in_a_terminal_names_what_it_counts(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with ProgressBar(total=4, desc="sampling", unit="sweeps") as bar:
        bar.update(2)
        assert "2 of 4 sweeps [" in str(bar)
        assert str(bar).endswith((" per second]", " s each]"))
