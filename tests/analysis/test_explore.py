"""Tests of the exploratory report: the queries, the findings, and the files that are written."""

import re
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recsys.analysis import figures
from recsys.analysis.exploration.explore import SQL, explore, query
from recsys.analysis.exploration.questions import PARAMETERS, QUESTIONS, REQUIREMENTS
from recsys.analysis.exploration.questions.films import star_classes
from recsys.analysis.exploration.questions.preferences import summarize_tastes
from recsys.analysis.exploration.questions.times import summarize_drift
from recsys.analysis.exploration.report import EVENTS, PAGE, cleaning_finding, write_report
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.sources import Files
from recsys.errors import UserError

JANUARY, FEBRUARY = 1_578_315_600, 1_580_994_000  # 2020-01-06 13:00, a Monday, and 2020-02-06 13:00, a Thursday, UTC
DAY = 86_400  # seconds
SCRIPT = "<script>alert(1)</script>"
# user, film, stars, seconds
RATINGS = [
    (1, 1, 5, JANUARY),
    (1, 2, 5, JANUARY),
    (1, 3, 1, JANUARY),
    (2, 1, 5, JANUARY),
    (2, 2, 3, JANUARY),
    (3, 1, 4, FEBRUARY),
    (3, 3, 2, FEBRUARY),
    (3, 4, 3, FEBRUARY),
    (4, 1, 2, FEBRUARY),
    (4, 3, 2, FEBRUARY),
]
FILMS = (
    f"movie_id,title,year,genres\n1,{SCRIPT},1994,Drama\n2,Two,1995,Drama|Comedy\n3,Three,1985,Comedy\n4,,1986,Comedy\n"
)
USERS = "user_id,gender,age,occupation\n1,F,20,nurse\n2,F,20,nurse\n3,M,60,cook\n4,M,60,cook\n"
BY_NAME = {question.name: question for question in QUESTIONS}


def files(folder: Path, *columns: str, **others: str) -> Files:
    """A source of the ratings that has only some columns."""
    rows = pd.DataFrame(RATINGS, columns=["user_id", "movie_id", "rating", "time"])
    rows[list(columns)].to_csv(folder / "ratings.csv", index=False)
    mapping = dict.fromkeys(("user_id", "movie_id", "rating", "time")) | {column: column for column in columns}
    return Files(str(folder / "ratings.csv"), mapping, scale=(1, 5), **others)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Prepared:
    folder = tmp_path_factory.mktemp("source")
    (folder / "films.csv").write_text(FILMS)
    (folder / "users.csv").write_text(USERS)
    tables = {"films_path": str(folder / "films.csv"), "users_path": str(folder / "users.csv")}
    return prepare(files(folder, "user_id", "movie_id", "rating", "time", **tables), folder / "cache")


@pytest.fixture
def rows_of(prepared, monkeypatch):
    """The rows of a question by its name, for groups of at least two users or films."""
    monkeypatch.setitem(PARAMETERS, "min_size", 2)

    def rows_of(name: str) -> pd.DataFrame:
        [(_, rows)] = query(prepared, [BY_NAME[name]])
        return rows

    return rows_of


def test_questions_have_a_query_and_known_requirements():
    for question in QUESTIONS:
        assert (SQL / f"{question.query or question.name}.sql").is_file()
        assert set(question.requires) <= REQUIREMENTS.keys()
    assert len(BY_NAME) == len(QUESTIONS)


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("stars", ["rating", "share"], [(1, 0.1), (2, 0.3), (3, 0.2), (4, 0.1), (5, 0.3)]),
        ("filling", ["n_pairs", "n"], [(1, n) for n in (1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0)]),
        ("concentration", ["films", "ratings"], [(0.25, 0.4), (0.5, 0.7), (0.75, 0.9), (1, 1)]),
        ("tail", ["n", "share"], [(1, 1), (2, 0.75), (3, 0.5), (4, 0.25)]),
        ("activity", ["n", "share"], [(2, 1), (3, 0.5)]),
        ("genre_shares", ["films", "ratings"], [(0.75, 0.6), (0.5, 0.6)]),  # comedies, dramas
        ("genre_pairs", ["films", "share"], [(1, 0.25), (1, 0.25)]),
        ("decades", ["decade", "films", "ratings"], [(1980, 0.5, 0.4), (1990, 0.5, 0.6)]),
        ("months", ["n", "share"], [(5, 0.5), (5, 0.5)]),
        (
            "weekdays",  # of the 32 days from a Monday to a Thursday
            ["weekday", "share", "even"],
            [(day, 0.5 * (day in (1, 4)), (5 if day <= 4 else 4) / 32) for day in range(1, 8)],
        ),
    ],
)
def test_counts_and_shares_equal_those_computed_by_hand(rows_of, name, columns, expected):
    assert rows_of(name)[columns].to_numpy() == pytest.approx(np.array(expected, float))


