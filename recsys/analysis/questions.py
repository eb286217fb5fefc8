"""The questions of the exploratory report: what each needs to be known, its figure, its finding in words.

A question's numbers come from the SELECT of its name in `sql/`. Findings hold for any data: they call a difference one
only where it is wider than chance allows. Intervals are of 95% for all rows of a figure together (Bonferroni), with
standard errors over people or films as a whole, since the ratings by one person, or of one film, are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from scipy.stats import norm

from recsys.analysis import charts
from recsys.analysis.charts import DASHED, PERCENT, SMALL, height_of, percent
from recsys.analysis.figures import BELOW_ABOVE, FAINT, MAIN, MUTED, OTHER, PAPER, axes, panels

SMALLEST = 20  # people or films in a group; a mean of fewer says little
DAMPING = 25  # ratings of the average film that every film is taken to have besides its own
LISTED = 10  # films in a list
NAMED = 3  # groups in a sentence
NEGLIGIBLE = 0.1  # stars
STRONGEST = 0.5  # tastes that are stronger have the last shade
WORTH_A_NUMBER = 0.095  # in a small cell
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TURNED = 1.1  # inches that names below cells take
PARAMETERS = {"smallest": SMALLEST, "damping": DAMPING, "listed": LISTED}

# What data may lack, in words.
LACKING = {
    "ratings": "it has interactions without stars",
    "times": "its ratings have no times",
    "genres": "its films have no genres",
    "years": "its films have no years",
    "people": "nothing is known of its users",
    "gender": "the gender of its users is not known",
    "age": "the age of its users is not known",
    "occupation": "the occupation of its users is not known",
}


@dataclass(frozen=True)
class Question:
    """A question to the data.

    Attributes:
        name: of its files, and of its SELECT if `query` names no other.
        section: of the report.
        asked: the question itself.
        shown: the form of the figure, for those who cannot see it.
        draw: the rows of the answer to a figure.
        find: the rows of the answer to the finding, a sentence or more.
        needs: what must be known, names of `LACKING`.
        query: the name of a SELECT that several questions share.
        parameters: of the SELECT, beside `PARAMETERS`.
        least: rows without which there is no answer.
    """

    name: str
    section: str
    asked: str
    shown: str
    draw: Callable[[pd.DataFrame], Figure]
    find: Callable[[pd.DataFrame], str]
    needs: tuple[str, ...] = ()
    query: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    least: int = 1


# How much there is


def draw_filling(rows: pd.DataFrame) -> Figure:
    """Tenths of the users by tenths of the films."""
    grid = rows.pivot_table(index="user_tenth", columns="film_tenth", values="share")
    figure, drawn = axes(4.4)
    users, films = ([str(tenth) for tenth in tenths] for tenths in (grid.index, grid.columns))
    charts.cells(drawn, grid.to_numpy(), users, films, _texts(grid.to_numpy(), percent))
    drawn.set_xlabel("tenths of the films, the most rated first")
    drawn.set_ylabel("tenths of the users, the most active first")
    drawn.xaxis.set_label_position("top")
    return figure


def find_filling(rows: pd.DataFrame) -> str:
    """The density, and that of the fullest corner."""
    overall = rows["n"].sum() / rows["n_pairs"].sum()
    return (
        f"{percent(overall)} of all pairs of a user and a film are rated; where the most active tenth of the users "
        f"meets the most rated tenth of the films, {percent(rows['share'].iloc[0])}."
    )


def draw_stars(rows: pd.DataFrame) -> Figure:
    """A column for each number of stars."""
    figure, drawn = axes(2.9)
    charts.columns(drawn, [f"{rating:g}" for rating in rows["rating"]], rows["share"].to_numpy())
    drawn.set_xlabel("stars")
    return figure


def find_stars(rows: pd.DataFrame) -> str:
    """The mean, the most frequent number of stars, the share in the upper half of what was given."""
    mean, most = (rows["rating"] * rows["share"]).sum(), _most(rows, rows["share"])
    middle = (rows["rating"].min() + rows["rating"].max()) / 2
    above = rows.loc[rows["rating"] > middle, "share"].sum()
    return (
        f"The mean rating is {mean:.2f} stars and the most frequent one {most['rating']:g} ({percent(most['share'])}); "
        f"{percent(above)} of the ratings are above {middle:g}, the middle between the lowest and the highest."
    )


def draw_concentration(rows: pd.DataFrame) -> Figure:
    """The share of ratings over the share of films, the most rated first (a Lorenz curve)."""
    figure, drawn = axes(3.6, grid="both")
    films, ratings = (np.concatenate(([0.0], rows[name])) for name in ("films", "ratings"))
    drawn.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle=DASHED)
    drawn.annotate(
        "if all films had as many", (0.62, 0.62), (6, -12), textcoords="offset points", color=MUTED, fontsize=SMALL
    )
    drawn.plot(films, ratings, color=MAIN)
    tenth = np.interp(0.1, films, ratings)
    drawn.plot(0.1, tenth, "o", color=OTHER, markersize=7)
    drawn.annotate(
        f"10% of films: {percent(tenth)}", (0.1, tenth), (8, -4), textcoords="offset points", backgroundcolor=PAPER
    )
    drawn.set(xlabel="share of films, the most rated first", ylabel="share of ratings", xlim=(0, 1), ylim=(0, 1.02))
    drawn.xaxis.set_major_formatter(PERCENT)
    drawn.yaxis.set_major_formatter(PERCENT)
    return figure


def find_concentration(rows: pd.DataFrame) -> str:
    """What the most rated tenth of films has, and how many films have half of the ratings."""
    tenth = np.interp(0.1, np.concatenate(([0.0], rows["films"])), np.concatenate(([0.0], rows["ratings"])))
    half = rows.loc[rows["ratings"] >= 0.5, "films"].min()
    return (
        f"The most rated 10% of films have {percent(tenth)} of the ratings; half of the ratings go to {percent(half)} "
        "of the films."
    )


def draw_tail(rows: pd.DataFrame) -> Figure:
    """The share of films with so many ratings or more."""
    figure, drawn = axes(3.4, grid="both")
    charts.at_least(drawn, rows["n"].to_numpy(), rows["share"].to_numpy())
    drawn.set(xlabel="ratings", ylabel="share of films with so many or more")
    return figure


def find_tail(rows: pd.DataFrame) -> str:
    """The median film, and films that nearly nobody rated."""
    few = 1 - rows.loc[rows["n"] >= SMALLEST, "share"].max() if rows["n"].max() >= SMALLEST else 1.0
    n_films, most = rows["films"].sum(), rows["n"].max()
    return (
        f"Half of the {n_films:,} films have {_median(rows):,} ratings or more; {percent(few)} have fewer than "
        f"{SMALLEST}, too few to tell much of a film, while the most rated film has {most:,}."
    )


def draw_activity(rows: pd.DataFrame) -> Figure:
    """The share of users who rated so many films or more."""
    figure, drawn = axes(3.4, grid="both")
    charts.at_least(drawn, rows["n"].to_numpy(), rows["share"].to_numpy())
    drawn.set(xlabel="films rated", ylabel="share of users with so many or more")
    return figure


def find_activity(rows: pd.DataFrame) -> str:
    """The median user, and what the most active tenth gives."""
    users, ratings = rows["users"].to_numpy()[::-1], (rows["users"] * rows["n"]).to_numpy()[::-1]
    of_users, of_ratings = (np.concatenate(([0], np.cumsum(each) / each.sum())) for each in (users, ratings))
    return (
        f"Half of the {users.sum():,} users rated {_median(rows):,} films or more, all at least {rows['n'].min():,}; "
        f"the most active 10% gave {percent(float(np.interp(0.1, of_users, of_ratings)))} of the ratings."
    )


# Films


def draw_loved(rows: pd.DataFrame) -> Figure:
    """How many stars the films got, and their damped means."""
    return _draw_ballots(rows)


def find_loved(rows: pd.DataFrame) -> str:
    """The first films and how they are ordered."""
    best = rows.iloc[0]
    return (
        f"{best['film']} is loved most: {best['n']:,} ratings with a mean of {best['mean']:.2f}, {best['damped']:.2f} "
        f"when damped. (Damped: as if every film had {DAMPING} more ratings of the mean of all, since a few ratings "
        "prove little.)"
    )


def draw_divisive(rows: pd.DataFrame) -> Figure:
    """How many stars the films got, and their damped spreads."""
    return _draw_ballots(rows)


def find_divisive(rows: pd.DataFrame) -> str:
    """The first film and how they are ordered."""
    worst = rows.iloc[0]
    return (
        f"{worst['film']} divides people most: the standard deviation of its {worst['n']:,} ratings is "
        f"{worst['spread']:.2f} stars, {worst['damped']:.2f} when damped. (Damped: as if every film had {DAMPING} more "
        "ratings that are spread as around the average film.)"
    )


# Genres


def draw_genre_shares(rows: pd.DataFrame) -> Figure:
    """For each genre its share of films and of ratings."""
    figure, drawn = axes(height_of(len(rows)), grid="x")
    names = ("share of films", "share of ratings")
    charts.pairs(drawn, rows["genre"].tolist(), rows["films"].to_numpy(), rows["ratings"].to_numpy(), names)
    return figure


def find_genre_shares(rows: pd.DataFrame) -> str:
    """The genre with the most ratings, and the one with the most ratings a film."""
    lift = rows["ratings"] / rows["films"]
    most, over, under = rows.iloc[0], _most(rows, lift), _most(rows, -lift)
    return (
        f"Films of the genre {most['genre']} get most of the ratings, {percent(most['ratings'])}; for its number of "
        f"films {over['genre']} gets the most ({lift.max():.1f} times the average film) and {under['genre']} the "
        f"fewest ({lift.min():.1f} times). Films of several genres count in each."
    )


def draw_means(rows: pd.DataFrame) -> Figure:
    """The mean rating of each group and its interval."""
    figure, drawn = axes(height_of(len(rows)), grid="x")
    _dots(drawn, rows, _margins(rows["error"]))
    drawn.set_xlabel("mean rating, stars")
    return figure


def find_genre_means(rows: pd.DataFrame) -> str:
    """The genres that stand apart."""
    return f"{_apart(rows)} Genres of fewer than {SMALLEST} films are left out."


def draw_genre_pairs(rows: pd.DataFrame) -> Figure:
    """The share of common films for each pair, below the diagonal."""
    names = list(rows["genre"].unique())
    grid = rows.pivot_table(index="genre", columns="other", values="share").reindex(index=names, columns=names)
    values = np.where(np.tri(len(names), k=-1, dtype=bool), grid, np.nan)[1:, :-1]
    texts = _texts(values, lambda share: f"{100 * share:.0f}" if share >= WORTH_A_NUMBER else "")
    figure, drawn = axes(TURNED + charts.ROW * 0.85 * len(names))
    charts.cells(drawn, values, names[1:], names[:-1], texts)
    drawn.tick_params(labeltop=False, labelbottom=True, labelsize=SMALL)
    drawn.tick_params(axis="x", rotation=90)
    return figure


def find_genre_pairs(rows: pd.DataFrame) -> str:
    """The closest pair."""
    closest = _most(rows, rows["share"])
    return (
        f"{closest['genre']} and {closest['other']} go together most: of the films of either, "
        f"{percent(closest['share'])} are both. Genres of fewer than {SMALLEST} films are left out."
    )


def draw_genre_decades(rows: pd.DataFrame) -> Figure:
    """A panel for each genre: its share over the decades, the others' in grey."""
    genres = list(rows["genre"].unique())
    figure, drawn = panels(3.9, 2, 3, grid="y", sharex=True, sharey=True)
    for panel, genre in zip(drawn, genres, strict=False):
        for _, of_genre in rows.groupby("genre"):
            panel.plot(of_genre["decade"], of_genre["share"], color=FAINT, linewidth=1)
        own = rows[rows["genre"] == genre]
        panel.plot(own["decade"], own["share"], color=MAIN)
        panel.set_title(genre, fontsize=10, loc="left", fontweight="bold")
        panel.yaxis.set_major_formatter(PERCENT)
        panel.set_ylim(bottom=0)
        panel.tick_params(labelsize=SMALL)
        panel.set_xticks([rows["decade"].min(), rows["decade"].max()])
        panel.xaxis.set_major_formatter("{x:.0f}s")
    for panel in drawn[len(genres) :]:
        panel.set_axis_off()
    figure.supylabel("share of the decade's ratings", fontsize=9.5, color=MUTED)
    return figure


