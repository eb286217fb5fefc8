import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recsys.analysis.explore import EVENTS, PAGE, SQL, ask, cleaning_finding, explore
from recsys.analysis.questions import LACKING, PARAMETERS, QUESTIONS, find_drift, find_tastes
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.sources import Files
from recsys.errors import UserError

JANUARY, FEBRUARY = 1_578_315_600, 1_580_994_000  # 2020-01-06 13:00, a Monday, and 2020-02-06 13:00, a Thursday, UTC
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
    """The ratings as a source, with only some columns."""
    rows = pd.DataFrame(RATINGS, columns=["user_id", "movie_id", "rating", "time"])
    rows[list(columns)].to_csv(folder / "ratings.csv", index=False)
    kept = dict.fromkeys(("user_id", "movie_id", "rating", "time")) | {column: column for column in columns}
    return Files(str(folder / "ratings.csv"), kept, scale=(1, 5), **others)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Prepared:
    folder = tmp_path_factory.mktemp("source")
    (folder / "films.csv").write_text(FILMS)
    (folder / "users.csv").write_text(USERS)
    told = {"films_path": str(folder / "films.csv"), "users_path": str(folder / "users.csv")}
    return prepare(files(folder, "user_id", "movie_id", "rating", "time", **told), folder / "cache")


@pytest.fixture
def answered(prepared, monkeypatch):
    """The rows of an answer, groups of two being enough."""
    monkeypatch.setitem(PARAMETERS, "smallest", 2)

    def answered(name: str) -> pd.DataFrame:
        [(_, rows)] = ask(prepared, [BY_NAME[name]])
        return rows

    return answered


def test_every_question_has_a_query_and_needs_what_can_be_lacking():
    for question in QUESTIONS:
        assert (SQL / f"{question.query or question.name}.sql").is_file()
        assert set(question.needs) <= LACKING.keys()
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
    ],
)
def test_counts_and_shares_are_those_worked_by_hand(answered, name, columns, expected):
    assert answered(name)[columns].to_numpy() == pytest.approx(np.array(expected, float))


def test_means_are_damped_towards_that_of_all_ratings(answered):
    rows = answered("loved")
    assert rows["film"].tolist()[:2] == [f"{SCRIPT} (1994)", "Two (1995)"]
    assert "film 4" in set(rows["film"])  # it has no title
    assert rows["damped"].to_numpy()[:2] == pytest.approx([(16 + 25 * 3.2) / 29, (8 + 25 * 3.2) / 27])
    assert rows["stars"][0] == {2: 1, 4: 1, 5: 2}


def test_spreads_are_damped_towards_that_around_the_average_film(answered):
    variance = (6 + 2 + 2 / 3 + 0) / 10  # squares around each film's mean
    spreads = answered("divisive").set_index("film")
    assert spreads["damped"][f"{SCRIPT} (1994)"] == pytest.approx(np.sqrt((6 + 25 * variance) / 29))
    assert spreads["spread"]["Two (1995)"] == pytest.approx(1)


def test_errors_of_means_are_over_films_and_people(answered):
    genres = answered("genre_means").set_index("group")
    assert genres["mean"].to_dict() == pytest.approx({"Drama": 24 / 6, "Comedy": 16 / 6})
    assert genres["error"]["Drama"] == pytest.approx(0)  # both dramas have a mean of 4
    residuals = np.array([8 - 2 * 16 / 6, 5 - 3 * 16 / 6, 3 - 1 * 16 / 6])
    assert genres["error"]["Comedy"] == pytest.approx(np.sqrt(3 / 2 * (residuals**2).sum()) / 6)
    people = answered("groups")
    assert people["group"].tolist() == ["women", "men", "18-24", "56 and over", "nurse", "cook"]
    assert people["mean"].tolist() == pytest.approx([3.8, 2.6] * 3)


def test_tastes_compare_a_group_with_all_others(answered):
    rows = answered("tastes_gender").set_index(["group", "genre"])
    women = rows.loc[("women", "Drama")]
    assert (women["share"], women["share_else"]) == pytest.approx((4 / 5, 2 / 5))
    assert women["error"] == pytest.approx(np.hypot(0.16, 0.08))


def test_genres_are_followed_over_decades(answered):
    rows = answered("genre_decades").set_index(["genre", "decade"])["share"]
    assert rows.to_dict() == pytest.approx(
        {("Drama", 1980): 0, ("Drama", 1990): 1, ("Comedy", 1980): 1, ("Comedy", 1990): 2 / 6}
    )


def test_hours_are_utc_and_weeks_begin_on_monday(answered):
    rows = answered("hours")
    assert len(rows) == 7 * 24
    busy = rows[rows["n"] > 0]
    assert busy[["weekday", "hour", "n"]].to_numpy().tolist() == [[1, 13, 5], [4, 13, 5]]


