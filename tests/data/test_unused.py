"""Rows of users, items and other side tables are used, or counted by the rule that leaves them out."""

import io

import pandas as pd
import pytest
from rich.console import Console

import recsys
from recsys.data import metadata
from recsys.data.catalogues import IMDb, KaggleMovies, TagGenome
from recsys.data.gather import Gathered
from recsys.data.report import print_report
from recsys.data.sources import Files, MovieLens
from recsys.data.unused import INCOMPLETE, NO_RATINGS, REPEATED

RATINGS = "user_id,movie_id,rating,time\n1,1,5,1000000000\n2,1,4,1000000000\n2,2,3,1000000001\n"
FILMS = "movie_id,title,is_rated,id\n1,Old,,\n1,Heat,,\n2,Ran,,\n,Nothing,,\n9,Seen,,\n9,Seen,,\n"
EVERY_RULE = {INCOMPLETE: 1, NO_RATINGS: 2, REPEATED: 1}


@pytest.fixture
def files(write):
    """A source of ratings, with files of users and of items."""

    def files(**tables: str) -> Files:
        folder = write({"ratings.csv": RATINGS} | {f"{name}.csv": text for name, text in tables.items()})
        paths = {f"{name}_path": str(folder / f"{name}.csv") for name in tables}
        columns = {name: name for name in ("user_id", "movie_id", "rating", "time")}
        return Files(str(folder / "ratings.csv"), columns, **paths)

    return files