def find_genre_decades(rows: pd.DataFrame) -> str:
    """The widest change from the first decade to the last that is beyond chance."""
    first, last = rows["decade"].min(), rows["decade"].max()
    before, after = (rows[rows["decade"] == decade] for decade in (first, last))
    changes = before.merge(after, on="genre", suffixes=("_first", "_last"))
    change = changes["share_last"] - changes["share_first"]
    margins = _margins(np.hypot(changes["error_first"], changes["error_last"]))
    decades = f"films of the {first}s and of the {last}s"
    if (change.abs() <= margins).all():
        return f"Between {decades} no genre's share of the ratings changed by more than chance allows."
    most = _most(changes, change.abs().where(change.abs() > margins))
    return (
        f"{most['genre']} changed most between {decades}: from {percent(most['share_first'])} of the ratings to "
        f"{percent(most['share_last'])}. Decades of fewer than {SMALLEST} films are left out."
    )


# Years of release


def draw_decades(rows: pd.DataFrame) -> Figure:
    """For each decade its share of films and of ratings."""
    figure, drawn = axes(height_of(len(rows)), grid="x")
    labels = [f"{decade}s" for decade in rows["decade"]]
    names = ("share of films", "share of ratings")
    charts.pairs(drawn, labels, rows["films"].to_numpy(), rows["ratings"].to_numpy(), names)
    return figure