def test_means_are_damped_towards_the_overall_mean(rows_of):
    rows = rows_of("loved")
    assert rows["film"].tolist()[:2] == [f"{SCRIPT} (1994)", "Two (1995)"]
    assert "film 4" in set(rows["film"])  # it has no title
    assert rows["damped"].to_numpy()[:2] == pytest.approx([(16 + 25 * 3.2) / 29, (8 + 25 * 3.2) / 27])
    assert rows["stars"][0] == {2: 1, 4: 1, 5: 2}


def test_spreads_are_damped_towards_the_average_spread(rows_of):
    variance = (6 + 2 + 2 / 3 + 0) / 10  # squares around each film's mean
    spreads = rows_of("divisive").set_index("film")
    assert spreads["damped"][f"{SCRIPT} (1994)"] == pytest.approx(np.sqrt((6 + 25 * variance) / 29))
    assert spreads["spread"]["Two (1995)"] == pytest.approx(1)


def test_errors_of_means_are_clustered_by_film_and_user(rows_of):
    genres = rows_of("genre_means").set_index("group")
    assert genres["mean"].to_dict() == pytest.approx({"Drama": 24 / 6, "Comedy": 16 / 6})
    assert genres["error"]["Drama"] == pytest.approx(0)  # both dramas have a mean of 4
    residuals = np.array([8 - 2 * 16 / 6, 5 - 3 * 16 / 6, 3 - 1 * 16 / 6])
    assert genres["error"]["Comedy"] == pytest.approx(np.sqrt(3 / 2 * (residuals**2).sum()) / 6)
    groups = rows_of("groups")
    assert groups["group"].tolist() == ["women", "men", "18-24", "56 and over", "nurse", "cook"]
    assert groups["mean"].tolist() == pytest.approx([3.8, 2.6] * 3)


def test_tastes_compare_a_group_with_all_other_users(rows_of):
    rows = rows_of("tastes_gender").set_index(["group", "genre"])
    women = rows.loc[("women", "Drama")]
    assert (women["share"], women["share_else"]) == pytest.approx((4 / 5, 2 / 5))
    assert women["error"] == pytest.approx(np.hypot(0.16, 0.08))


def test_shares_of_genres_are_by_decade(rows_of):
    rows = rows_of("genre_decades").set_index(["genre", "decade"])["share"]
    assert rows.to_dict() == pytest.approx(
        {("Drama", 1980): 0, ("Drama", 1990): 1, ("Comedy", 1980): 1, ("Comedy", 1990): 2 / 6}
    )


def test_hours_are_utc_and_weeks_begin_on_monday(rows_of):
    rows = rows_of("hours")
    assert len(rows) == 7 * 24
    busy = rows[rows["n"] > 0]
    assert busy[["weekday", "hour", "n"]].to_numpy().tolist() == [[1, 13, 5], [4, 13, 5]]