def test_drift_is_a_line_by_least_squares_with_errors_over_people(answered):
    users, _, stars, times = np.array(RATINGS, float).T
    x = (times - times.mean()) / (times.max() - times.min())
    slope = np.polyfit(x, stars, 1)[0]
    residuals = stars - stars.mean() - slope * x
    scores = [(x * residuals)[users == user].sum() for user in np.unique(users)]
    error = np.sqrt(4 / 3 * np.square(scores).sum()) / (x**2).sum()
    rows = answered("drift")
    assert rows["mean"].tolist() == pytest.approx([3.8, 2.6])
    assert (rows["change"][0], rows["change_error"][0]) == pytest.approx((slope, error))


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("stars", "The mean rating is 3.20 stars and the most frequent one 2 (30%); 40% of the ratings are above 3"),
        ("filling", "62% of all pairs of a user and a film are rated"),
        ("concentration", "The most rated 10% of films have 16% of the ratings; half of the ratings go to 50%"),
        ("tail", "Half of the 4 films have 3 ratings or more; 100% have fewer than 20"),
        ("activity", "Half of the 4 users rated 3 films or more, all at least 2; the most active 10% gave 12%"),
        ("loved", f"{SCRIPT} (1994) is loved most: 4 ratings with a mean of 4.00, 3.31 when damped."),
        ("divisive", f"{SCRIPT} (1994) divides people most: the standard deviation of its 4 ratings is 1.22 stars"),
        ("genre_shares", "Films of the genre Comedy get most of the ratings, 60%"),
        ("genre_means", "Above the mean of all ratings (3.20): Drama (4.00 ± 0.00). Chance may explain where"),
        ("genre_pairs", "Comedy and Drama go together most: of the films of either, 25% are both."),
        (
            "genre_decades",
            "Drama changed most between films of the 1980s and of the 1990s: from 0% of the ratings to 100%",
        ),
        ("decades", "Films of the 1990s are 50% of the films and get 60% of the ratings"),
        ("decade_means", "Above the mean of all ratings (3.20): 1990s (4.00 ± 0.00). Below the mean of all ratings"),
        ("groups", "Above the mean of all ratings (3.20): women (3.80 ± 0.42), 18-24 (3.80 ± 0.42), nurse (3.80"),
        ("tastes_gender", "No group's ratings go to a genre more or less than the others' do"),
        ("tastes_age", "No group's ratings go to a genre more or less than the others' do"),
        ("tastes_occupation", "None of the 2 groups prefers a genre by more than chance allows."),
        ("months", "Of the ratings of 2 months, 50% came in the busiest, January 2020"),
        ("hours", "Monday is the busiest day, with 50% of the ratings, and Tuesday the quietest (0%"),
        ("drift", "The mean drifts: a line through all ratings goes down by 1.20 ± 0.81 stars from the first rating"),
    ],
)
def test_findings_are_computed(answered, name, finding):
    assert BY_NAME[name].find(answered(name)).startswith(finding)


@pytest.mark.parametrize(
    ("change", "error", "finding"),
    [
        (-0.5, 0.01, "The mean drifts: a line through all ratings goes down by 0.50 ± 0.02 stars"),
        (0.05, 0.01, "The mean drifts, but negligibly: a line through all ratings goes up by 0.05 ± 0.02 stars"),
        (0.5, 0.3, "No drift that could not be chance"),
    ],
)
def test_drift_is_called_one_only_beyond_chance_and_noticed_only_where_it_matters(change, error, finding):
    assert find_drift(pd.DataFrame({"change": [change], "change_error": [error]})).startswith(finding)


def test_a_taste_beyond_chance_is_named_with_its_direction():
    rows = pd.DataFrame(
        {
            "group": ["cooks", "cooks"],
            "genre": ["War", "Drama"],
            "share": [0.1, 0.3],
            "share_else": [0.2, 0.29],
            "error": 0.01,
        }
    )
    expected = "The strongest difference: cooks give War 10% of their ratings, 50% less than all others (20%)."
    assert find_tastes(rows).startswith(expected)


@pytest.fixture
def report(prepared, monkeypatch, tmp_path) -> Path:
    monkeypatch.setitem(PARAMETERS, "smallest", 2)
    exploration = explore(prepared, tmp_path / "report")
    assert [answer.question for answer in exploration.answers] == list(QUESTIONS)
    assert exploration.left_out == []
    return tmp_path / "report"


def test_report_loads_nothing_escapes_titles_and_every_figure_is_there(report):
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
        assert f'alt="{escape(question.shown)}"' in page
    events = EventAccumulator(str(report / EVENTS)).Reload()
    assert events.Tags()["images"] == list(BY_NAME)


def test_what_data_lack_is_left_out_with_a_reason(tmp_path):
    only_pairs = prepare(files(tmp_path, "user_id", "movie_id"), tmp_path / "cache")
    for _ in range(2):  # a second report takes the place of the first
        exploration = explore(only_pairs, tmp_path / "report")
    assert [answer.question.name for answer in exploration.answers] == ["filling", "concentration", "tail", "activity"]
    told = " ".join(exploration.left_out)
    assert all(LACKING[reason] in told for reason in ("ratings", "times", "genres", "years"))
    assert {path.name for path in (tmp_path / "report").glob("*events*")} == {EVENTS}
    assert not list((tmp_path / "report").glob("*.partial"))


def test_groups_that_are_too_small_leave_their_question_out(prepared, tmp_path):
    exploration = explore(prepared, tmp_path)
    [sentence] = exploration.left_out
    assert "since its groups are too small: Which genres are rated highest?" in sentence


def test_a_place_that_is_no_directory_is_one_sentence(prepared, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another place by --out"):
        explore(prepared, tmp_path / "file")


def test_cleaning_is_told_in_a_sentence(prepared):
    assert cleaning_finding(prepared.report) == "Cleaning kept all 10 ratings."