def find_decades(rows: pd.DataFrame) -> str:
    """The decade with the most ratings, and the one with the most ratings a film."""
    lift = rows["ratings"] / rows["films"]
    most, over = _most(rows, rows["ratings"]), _most(rows, lift)
    return (
        f"Films of the {most['decade']:.0f}s are {percent(most['films'])} of the films and get "
        f"{percent(most['ratings'])} of the ratings; a film of the {over['decade']:.0f}s gets the most, "
        f"{lift.max():.1f} times the average."
    )


def find_decade_means(rows: pd.DataFrame) -> str:
    """The decades that stand apart."""
    return f"{_apart(rows)} Decades of fewer than {SMALLEST} films are left out."


# People


def draw_groups(rows: pd.DataFrame) -> Figure:
    """The mean rating of each group and its interval, a panel for each fact."""
    facts = list(rows["fact"].unique())
    sizes = [int((rows["fact"] == fact).sum()) for fact in facts]
    margins = _margins(rows["error"])
    height = charts.AROUND + charts.ROW * (len(rows) + len(facts))
    figure, drawn = panels(height, len(facts), grid="x", sharex=True, height_ratios=[size + 0.5 for size in sizes])
    for panel, fact in zip(drawn, facts, strict=True):
        chosen = rows["fact"] == fact
        _dots(panel, rows[chosen], margins[chosen])
        panel.set_title(fact.capitalize(), fontsize=10, loc="left", fontweight="bold")
    drawn[-1].set_xlabel("mean rating, stars")
    return figure


