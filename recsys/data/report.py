"""Prints the report on a prepared data set as a table in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from recsys.data.prepared import Prepared
from recsys.data.ties import share_of_tied_last_ratings
from recsys.terminal import terminal


def print_report(prepared: Prepared, console: Console | None = None) -> None:
    """Print the numbers of ratings read, dropped by each rule and left, the size of the data, and metadata coverage.

    Args:
        prepared: the data set and the report on its preparation.
        console: where to print; None for stdout.
    """
    report, match = prepared.report, prepared.match
    table = Table(title=report.name, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("rows read", f"{report.rows_read:,}")
    for rule, n_dropped in report.dropped.items():
        table.add_row(f"  dropped: {rule}", f"{n_dropped:,}")
    table.add_row("rows kept", f"{report.rows_kept:,}", end_section=not report.sources)
    for place, (source, n_ratings) in enumerate(report.sources.items(), start=1):
        table.add_row(f"  of {source}", f"{n_ratings:,}", end_section=place == len(report.sources))
    table.add_row("users", f"{report.users:,}")
    if "users" in report.described_again:
        table.add_row("  described in several sources", f"{report.described_again['users']:,}")
    table.add_row("items", f"{report.films:,}")
    if "films" in report.described_again:
        table.add_row("  described in several sources", f"{report.described_again['films']:,}")
    table.add_row("  without a title", f"{report.films_untitled:,}")
    for name, rules in report.unused.items():
        for rule, n_rows in rules.items():
            table.add_row(f"unused rows of {name}: {rule}", f"{n_rows:,}")
    table.add_row("density", f"{report.density:.3%}")
    table.add_row("time span", report.span, end_section=prepared.dataset.times is None)
    if prepared.dataset.times is not None:
        share = share_of_tied_last_ratings(prepared.dataset)
        table.add_row("  last ratings with the time of the rating before", f"{share:.1%}", end_section=True)
    if match is not None:
        table.add_row(f"items described by {match.name}", f"{match.films:,} ({match.films / report.films:.1%})")
        table.add_row("  ratings of these", f"{match.ratings:,} ({match.ratings / report.rows_kept:.1%})")
        for rule, n_rows in match.unused.items():
            table.add_row(f"  unused rows of {match.name}: {rule}", f"{n_rows:,}")
    (console or terminal()).print(table)