def test_drift_is_a_linear_trend_with_errors_clustered_by_user(rows_of):
    users, _, stars, times = np.array(RATINGS, float).T
    x = (times - times.mean()) / (times.max() - times.min())
    slope = np.polyfit(x, stars, 1)[0]
    residuals = stars - stars.mean() - slope * x
    scores = [(x * residuals)[users == user].sum() for user in np.unique(users)]
    error = np.sqrt(4 / 3 * np.square(scores).sum()) / (x**2).sum()
    rows = rows_of("drift")
    assert rows["mean"].tolist() == pytest.approx([3.8, 2.6])
    assert (rows["change"][0], rows["change_error"][0]) == pytest.approx((slope, error))


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        (
            "stars",
            "The mean rating is 3.20 stars and the most frequent rating is 2 (30%); 40% of the ratings are above 3",
        ),
        ("filling", "62% of all pairs of a user and a film are rated"),
        ("concentration", "The most rated 10% of films receive 16% of the ratings; half of the ratings go to 50%"),
        ("tail", "Half of the 4 films have at least 3 ratings; 100% have fewer than 20"),
        (
            "activity",
            "Half of the 4 users rated at least 3 films, and every user at least 2; the most active 10% gave 12%",
        ),
        ("loved", f"{SCRIPT} (1994) is rated highest: 4 ratings with a mean of 4.00, or 3.31 when damped."),
        ("divisive", f"{SCRIPT} (1994) divides users most: the standard deviation of its 4 ratings is 1.22 stars"),
        ("genre_shares", "Comedy films receive the most ratings, 60%"),
        ("genre_means", "Above the overall mean (3.20): Drama (4.00 ± 0.00). The other differences may be"),
        ("genre_pairs", "Comedy and Drama overlap most: 25% of the films with either genre have both."),
        (
            "genre_decades",
            "Drama changed most between films of the 1980s and films of the 1990s: from 0% of the ratings to 100%",
        ),
        ("decades", "Films of the 1990s are 50% of the films and receive 60% of the ratings"),
        ("decade_means", "Above the overall mean (3.20): 1990s (4.00 ± 0.00). Below the overall mean"),
        ("groups", "Above the overall mean (3.20): women (3.80 ± 0.42), 18-24 (3.80 ± 0.42), nurse (3.80"),
        ("tastes_gender", "No group gives a genre more or less of its ratings than other users do"),
        ("tastes_age", "No group gives a genre more or less of its ratings than other users do"),
        ("tastes_occupation", "None of the 2 groups prefers a genre by more than chance explains."),
        (
            "months",
            "The ratings are from 6 January 2020 to 6 February 2020. 50% of them are from the busiest month, January "
            "2020; its even share, by days, would be 81%.",
        ),
        ("weekdays", "No day of the week has more or fewer ratings than the others by more than chance explains."),
        ("hours", "No hour of the day has more or fewer ratings than the others by more than chance explains."),
        ("drift", "The mean drifts: the linear trend of all ratings falls by 1.20 ± 0.81 stars from the first rating"),
    ],
)
def test_findings_are_computed(rows_of, name, finding):
    assert BY_NAME[name].summarize(rows_of(name)).startswith(finding)


def test_errors_of_weekdays_and_hours_are_clustered_by_user_around_the_even_share(rows_of):
    users = pd.DataFrame({"n": [3, 2, 3, 2], "monday": [3, 2, 0, 0], "one_o_clock": [3, 2, 3, 2], "sunday": 0})
    weekdays = rows_of("weekdays").set_index("weekday")["error"]
    hours = rows_of("hours").set_index(["weekday", "hour"])["error"]
    for error, name, even in ((weekdays[1], "monday", 5 / 32), (weekdays[7], "sunday", 4 / 32)):
        residuals = users[name] - even * users["n"]
        assert error == pytest.approx(np.sqrt(4 / 3 * (residuals**2).sum()) / 10)
    residuals = users["one_o_clock"] - users["n"] / 24
    assert hours[3, 13] == pytest.approx(np.sqrt(4 / 3 * (residuals**2).sum()) / 10)


def rated_at(folder: Path, seconds: np.ndarray) -> Prepared:
    """Ratings of 10 films by each user, at the given times (users, 10)."""
    users, films = np.indices(seconds.shape)
    table = {"user_id": users.ravel(), "movie_id": films.ravel(), "rating": films.ravel() % 5 + 1}
    pd.DataFrame(table | {"time": seconds.ravel()}).to_csv(folder / "ratings.csv", index=False)
    mapping = {name: name for name in ("user_id", "movie_id", "rating", "time")}
    return prepare(Files(str(folder / "ratings.csv"), mapping, scale=(1, 5)), folder / "cache")


def findings(prepared: Prepared) -> dict[str, str]:
    return {answer.question.name: answer.finding for answer in explore(prepared).answers}


def test_weekdays_and_hours_drawn_by_chance_differ_only_by_chance(tmp_path):
    times = JANUARY + np.random.default_rng(0).integers(0, 364 * DAY, (100, 10))
    found = findings(rated_at(tmp_path, times))
    assert found["weekdays"].startswith("No day of the week has more or fewer ratings")
    assert found["hours"].startswith("No hour of the day has more or fewer ratings")