def find_groups(rows: pd.DataFrame) -> str:
    """The groups that stand apart."""
    return f"{_apart(rows)} Groups of fewer than {SMALLEST} people are left out."


def draw_tastes(rows: pd.DataFrame) -> Figure:
    """Genres by groups: how much more or less of a group's ratings go to a genre."""
    groups, genres = (rows[name].unique().tolist() for name in ("group", "genre"))
    grid = rows.assign(lift=_lifts(rows)).pivot_table(index="genre", columns="group", values="lift", dropna=False)
    values = grid.reindex(index=genres, columns=groups).to_numpy()
    texts = _texts(values, lambda lift: "·" if np.isnan(lift) else f"{lift:+.0%}")
    figure, drawn = axes(height_of(len(genres)))
    names = [group.replace(" ", "\n", 1) for group in groups]
    charts.cells(drawn, values, genres, names, texts, BELOW_ABOVE, (-STRONGEST, STRONGEST))
    return figure


def find_tastes(rows: pd.DataFrame) -> str:
    """The strongest difference."""
    lifts = _lifts(rows)
    if lifts.isna().all():
        return "No group's ratings go to a genre more or less than the others' do, beyond what chance allows."
    strongest = _most(rows, lifts.abs())
    direction = "more" if strongest["share"] > strongest["share_else"] else "less"
    return (
        f"The strongest difference: {strongest['group']} give {strongest['genre']} {percent(strongest['share'])} of "
        f"their ratings, {percent(lifts.abs().max())} {direction} than all others "
        f"({percent(strongest['share_else'])}). A dot means that chance may explain it; groups of "
        f"fewer than {SMALLEST} people are left out."
    )


