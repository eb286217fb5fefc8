"""Own columns of a user's files of users and items, with any name."""

import pandas as pd

from recsys.analysis.exploration.explore import query
from recsys.analysis.exploration.questions import QUESTIONS
from recsys.data.columns import named
from recsys.data.metadata import Files as Catalogue
from recsys.data.sources import Files

RATINGS = {"user_id": "user_id", "movie_id": "movie_id", "rating": "rating", "time": "time"}
# Names that tables, expressions and keywords of SQL have, or that only look like ours.
NAMES = [
    *(
        "rowid",
        "rating",
        "time",
        "item",
        "user",
        "article_words",
        "keys",
        "key",
        "source_row",
        "rule",
        "part",
        "source",
    ),
    *("select", "order", "n", "stars", "film", "own.x", 'a "quoted" name', "ünïcode", "count", "described"),
]


def file_of(path, own_id, ids, names):
    """A file with own columns, whose values are their names."""
    pd.DataFrame([{own_id: i, **{name: name for name in names}} for i in ids]).to_csv(path, index=False)
    return str(path)


def test_further_columns_of_users_and_items_may_have_any_name(tmp_path, prepared):
    ratings = tmp_path / "ratings.csv"
    ratings.write_text(
        "user_id,movie_id,rating,time\n" + "".join(f"{i % 3},{i % 4},4,{10**9 + i}\n" for i in range(12))
    )
    source = Files(
        str(ratings),
        RATINGS,
        users_path=file_of(tmp_path / "users.csv", "user_id", range(3), NAMES),
        films_path=file_of(tmp_path / "films.csv", "movie_id", range(4), NAMES),
    )
    described = ["Rating" if name == "rating" else name for name in NAMES]
    catalogue = Catalogue(file_of(tmp_path / "catalogue.csv", "movie_id", range(4), [*described, "plot"]))
    found = prepared(source, catalogue)
    assert (found.report.rows_kept, found.report.users, found.report.films) == (12, 3, 4)
    for frame in (found.dataset.item_frame, found.dataset.user_frame):
        for name in NAMES:
            assert set(frame[name]) == {name}
    assert set(found.dataset.item_frame["plot"]) == {"plot"}
    questions = [question for question in QUESTIONS if question.name in ("divisive", "loved", "genre_means")]
    assert len(list(query(found, questions))) == len(questions) > 1


def test_a_further_column_does_not_replace_a_known_one_of_the_same_name(tmp_path, prepared):
    (tmp_path / "ratings.csv").write_text("user_id,movie_id\n1,7\n")
    (tmp_path / "users.csv").write_text("user_id,age,age_group\n1,31,young\n")
    columns = {"user_id": "user_id", "movie_id": "movie_id"}
    frame = prepared(Files(str(tmp_path / "ratings.csv"), columns, str(tmp_path / "users.csv"))).dataset.user_frame
    assert frame.loc[0, ["age_group", "own.age_group"]].tolist() == ["25-34", "young"]


def test_columns_are_recognised_in_another_case_and_without_a_mapping(tmp_path, prepared):
    (tmp_path / "ratings.csv").write_text("user_id,movie_id\n1,7\n")
    (tmp_path / "films.csv").write_text("id,Title,YEAR,genres\n7,Heat,1995,Crime\n")
    columns = {"user_id": "user_id", "movie_id": "movie_id"}
    films = {"films_path": str(tmp_path / "films.csv"), "films_columns": {"movie_id": "id"}}
    film = prepared(Files(str(tmp_path / "ratings.csv"), columns, **films)).dataset.item_frame.iloc[0]
    assert (film.title, film.year, film.genres) == ("Heat", 1995, ["Crime"])


def test_known_columns_are_recognised_in_another_case_and_in_the_singular():
    types = dict.fromkeys(["Title", "genre", "Director", "mood"], "VARCHAR")
    assert named("films", None, types) == {"title": "Title", "genres": "genre", "directors": "Director", "mood": "mood"}


def test_columns_of_which_several_may_be_a_known_one_stay_the_source_s_own():
    several = ["genre", "Genres", "TITLE", "title"]
    assert named("films", None, dict.fromkeys(several, "VARCHAR")) == {name: name for name in several}
    chosen = named("films", {"genres": "Genres"}, dict.fromkeys(several, "VARCHAR"))
    assert chosen == {"genre": "genre", "TITLE": "TITLE", "title": "title", "genres": "Genres"}