def test_a_weekday_and_hours_beyond_chance_are_named_with_their_difference(tmp_path):
    rng = np.random.default_rng(0)
    times = JANUARY // DAY * DAY + rng.integers(0, 52, (100, 10)) * 7 * DAY  # Mondays at 0:00
    is_elsewhere = rng.random(times.shape) < 0.5
    times += is_elsewhere * rng.integers(0, 7 * 24, times.shape) * 3600
    found = findings(rated_at(tmp_path, times))
    assert re.match(
        r"More ratings than on the average day: Monday \(\+\d+% ± \d+%\)\. Fewer .* 3 more\.$", found["weekdays"]
    )
    assert re.match(r"More ratings than in the average hour \(UTC\): 0:00 \(\+\d+% ± \d+%\)\. Fewer", found["hours"])


def test_hours_of_times_that_are_dates_are_omitted_but_days_of_the_week_answered(tmp_path):
    dates = JANUARY // DAY * DAY + np.random.default_rng(0).integers(0, 100, (30, 10)) * DAY
    exploration = explore(rated_at(tmp_path, dates))
    names = [answer.question.name for answer in exploration.answers]
    assert "hours" not in names
    assert {"months", "weekdays", "drift"} <= set(names)
    assert "since the times are dates: At which hours do users rate?" in " ".join(exploration.omissions)


def test_omissions_name_all_that_a_question_lacks_and_a_missing_attribute_only_of_users_who_are_described(tmp_path):
    (tmp_path / "users.csv").write_text("user_id,gender\n1,F\n2,M\n")
    described = files(tmp_path, "user_id", "movie_id", "rating", users_path=str(tmp_path / "users.csv"))
    text = " ".join(explore(prepare(described, tmp_path / "cache")).omissions)
    assert "since the films have no genres: Which genres receive the ratings?" in text
    assert "since the films have no genres and the users' age is unknown: Do tastes differ by age?" in text
    text = " ".join(explore(prepare(files(tmp_path, "user_id", "movie_id", "rating"), tmp_path / "cache")).omissions)
    assert "since the films have no genres and the data do not describe the users: Do tastes differ by gender? " in text
    assert "since the ratings have no times: When were the ratings given?" in text
    assert "the times are dates" not in text


@pytest.mark.parametrize(
    ("scale", "classes"),
    [
        (np.arange(0.5, 5.5, 0.5), ["0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5"]),
        (np.arange(1, 10.5, 0.5), ["1 to 1.5", "2 to 3.5", "4 to 5.5", "6 to 7.5", "8 to 10"]),
        (np.arange(101.0), ["0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 100"]),
        (np.arange(1, 12.0), ["1 to 2", "3 to 4", "5 to 7", "8 to 9", "10 to 11"]),
        (np.array([*range(11), 50.0]), ["0 to 9", "10", "50"]),
        (np.arange(12.0), ["0 to 2", "3 to 4", "5 to 7", "8 to 9", "10 to 11"]),
        (np.arange(-10, 11.0), ["-10 to -6", "-5 to -1", "0 to 4", "5 to 10"]),
    ],
)
def test_scales_of_more_than_ten_steps_are_drawn_in_at_most_five_classes(scale, classes):
    assert list(dict.fromkeys(star_classes(scale).values())) == classes


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [np.arange(1, 10.5, 0.5), np.arange(101.0), np.linspace(0.123, 4.567, 500)])
def test_figures_of_scales_with_many_steps_are_as_wide_as_those_with_few_and_no_texts_overlap(scale):
    with figures.style():
        counts = pd.Series([{stars: 1 + i for i, stars in enumerate(scale)}] * 3)
        films = pd.DataFrame({"film": "Title", "damped": 3.0, "stars": counts, "scale": [scale] * 3})
        rows = pd.DataFrame({"rating": scale, "share": 1 / len(scale)})
        for fig in (BY_NAME["loved"].draw(films), BY_NAME["stars"].draw(rows)):
            fig.draw_without_rendering()
            [ax] = fig.axes
            low, high = ax.get_xlim()
            ticks = [label for label in ax.get_xticklabels() if ax.axison and low <= label.get_position()[0] <= high]
            labels = [*ax.texts, *ticks, *(ax.get_legend().get_texts() if ax.get_legend() else ())]
            boxes = [text.get_window_extent() for text in labels]
            assert len(boxes) >= 5
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
            assert max(box.x1 for box in boxes) <= fig.bbox.x1
            assert ax.get_window_extent().width > 0.8 * fig.bbox.width