def draw_favourites(rows: pd.DataFrame) -> Figure:
    """The genre that each group prefers most, and by how much; groups without one at the end."""
    favourites = _favourites(rows)
    others = [group for group in rows["group"].unique() if group not in set(favourites["group"])]
    texts = [f"{genre} {lift:+.0%}" for genre, lift in zip(favourites["genre"], favourites["lift"], strict=True)]
    lifts = np.concatenate((favourites["lift"], np.zeros(len(others))))
    figure, drawn = axes(height_of(len(lifts)))
    charts.bars(drawn, [*favourites["group"], *others], lifts, texts + ["none beyond chance"] * len(others))
    return figure


def find_favourites(rows: pd.DataFrame) -> str:
    """The strongest preference, and who has none."""
    favourites, n_groups = _favourites(rows), rows["group"].nunique()
    if favourites.empty:
        return f"None of the {n_groups} groups prefers a genre by more than chance allows."
    first = favourites.iloc[0]
    return (
        f"The strongest preference: {first['group']} give {first['genre']} {percent(first['share'])} of their "
        f"ratings, all others {percent(first['share_else'])}. {len(favourites)} of {n_groups} groups prefer a "
        f"genre by more than chance allows; groups of fewer than {SMALLEST} people are left out."
    )


# Times


def draw_months(rows: pd.DataFrame) -> Figure:
    """A column for each month."""
    figure, drawn = axes(2.9, grid="y")
    drawn.bar(rows["month"], rows["n"], width=26, align="edge", color=MAIN)
    drawn.yaxis.set_major_formatter("{x:,.0f}")
    drawn.set_ylabel("ratings a month")
    _dates(drawn)
    return figure


def find_months(rows: pd.DataFrame) -> str:
    """The busiest month."""
    busiest = _most(rows, rows["n"])
    n_months = len(pd.period_range(rows["month"].min(), rows["month"].max(), freq="M"))
    return (
        f"Of the ratings of {n_months:,} months, {percent(busiest['share'])} came in the busiest, "
        f"{busiest['month']:%B %Y}; if they came evenly it would be {percent(1 / n_months)}."
    )


def draw_hours(rows: pd.DataFrame) -> Figure:
    """Days of the week by hours of the day."""
    grid = rows.pivot_table(index="weekday", columns="hour", values="share").to_numpy()
    figure, drawn = axes(2.7)
    charts.cells(drawn, grid, [day[:3] for day in DAYS], [str(hour) if hour % 3 == 0 else "" for hour in range(24)])
    drawn.set_xlabel("hour of the day, UTC")
    drawn.xaxis.set_label_position("top")
    scale = figure.colorbar(drawn.images[0], ax=drawn, location="bottom", aspect=40, shrink=0.6, format="{x:.1%}")
    scale.outline.set_visible(False)
    scale.set_label("share of ratings", fontsize=SMALL)
    return figure


def find_hours(rows: pd.DataFrame) -> str:
    """The busiest and the quietest day and hour."""
    days, hours = (rows.groupby(of)["share"].sum().to_numpy() for of in ("weekday", "hour"))
    return (
        f"{DAYS[days.argmax()]} is the busiest day, with {percent(days.max())} of the ratings, and "
        f"{DAYS[days.argmin()]} the quietest ({percent(days.min())}; an even share is {percent(1 / 7)}). The busiest "
        f"hour begins at {hours.argmax()}:00 UTC ({percent(hours.max())}), the quietest at {hours.argmin()}:00 "
        f"({percent(hours.min())}; an even share is {percent(1 / 24)})."
    )


def draw_drift(rows: pd.DataFrame) -> Figure:
    """The mean of each month or year, with its interval."""
    figure, drawn = axes(3.0, grid="y")
    drawn.axhline(rows["overall"].iloc[0], color=MUTED, linewidth=1, linestyle=DASHED)
    drawn.errorbar(
        rows["period"], rows["mean"], yerr=_margins(rows["error"]), fmt="o-", color=MAIN, linewidth=1, markersize=5
    )
    drawn.set_ylabel("mean rating, stars")
    _dates(drawn)
    return figure