def printed(prepared_) -> dict[str, str]:
    """The rows of the printed report."""
    console = Console(file=io.StringIO(), width=120)
    print_report(prepared_, console)
    lines = (line.strip("│ \n").partition("│") for line in console.file.getvalue().splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def test_rows_of_items_are_counted_by_rule(files, prepared, capsys):
    found = prepared(files(films=FILMS))
    assert found.dataset.item_frame["title"].tolist() == ["Heat", "Ran"]
    assert found.report.unused == {"items": EVERY_RULE}
    sentence = ", ".join(f"{n} of items by '{rule}'" for rule, n in EVERY_RULE.items())
    assert f"files: rows that are not used: {sentence}\n" in capsys.readouterr().out
    assert {rule: int(printed(found)[f"unused rows of items: {rule}"]) for rule in EVERY_RULE} == EVERY_RULE


def test_rows_of_users_are_counted_by_rule(files, prepared):
    found = prepared(files(users="user_id,age\n1,20\n1,21\n2,30\n,40\n3,50\n4,50\n"))
    assert found.report.unused == {"users": EVERY_RULE}


def test_nothing_is_reported_if_every_row_is_used(files, prepared, capsys):
    found = prepared(files(users="user_id,age\n1,20\n2,30\n", films="movie_id,title\n2,Ran\n1,Heat\n"))
    assert found.report.unused == {}
    assert "not used" not in capsys.readouterr().out


def test_ids_of_catalogues_in_the_table_of_titles_are_not_rows_of_links(files, prepared):
    found = prepared(files(films="movie_id,title,tmdb_id\n1,Heat,9\n1,Heat,9\n2,Ran,8\n3,Seven,7\n"))
    assert found.report.unused == {"items": {NO_RATINGS: 1, REPEATED: 1}}


def test_links_and_tags_of_a_release_are_counted(releases, write, prepared):
    links = "movieId,imdbId,tmdbId\n9,0133093,602\n9,0133093,603\n10,0000010,\n11,0000011,4\n"
    tags = "userId,movieId,tag,timestamp\n1,9,slow,1\n1,9,Slow,2\n2,9,slow,3\n2,9,,4\n2,99,x,6\n"
    found = prepared(MovieLens("ml-32m", str(write(releases["ml-32m"] | {"links.csv": links, "tags.csv": tags}))))
    assert found.report.unused == {
        "links": {NO_RATINGS: 1, REPEATED: 1},
        "tags": {INCOMPLETE: 1, NO_RATINGS: 1, REPEATED: 1},
    }
    assert found.dataset.item_frame["tmdb_id"].tolist()[0] == 603


def test_negatives_without_ratings_are_counted(write, load):
    folder = write(
        {
            "ml-1m.train.rating": "0\t1\t5\t978300760\n0\t2\t5\t978300761\n",
            "ml-1m.test.rating": "0\t3\t4\t978300762\n",
            "ml-1m.test.negative": "(0,3)\t1\t2\t7\n(4,3)\t1\n",
        }
    )
    assert load("data=ncf", f"data.path={folder}").report.unused == {"negatives": {NO_RATINGS: 2}}


def test_rows_that_gathered_sources_repeat_are_counted(files, prepared):
    source = files(films="movie_id,title\n1,Heat\n")
    assert prepared(Gathered({"one": source, "other": source})).report.unused == {"items": {REPEATED: 1}}


def test_repeated_rows_of_a_data_frame_are_a_warning():
    frame = pd.DataFrame({"user": ["a", "b"], "item": ["x", "x"]})
    items = pd.DataFrame({"item": ["x", "z"], "title": ["Heat", "Ran"]})
    recsys.Dataset.from_frame(frame, "user", "item", items=items)  # items without interactions are usual
    with pytest.warns(UserWarning, match=f"1 of items by '{REPEATED}'"):
        recsys.Dataset.from_frame(frame, "user", "item", items=pd.concat([items, items.head(1)]))


def test_descriptions_of_no_item_are_counted(files, write, prepared, capsys):
    rows = "movie_id;title;plot\n1;Heat;older\n1;Heat;newer\n;Ran;by title\n;Ran;by title, later\n;;p\n7;Six;\n7;Six;\n"
    path = write({"catalogue.csv": rows}) / "catalogue.csv"
    found = prepared(files(films="movie_id,title\n1,Heat\n2,Ran\n"), metadata.Files(str(path)))
    assert found.dataset.item_frame["plot"].tolist() == ["newer", "by title, later"]
    unused = {"no id and no title": 1, "no such item": 1, REPEATED: 3}
    assert found.match.unused == unused
    assert found.match.read_as == ("catalogue.csv: delimiter ';'",)
    lines = capsys.readouterr().out.splitlines()
    assert "files: catalogue.csv: delimiter ';'" in lines
    counted = ", ".join(f"{n} by '{rule}'" for rule, n in unused.items())
    assert f"files: rows that are not used: {counted}" in lines
    assert {rule: int(printed(found)[f"unused rows of files: {rule}"]) for rule in unused} == unused


def test_a_row_that_describes_two_items_is_not_a_repeated_row(files, write, prepared):
    path = write({"catalogue.csv": "title,plot\nHeat,p\n"}) / "catalogue.csv"
    found = prepared(files(films="movie_id,title\n1,Heat\n2,Heat\n"), metadata.Files(str(path)))
    assert (found.match.films, found.match.unused) == (2, {})


@pytest.fixture
def titled(files, prepared):
    """Describe the items Heat and Ran, which have TMDB and IMDb ids, by a catalogue."""
    source = files(films="movie_id,title,tmdb_id,imdb_id\n1,Heat,949,0113277\n2,Ran,11645,0089881\n")
    return lambda catalogue: prepared(source, catalogue)


def test_rows_of_credits_and_keywords_are_counted(titled, write):
    movies = "".join(f"{','.join('x' * 5)},{tmdb_id},{','.join('x' * 18)}\n" for tmdb_id in (949, 949, 3))
    credits = "".join(
        f"[],\"[{{'job': 'Director', 'name': '{name}'}}]\",{tmdb_id}\n"
        for tmdb_id, name in [(949, "Old"), (949, "Michael Mann"), (4, "Nobody"), (4, "Nobody")]
    )
    files = {
        "movies_metadata.csv": f"{','.join(map(str, range(24)))}\n{movies}",
        "credits.csv": f"cast,crew,id\n{credits}",
        "keywords.csv": "id,keywords\n949,['robbery']\n5,['x']\n",
    }
    found = titled(KaggleMovies(str(write(files))))
    assert found.dataset.item_frame["directors"].tolist() == [["Michael Mann"], []]
    assert found.match.unused == {"no such item": 1, REPEATED: 1}
    assert found.match.read_as == (
        "movies_metadata.csv: rows of credits that are repeated (the last row counts): 1",
        "movies_metadata.csv: rows of keywords of no film: 1",
        "movies_metadata.csv: rows of credits of no film: 2",
    )


def test_episodes_and_games_of_imdb_are_counted(titled, write):
    kinds = {"tt0113277": "movie", "tt1": "tvEpisode", "tt2": "videoGame", "tt3": ""}
    rows = "".join(f"{tconst}\t{kind}\tHeat\tHeat\t0\t1995\t\\N\t170\tCrime\n" for tconst, kind in kinds.items())
    found = titled(IMDb(str(write({"title.basics.tsv": "\t".join(map(str, range(9))) + "\n" + rows}))))
    assert found.match.films == 1
    assert found.match.read_as == ("title.basics.tsv: rows of episodes, of games or of no kind: 3",)


def test_tags_of_the_genome_that_are_not_keywords_are_counted(titled, write):
    scores = "movieId,tagId,relevance\n1,1,0.7\n1,2,0.1\n1,3,0.9\n2,2,high\n2,1,nan\n2,1,\n2,1,inf\n"
    files = {"genome-scores.csv": scores, "genome-tags.csv": "tagId,tag\n1,crime\n2,slow\n"}
    found = titled(TagGenome(str(write(files))))
    assert found.dataset.item_frame["keywords"].tolist() == [["crime"], []]
    assert found.match.read_as == (
        "genome-scores.csv: rows below the relevance of metadata.min_relevance: 1",
        "genome-scores.csv: rows without a known tag: 1",
        "genome-scores.csv: rows without a number as relevance: 4",
    )
