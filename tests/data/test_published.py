"""Synthetic files in the documented layouts of publishers, each read by its one-line command.

The configs in `configs/data` and `configs/metadata` cite the documentation.
"""

import gzip
import json

import pytest

from recsys.data.splitters import Given
from recsys.errors import UserError

YAHOO_FILM = ["7", "Heat (1995)", "A plot.", "2 hrs. 50 min.", "R", r"\N", "15-Dec-1995", r"\N", r"\N", "x.jpg"]
YAHOO_FILM += ["Crime|Drama", "Michael Mann", "1", r"\N", r"\N", r"\N", "Al Pacino|Val Kilmer", "1|2", "9.5"]
TMDB = (
    "adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,original_language,original_title,overview,popularity,"
    "poster_path,production_companies,production_countries,release_date,revenue,runtime,spoken_languages,status,tagline,"
    "title,video,vote_average,vote_count\n"
    "False,,1,\"[{'id': 80, 'name': 'Crime'}, {'id': 18, 'name': 'Drama'}]\",,949,tt0113277,en,Heat,"
    '"Cops, ""robbers"".\nAnd more.",1.0,/p.jpg,[],[],1995-12-15,187436818.0,170.0,[],Released,,Heat,False,7.7,1886.0\n'
    " - Written by X,0.065736,/x.jpg,[],[],1995-01-01,0,68,[],Released\n"
)
CAST = """[{'cast_id': 25, 'name': 'Al Pacino'}, {'cast_id': 26, 'name': ""Robert O'Niro""}]"""
CREW = (
    "[{'department': 'Directing', 'job': 'Director', 'name': 'Michael Mann'}, "
    "{'department': 'Camera', 'job': 'Director of Photography', 'name': 'D. S.'}, "
    "{'department': 'Writing', 'job': 'Writer', 'name': 'M. M.'}]"
)
KAGGLE = {
    "movies_metadata.csv": TMDB,
    "credits.csv": f'cast,crew,id\n"{CAST}","{CREW}",949\n',
    "keywords.csv": "id,keywords\n949,\"[{'id': 642, 'name': 'robbery'}, {'id': 703, 'name': 'detective'}]\"\n",
}
AMAZON_2018 = {"reviewerID": "A1", "asin": "0005019281", "overall": 4.0, "unixReviewTime": 1203984000}
AMAZON_2023 = {"rating": 4.0, "asin": "B01", "parent_asin": "0005019281", "user_id": "AE1", "timestamp": 1203984000123}
STEAM_REVIEW = "{u'username': u\"O'Neil, 'x'\", u'product_id': u'35140', u'text': u\"it's\", u'date': u'2017-12-17'}\n"
STEAM_ITEMS = (
    "{'user_id': '765', 'items_count': 2, 'items': [{'item_id': '10', 'item_name': \"It's\", 'playtime_forever': 6}, "
    "{'item_id': '20', 'item_name': 'B', 'playtime_forever': 0}]}\n"
)
MUSIC_1K = (
    'user_1\t2009-05-04T23:08:57Z\tf1b1\tDeep Dish\t\tDub\nuser_1\t2009-05-04T13:54:10Z\t\tThe "Dogs"\tt2\tFall\n'
    "user_1\t2009-05-03T13:54:10Z\tf1b1\tDeep Dish\tt3\tFlashdance\n"
)
# Layout: files, then the ratings as (user, item, rating, time) in the order of the data set, and some item metadata.
LAYOUTS = {
    "netflix": (
        {
            "combined_data_1.txt": "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n822109,4,2005-01-01\n",
            "combined_data_2.txt": "3:\n1488844,1,2005-10-01\n",
            "movie_titles.csv": "1,2003,Dinosaur Planet\n2,NULL,Isle of Man, Café\n3,1997,Character\n".encode(
                "latin-1"
            ),
        },
        [
            (822109, 2, 4, 1104537600),
            (822109, 1, 5, 1115942400),
            (1488844, 1, 3, 1125964800),
            (1488844, 3, 1, 1128124800),
        ],
        {"title": ["Dinosaur Planet", "Isle of Man, Café", "Character"], "year": [2003, None, 1997]},
    ),
    "movietweetings": (
        {
            "ratings.dat": "1::0114508::8::1381006850\n2::0499549::0::1376753198\n",
            "movies.dat": "0114508::Species é (1995)::Action|Horror\n0499549::Avatar (2009)::\n",
            "users.dat": "1::139564917\n2::522540374\n",
        },
        [(1, "0114508", 8, 1381006850), (2, "0499549", 0, 1376753198)],
        {"title": ["Species é", "Avatar"], "genres": [["Action", "Horror"], []], "imdb_id": ["0114508", "0499549"]},
    ),
    "yahoo-movies": (
        {
            "ydata-ymovies-user-movie-ratings-train-v1_0.txt": "1\t7\t13\t5\n1\t8\t1\t1\n",
            "ydata-ymovies-user-movie-ratings-test-v1_0.txt": "2\t7\t9\t4\n",
            "ydata-ymovies-movie-content-descr-v1_0.txt": "\t".join(YAHOO_FILM) + "\n",
        },
        [(1, 7, 5, None), (1, 8, 1, None), (2, 7, 4, None)],
        {"title": ["Heat", None], "runtime": [170, None], "actors": [["Al Pacino", "Val Kilmer"], []]},
    ),
    "yahoo-music": (
        {
            "ydata-ymusic-rating-study-v1_0-train.txt": "1\t14\t5\n1\t35\t1\n",
            "ydata-ymusic-rating-study-v1_0-test.txt": "2\t14\t2\n",
        },
        [(1, 14, 5, None), (1, 35, 1, None), (2, 14, 2, None)],
        {},
    ),
    "lastfm-hetrec": (
        {
            "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n",
            "artists.dat": 'id\tname\turl\tpictureURL\n51\tDuran "D" Duran\thttp://x\thttp://y\n52\tMorcheeba\thttp://z\t\n',
        },
        [(2, 51, 1, None), (2, 52, 1, None)],
        {"title": ['Duran "D" Duran', "Morcheeba"], "url": ["http://x", "http://z"]},
    ),
    "lastfm-1k": (
        {
            "userid-timestamp-artid-artname-traid-traname.tsv": MUSIC_1K,
            "userid-profile.tsv": "#id\tgender\tage\tcountry\tregistered\nuser_1\tm\t27\tJapan\tAug 13, 2006\n",
        },
        [("user_1", 'The "Dogs"', 1, 1241445250), ("user_1", "f1b1", 1, 1241478537)],
        {"title": ['The "Dogs"', "Deep Dish"]},
    ),
    "lastfm-360k": (
        {
            "usersha1-artmbid-artname-plays.tsv": "00e\t3bd\tbetty blowtorch\t2137\n00e\t\tdie Ärzte\t1099\n",
            "usersha1-profile.tsv": "00e\tf\t22\tGermany\tFeb 1, 2007\n",
        },
        [("00e", "3bd", 1, None), ("00e", "die Ärzte", 1, None)],
        {"title": ["betty blowtorch", "die Ärzte"]},
    ),
    "steam-reviews": (
        {"steam_reviews.json.gz": gzip.compress(STEAM_REVIEW.encode())},
        [("O'Neil, 'x'", 35140, 1, 1513468800)],
        {},
    ),
    "steam-items": ({"australian_users_items.json": STEAM_ITEMS}, [(765, 10, 1, None), (765, 20, 1, None)], {}),
    "steam-200k": (
        {"steam-200k.csv": '151603712,"Sid Meier, V",purchase,1.0,0\n151603712,"Sid Meier, V",play,273.0,0\n'},
        [(151603712, "Sid Meier, V", 1, None)],
        {"title": ["Sid Meier, V"]},
    ),
    "amazon-2018": (
        {
            "Movies_and_TV_5.json.gz": gzip.compress(f"{json.dumps(AMAZON_2018)}\n".encode()),
            "meta_Movies_and_TV.json.gz": gzip.compress(
                b'{"category": ["Movies & TV", "Drama"], "description": ["One.", "Two."], "title": "Heat", "asin": '
                b'"0005019281"}\n'
            ),
        },
        [("A1", "0005019281", 4, 1203984000)],
        {"title": ["Heat"], "genres": [["Movies & TV", "Drama"]]},
    ),
    "amazon-2023": (
        {
            "Movies_and_TV.jsonl.gz": gzip.compress(f"{json.dumps(AMAZON_2023)}\n".encode()),
            "meta_Movies_and_TV.jsonl.gz": gzip.compress(
                b'{"title": "Heat", "description": [], "categories": ["Drama"], "parent_asin": "0005019281"}\n'
            ),
        },
        [("AE1", "0005019281", 4, 1203984000)],
        {"title": ["Heat"], "genres": [["Drama"]]},
    ),
    "jester": (
        {"jester-data-1.csv": "2,-7.82,99,8.79\n1,99,99,0.10\n", "jester-data-2.csv": "1,10,99,99\n"},
        [(1, 1, -7.82, None), (1, 3, 8.79, None), (2, 3, 0.1, None), (3, 1, 10, None)],
        {},
    ),
    "yahoo-artists": (
        {
            "ydata-ymusic-user-artist-ratings-v1_0.txt": "1\t1000125\t90\n1\t1006373\t255\n2\t-100\t0\n",
            "ydata-ymusic-artist-names-v1_0.txt": '-100\tNot Applicable\n1000125\tBobby "O"\n1006373\t\'68 Comeback\n',
        },
        [(1, 1000125, 90, None), (1, 1006373, 0, None), (2, -100, 0, None)],
        {"title": ["Not Applicable", 'Bobby "O"', "'68 Comeback"]},
    ),
    "kddcup-2011-track1": (
        {
            "trainIdx1.txt": "0|2\n507696\t90\t1981\t10:15:00\n137915\t0\t1990\t00:00:01\n"
            "3|1\n137915\t100\t2\t23:59:59\n",
            "validationIdx1.txt": "0|1\n20\t70\t2000\t12:00:00\n",
            "testIdx1.txt": "0|1\n21\t2001\t12:00:00\n",
            "trackData1.txt": "507696|137915|None|7|20\n",
            "albumData1.txt": "137915|None|7\n",
            "artistData1.txt": "9\n",
        },
        [(0, 507696, 90, 171195300), (0, 137915, 0, 171936001), (0, 20, 70, 172843200), (3, 137915, 100, 259199)],
        {"genres": [[], ["7"], ["7", "20"]]},
    ),
    "kddcup-2011-track2": (
        {"trainIdx2.txt": "0|2\n507696\t90\n137915\t0\n3|1\n137915\t100\n", "testIdx2.txt": "0|2\n507696\n137915\n"},
        [(0, 507696, 90, None), (0, 137915, 0, None), (3, 137915, 100, None)],
        {},
    ),
    "douban": (
        {
            "DMSC.csv": "ID,Movie_Name_EN,Movie_Name_CN,Crawl_Date,Number,Username,Date,Star,Comment,Like\n"
            '0,Avengers Age of Ultron,复仇者联盟2,2017-01-22,1,然潘,2015-05-13,3,"一, ""二""\n三",2404\n'
        },
        [("然潘", "Avengers Age of Ultron", 3, 1431475200)],
        {"title": ["Avengers Age of Ultron"], "chinese": ["复仇者联盟2"]},
    ),
    "imdb-ratings": (
        {
            "ratings.csv": "Const,Your Rating,Date Rated,Title,Title Type,Runtime (mins),Year,Genres,Release Date,"
            'Directors\ntt0113277,9,2021-02-11,Heat,Movie,170,1995,"Action, Crime",1995-12-15,Michael Mann\n'
        },
        [("me", "tt0113277", 9, 1613001600)],
        {"title": ["Heat"], "genres": [["Action", "Crime"]], "runtime": [170], "imdb_id": ["tt0113277"]},
    ),
    "letterboxd": (
        {"ratings.csv": 'Date,Name,Year,Letterboxd URI,Rating\n2023-02-02,"Heat, #1",1995,https://boxd.it/0001,4.5\n'},
        [("me", "https://boxd.it/0001", 4.5, 1675296000)],
        {"title": ["Heat, #1"], "year": [1995]},
    ),
    "kaggle-movies-small": (
        {
            "ratings_small.csv": "userId,movieId,rating,timestamp\n1,6,2.5,1260759144\n1,7,3.5,1260759145\n",
            "ratings.csv": "userId,movieId,rating,timestamp\n9,9,2.5,1260759144\n",
            "links_small.csv": "movieId,imdbId,tmdbId\n6,0113277,949\n7,0114319,11860\n",
            **KAGGLE,
        },
        [(1, 6, 2.5, 1260759144), (1, 7, 3.5, 1260759145)],
        {
            "title": ["Heat", None],
            "genres": [["Crime", "Drama"], []],
            "keywords": [["robbery", "detective"], []],
            "actors": [["Al Pacino", "Robert O'Niro"], []],
            "directors": [["Michael Mann"], []],
            "writers": [["M. M."], []],
            "plot": ['Cops, "robbers".\nAnd more.', None],
            "runtime": [170, None],
        },
    ),
}