def find_drift(rows: pd.DataFrame) -> str:
    """What a line through all ratings rises, and whether that is much or may be chance."""
    change, margin = rows["change"].iloc[0], norm.ppf(0.975) * rows["change_error"].iloc[0]
    line = f"a line through all ratings goes {'up' if change > 0 else 'down'} by {abs(change):.2f} ± {margin:.2f} stars"
    over = "from the first rating to the last (95% interval over people)"
    if abs(change) <= margin:
        return f"No drift that could not be chance: {line} {over}."
    if abs(change) < NEGLIGIBLE:
        return f"The mean drifts, but negligibly: {line} {over}."
    return f"The mean drifts: {line} {over}."


# What they share


def _median(rows: pd.DataFrame) -> int:
    """The largest count that half or more have."""
    return int(rows.loc[rows["share"] >= 0.5, "n"].max())


def _texts(values: np.ndarray, text: Callable[[float], str]) -> list[list[str]]:
    """What stands in the cells of a grid."""
    return [[text(value) for value in row] for row in values]


def _most(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """The row where a value is the largest."""
    return rows.iloc[int(np.nanargmax(values))]


def _margins(errors: pd.Series) -> pd.Series:
    """Half widths of intervals that hold at 95% together."""
    return errors * norm.ppf(1 - 0.025 / len(errors))


def _apart(rows: pd.DataFrame) -> str:
    """The groups whose means are above, and below, that of all ratings, if chance does not explain it."""
    overall, margins = rows["overall"].iloc[0], _margins(rows["error"])
    above, below = rows["mean"] - margins > overall, rows["mean"] + margins < overall
    told = [
        f"{where}: {_listed(rows[apart], margins, ascending)}"
        for where, apart, ascending in (
            (f"Above the mean of all ratings ({overall:.2f})", above, False),
            (f"Below the mean of all ratings ({overall:.2f})", below, True),
        )
        if apart.any()
    ]
    if not told:
        return f"Chance may explain why any of them is above or below the mean of all ratings ({overall:.2f})."
    others = "" if (above | below).all() else " Chance may explain where the others are."
    return f"{'. '.join(told)}.{others}"


def _listed(rows: pd.DataFrame, margins: pd.Series, ascending: bool) -> str:
    """The first few groups with their means, and how many more there are."""
    ordered = rows.sort_values("mean", ascending=ascending)
    told = [
        f"{group} ({mean:.2f} ± {margin:.2f})"
        for group, mean, margin in zip(ordered["group"], ordered["mean"], margins[ordered.index], strict=True)
    ][:NAMED]
    return ", ".join(told) + (f" and {len(rows) - NAMED} more" if len(rows) > NAMED else "")


def _lifts(rows: pd.DataFrame) -> pd.Series:
    """How much larger the group's share is than the others', as a part of that; NaN where it may be chance."""
    difference = rows["share"] - rows["share_else"]
    return (difference / rows["share_else"]).where(difference.abs() > _margins(rows["error"]))


def _favourites(rows: pd.DataFrame) -> pd.DataFrame:
    """The row of each group's strongest preference, the strongest first; none for groups without one."""
    preferred = rows.assign(lift=_lifts(rows)).query("lift > 0").sort_values("lift", ascending=False)
    return preferred.drop_duplicates("group")


def _dots(drawn: Axes, rows: pd.DataFrame, margins: pd.Series) -> None:
    labels, overall = rows["group"].tolist(), rows["overall"].iloc[0]
    charts.dots(drawn, labels, rows["mean"].to_numpy(), margins.to_numpy(), overall, f"all {overall:.2f}")


def _draw_ballots(rows: pd.DataFrame) -> Figure:
    figure, drawn = axes(0.55 + 0.42 * len(rows))
    damped = [f"{value:.2f}" for value in rows["damped"]]
    charts.ballots(drawn, rows["film"].tolist(), rows["stars"].tolist(), rows["scale"].iloc[0], damped)
    return figure


def _dates(drawn: Axes) -> None:
    locator = AutoDateLocator(maxticks=8)
    drawn.xaxis.set_major_locator(locator)
    drawn.xaxis.set_major_formatter(ConciseDateFormatter(locator))


MUCH, FILMS, GENRES, YEARS, PEOPLE, TIMES = (
    "How much there is",
    "Films",
    "Genres",
    "Years of release",
    "People",
    "Times of rating",
)
STARS = ("ratings",)

QUESTIONS = (
    Question(
        "stars", MUCH, "How many stars do people give?", "Columns: the share of the ratings with each number of stars.",
        draw_stars, find_stars, STARS,
    ),
    Question(
        "filling", MUCH, "How full is the table of users and films?",
        "A grid: the share of rated pairs, by tenths of the users and tenths of the films.", draw_filling, find_filling,
    ),
    Question(
        "concentration", MUCH, "Do a few films get most of the ratings?",
        "A curve: the share of the ratings over the share of the films, the most rated first.",
        draw_concentration, find_concentration,
    ),
    Question(
        "tail", MUCH, "How many ratings does a film have?",
        "A falling curve on logarithmic axes: the share of the films with so many ratings or more.",
        draw_tail, find_tail,
    ),
    Question(
        "activity", MUCH, "How many films does a person rate?",
        "A falling curve on logarithmic axes: the share of the users who rated so many films or more.",
        draw_activity, find_activity,
    ),
    Question(
        "loved", FILMS, "Which films do people love most?",
        "A bar for each film, parted by the stars that it was given, and its damped mean.",
        draw_loved, find_loved, STARS,
    ),
    Question(
        "divisive", FILMS, "Which films divide people most?",
        "A bar for each film, parted by the stars that it was given, and its damped standard deviation.",
        draw_divisive, find_divisive, STARS,
    ),
    Question(
        "genre_shares", GENRES, "Which genres get the ratings?",
        "Two dots for each genre: its share of the films and its share of the ratings.",
        draw_genre_shares, find_genre_shares, ("genres",),
    ),
    Question(
        "genre_means", GENRES, "Which genres are rated highest?",
        "A dot with an interval for each genre: its mean rating.",
        draw_means, find_genre_means, (*STARS, "genres"), least=2,
    ),
    Question(
        "genre_pairs", GENRES, "Which genres go together?",
        "A grid: for each pair of genres, of the films of either the share that is of both.",
        draw_genre_pairs, find_genre_pairs, ("genres",), least=2,
    ),
    Question(
        "genre_decades", GENRES, "Which genres came, and which went?",
        "Small panels of lines, one a genre: its share of the ratings of films from each decade.",
        draw_genre_decades, find_genre_decades, ("genres", "years"), least=2,
    ),
    Question(
        "decades", YEARS, "How old are the films that people rate?",
        "Two dots for each decade: its share of the films and its share of the ratings.",
        draw_decades, find_decades, ("years",),
    ),
    Question(
        "decade_means", YEARS, "Are older films rated higher?",
        "A dot with an interval for each decade: the mean rating of its films.",
        draw_means, find_decade_means, (*STARS, "years"), least=2,
    ),
    Question(
        "groups", PEOPLE, "Do some people rate higher than others?",
        "A dot with an interval for each group by gender, age and occupation: its mean rating.",
        draw_groups, find_groups, (*STARS, "people"), least=2,
    ),
    Question(
        "tastes_gender", PEOPLE, "Do tastes differ with gender?",
        "A grid of genres and genders: how much more or less of their ratings a genre gets than of others'.",
        draw_tastes, find_tastes, ("genres", "people", "gender"), "tastes", {"fact": "gender"},
    ),
    Question(
        "tastes_age", PEOPLE, "Do tastes differ with age?",
        "A grid of genres and age groups: how much more or less of their ratings a genre gets than of others'.",
        draw_tastes, find_tastes, ("genres", "people", "age"), "tastes", {"fact": "age"},
    ),
    Question(
        "tastes_occupation", PEOPLE, "What does each occupation prefer?",
        "A bar for each occupation: the genre that gets more of its ratings than of others', and by how much.",
        draw_favourites, find_favourites, ("genres", "people", "occupation"), "tastes", {"fact": "occupation"},
    ),
    Question(
        "months", TIMES, "When did the ratings come?", "Columns: the ratings of each month.",
        draw_months, find_months, ("times",),
    ),
    Question(
        "hours", TIMES, "On which days, at which hours do people rate?",
        "A grid: the share of the ratings by day of the week and hour of the day.",
        draw_hours, find_hours, ("times",),
    ),
    Question(
        "drift", TIMES, "Does the mean rating drift?",
        "Dots with intervals: the mean rating of each month or year.",
        draw_drift, find_drift, (*STARS, "times"), least=2,
    ),
)  # fmt: skip