def test_few_columns_have_labels_and_many_an_axis():
    with figures.style():
        for n in (10, 11):
            rows = pd.DataFrame({"rating": np.arange(n), "share": 1 / n})
            [ax] = BY_NAME["stars"].draw(rows).axes
            assert (len(ax.texts), len(ax.get_yticks()) > 0) == ((n, False) if n == 10 else (0, True))


@pytest.mark.parametrize("largest", [0.004, 0.031, 0.218, 0.26, 0.8])
def test_labels_of_ticks_in_percent_are_exact(largest):
    with figures.style():
        decades = pd.DataFrame({"decade": [1990, 2000], "films": [largest, largest / 2], "ratings": largest / 3})
        fig = BY_NAME["decades"].draw(decades)
        fig.draw_without_rendering()
    [ax] = fig.axes
    labels = [float(label.get_text().removesuffix("%")) for label in ax.get_xticklabels()]
    assert labels == pytest.approx(100 * ax.get_xticks())
    assert largest < 0.1 or all(label % 1 == 0 for label in labels)


@pytest.mark.parametrize(
    ("change", "error", "finding"),
    [
        (-0.5, 0.01, "The mean drifts: the linear trend of all ratings falls by 0.50 ± 0.02 stars"),
        (0.05, 0.01, "The mean drifts, but negligibly: the linear trend of all ratings rises by 0.05 ± 0.02 stars"),
        (0.5, 0.3, "There is no drift beyond chance"),
    ],
)
def test_a_drift_is_reported_only_beyond_chance_and_called_negligible_where_small(change, error, finding):
    assert summarize_drift(pd.DataFrame({"change": [change], "change_error": [error]})).startswith(finding)


def test_a_significant_difference_in_taste_is_reported_with_its_direction():
    rows = pd.DataFrame(
        {
            "group": ["cooks", "cooks"],
            "genre": ["War", "Drama"],
            "share": [0.1, 0.3],
            "share_else": [0.2, 0.29],
            "error": 0.01,
        }
    )
    expected = (
        "The strongest difference is that of 'cooks' for War: 10% of the group's ratings, 50% less than of other "
        "users' ratings (20%)."
    )
    assert summarize_tastes(rows).startswith(expected)


@pytest.fixture(scope="module")
def report(prepared, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "report"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PARAMETERS, "min_size", 2)
        exploration = write_report(folder, prepared)
    assert [answer.question for answer in exploration.answers] == list(QUESTIONS)
    assert exploration.omissions == []
    return folder


def test_a_report_is_self_contained_escapes_titles_and_has_all_figures(report):
    page = (report / PAGE).read_text()
    assert page.startswith("<!doctype html>")
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert loaded
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address in loaded)
    assert "url(" not in page
    assert "@import" not in page
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page
    for question in QUESTIONS:
        assert (report / f"{question.name}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (report / f"{question.name}.svg").read_text()
        assert f'alt="{escape(question.alt_text)}"' in page
    events = EventAccumulator(str(report / EVENTS)).Reload()
    assert events.Tags()["images"] == list(BY_NAME)


def test_questions_that_the_data_cannot_answer_are_omitted_with_a_reason(report, tmp_path):
    only_pairs = prepare(files(tmp_path, "user_id", "movie_id"), tmp_path / "cache")
    shutil.copytree(report, tmp_path / "report")  # which the second report replaces
    exploration = write_report(tmp_path / "report", only_pairs)
    assert [answer.question.name for answer in exploration.answers] == ["filling", "concentration", "tail", "activity"]
    text = " ".join(exploration.omissions)
    assert all(REQUIREMENTS[name] in text for name in ("ratings", "times", "genres", "years"))
    assert {path.name for path in (tmp_path / "report").glob("*events*")} == {EVENTS}
    assert not list((tmp_path / "report").glob("*.partial"))


def test_questions_about_too_small_groups_are_omitted(prepared):
    [sentence] = explore(prepared).omissions
    assert "since the groups are too small: Which genres are rated highest?" in sentence


def test_a_path_that_is_not_a_directory_is_refused(prepared, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another directory with --out"):
        write_report(tmp_path / "file", prepared)


def test_cleaning_is_summarized_in_a_sentence(prepared):
    assert cleaning_finding(prepared.report) == "Cleaning removed none of the 10 ratings."