def listed(column):
    return [
        None if cell is None or cell != cell else cell for cell in column.astype(object).where(column.notna(), None)
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_as_documented(name, write, load):
    files, ratings, metadata = LAYOUTS[name]
    found = load(f"data={name}", f"data.path={write(files, name)}")
    dataset = found.dataset
    users = dataset.user_frame["user_id"].to_numpy()[dataset.users].tolist()
    items = dataset.item_frame["movie_id"].to_numpy()[dataset.items].tolist()
    times = [None] * len(dataset) if dataset.times is None else dataset.times.tolist()
    assert list(zip(users, items, times, strict=True)) == [(user, item, time) for user, item, _, time in ratings]
    assert dataset.ratings.tolist() == pytest.approx([rating for _, _, rating, _ in ratings])
    assert sum(found.report.dropped.values()) == found.report.dropped["duplicate of a later rating"]
    assert {column: listed(dataset.item_frame[column]) for column in metadata} == metadata


def test_a_single_file_of_ratings_needs_no_folder(write, load):
    folder = write(
        {"Movies_and_TV.csv": "0005019281,A1,4.0,1203984000\n", "AE.csv": "u,i,r,t\nA1,000501,4.0,1203984000123\n"}
    )
    dataset = load("data=amazon-2018", f"data.path={folder}/Movies_and_TV.csv").dataset
    assert (dataset.item_frame.movie_id[0], dataset.times.tolist()) == ("0005019281", [1203984000])
    dataset = load("data=amazon-2023", f"data.path={folder}/AE.csv").dataset
    assert (dataset.item_frame.movie_id[0], dataset.times.tolist()) == ("000501", [1203984000])


def test_netflix_ratings_may_have_a_file_for_each_film(write, load):
    files = {f"mv_{film:07}.txt": f"{film}:\n{film % 7},3,2005-09-06\n5,4,2005-09-07\n" for film in range(1, 300)}
    dataset = load("data=netflix", f"data.path={write(files)}").dataset
    assert len(dataset) == 598 - 43  # users with a remainder of 5 rated twice
    assert all(dataset.users[dataset.items == film - 1].size == 2 - (film % 7 == 5) for film in range(1, 300))


def test_parts_of_a_publisher_are_those_of_a_given_split(write, load):
    dataset = load("data=yahoo-music", f"data.path={write(LAYOUTS['yahoo-music'][0])}").dataset
    assert dataset.part_names == ("train", "test")
    assert len(Given().labels(dataset)) == 3


def test_validation_ratings_of_kdd_cup_are_the_test_part(write, load):
    dataset = load("data=kddcup-2011-track1", f"data.path={write(LAYOUTS['kddcup-2011-track1'][0])}").dataset
    assert [dataset.part_names[part] for part in dataset.parts] == ["train", "train", "test", "train"]


def test_spreadsheets_of_a_layout_must_be_saved_as_csv(write, load):
    folder = write({"jester-data-1.csv": "1,-7.82,99\n", "jester-data-2.xls": b"\xd0\xcf\x11\xe0"})
    sentence = r"jester-data-2.xls must be text, but is a spreadsheet: save it as CSV, to jester-data-2.csv"
    for path in (folder, folder / "jester-data-2.xls"):
        with pytest.raises(UserError, match=sentence):
            load("data=jester", f"data.path={path}")
    write({"jester-data-2.csv": "1,99,3.5\n", "notes.xls": b"\xd0\xcf\x11\xe0"})
    assert load("data=jester", f"data.path={folder}").dataset.ratings.tolist() == pytest.approx([-7.82, 3.5])


def test_matrices_of_jester_with_other_delimiters_are_refused(write, load):
    with pytest.raises(UserError, match=r"text where a number belongs"):
        load("data=jester", f"data.path={write({'FINAL jester 2006-15.csv': '2;-7,82;99;8,79'})}")


def test_other_layouts_are_refused(write, load):
    folder = write({"other.csv": "x\n"})
    with pytest.raises(UserError, match=r"must hold the file combined_data_\*.txt or mv_\*.txt of netflix"):
        load("data=netflix", f"data.path={folder}")
    with pytest.raises(UserError, match=r"data.name must be one of amazon-2018, .* \(got 'netflicks'\)"):
        load("data=netflix", "data.name=netflicks")


# Metadata


@pytest.fixture
def ratings(write):
    """Settings for ratings of two items with links to IMDb."""
    folder = write(
        {
            "ratings.csv": "user_id,movie_id\n1,6\n1,7\n",
            "films.csv": "movie_id,title,year,imdb_id\n6,Heat,1995,0113277\n7,Ran,1985,\n",
        },
        "ratings",
    )
    columns = ["data.columns.rating=null", "data.columns.time=null"]
    return ["data=files", f"data.path={folder}/ratings.csv", f"data.films_path={folder}/films.csv", *columns]


@pytest.mark.parametrize("packed", [False, True])
def test_titles_of_imdb_describe_items_by_id_or_title(packed, ratings, write, load):
    rows = (
        "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
        'tt0113277\tmovie\tHeat "x"\tHeat\t0\t1995\t\\N\t170\tAction,Crime\n'
        "tt0089881\tmovie\tRan\tRan\t0\t1985\t\\N\t\\N\t\\N\n"
        "tt0000001\ttvEpisode\tRan\tRan\t0\t1985\t\\N\t25\tComedy\n"
    )
    name, content = ("title.basics.tsv.gz", gzip.compress(rows.encode())) if packed else ("title.basics.tsv", rows)
    found = load(*ratings, "metadata=imdb", f"metadata.path={write({name: content}) / name}")
    frame = found.dataset.item_frame
    assert found.match.films == 2
    assert frame.genres.tolist() == [["Action", "Crime"], []]
    assert listed(frame.runtime) == [170, None]
    assert frame.imdb_id.tolist() == ["0113277", "tt0089881"]


@pytest.mark.parametrize(
    "files",
    [
        {
            "genome-scores.csv": "movieId,tagId,relevance\n6,1,0.7\n6,2,0.9\n6,3,0.1\n7,3,0.5\n",
            "genome-tags.csv": 'tagId,tag\n1,crime\n2,"tense, slow"\n3,war\n',
        },
        {
            "tag_relevance.dat": "6\t1\t0.7\n6\t2\t0.9\n6\t3\t0.1\n7\t3\t0.5\n",
            "tags.dat": "1\tcrime\t20\n2\ttense, slow\t10\n3\twar\t5\n",
        },
        {"tagdl.csv": 'tag,item_id,score\ncrime,6,0.7\n"tense, slow",6,0.9\nwar,6,0.1\nwar,7,0.5\n'},
    ],
)
def test_relevant_tags_of_the_tag_genome_are_keywords(files, ratings, write, load):
    frame = load(*ratings, "metadata=tag-genome", f"metadata.path={write(files)}").dataset.item_frame
    assert frame.keywords.tolist() == [["tense, slow", "crime"], ["war"]]


def test_incomplete_catalogues_are_refused(ratings, write, load):
    folder = write({"movies_metadata.csv": TMDB})
    with pytest.raises(UserError, match=r"must hold all files of kaggle-movies \(got .* without credits.csv\)"):
        load(*ratings, "metadata=kaggle-movies", f"metadata.path={folder}")
    with pytest.raises(UserError, match=r"metadata.path must be an existing folder with the files of imdb "):
        load(*ratings, "metadata=imdb")
