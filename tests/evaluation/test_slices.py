from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.data.splitters import LeaveLastOut
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.slices import quantile_bands
from tests.evaluation.random_models import RandomScores

KS = (1, 5, 10)


def slice_of(evaluation, name):
    slices = evaluation.slices
    return slices[slices["slice"] == name].set_index("value")


def test_users_are_averaged_by_activity_age_and_gender(holdout):
    evaluation = evaluate(RandomScores(), holdout, ks=KS)
    user_frame = holdout.known.user_frame.iloc[holdout.users].reset_index(drop=True)
    assert {*evaluation.slices} == {"slice", "value", "n", *evaluation.per_query, *evaluation.per_rating}
    by_gender = slice_of(evaluation, "gender")
    for gender in ("F", "M"):
        chosen = evaluation.per_user[user_frame["gender"] == gender]
        assert by_gender.loc[gender, "n"] == len(chosen)
        assert by_gender.loc[gender, "ndcg@10"] == pytest.approx(chosen["ndcg@10"].mean())
    assert by_gender.loc["unknown", "n"] == 1
    assert slice_of(evaluation, "age").index.tolist() == ["young", "old"]
    activity = slice_of(evaluation, "activity")
    assert activity["n"].sum() == len(holdout.users)
    sizes = holdout.known.user_counts[holdout.users]
    low, high = map(int, activity.index[0].split("-"))
    chosen = (sizes >= low) & (sizes <= high)
    assert low == sizes.min()
    assert activity["hr@5"].iloc[0] == pytest.approx(evaluation.per_user["hr@5"][chosen].mean())


def test_held_out_ratings_are_averaged_by_popularity_decade_and_genre(holdout):
    evaluation = evaluate(RandomScores(), holdout, ks=KS)
    row = {user: row for row, user in enumerate(holdout.users)}
    held_out = holdout.ratings
    places = [
        [*evaluation.top[row[user]], item].index(item)
        for user, item in zip(held_out.users, held_out.items, strict=True)
    ]
    per_rating = pd.DataFrame({"recall": np.array(places) < 5, "dcg": [1 / np.log2(p + 2) * (p < 5) for p in places]})
    item_frame = held_out.item_frame
    decade = slice_of(evaluation, "decade")
    sixties = per_rating[(item_frame["year"] // 10 == 196).fillna(False).to_numpy()[held_out.items]]
    assert decade.index.tolist() == ["1950s", "1960s", "1970s", "1980s", "unknown"]
    assert decade.loc["1960s", "n"] == len(sixties)
    assert decade.loc["1960s", "recall@5"] == pytest.approx(sixties["recall"].mean())
    assert decade.loc["1960s", "dcg@5"] == pytest.approx(sixties["dcg"].mean())
    genre = slice_of(evaluation, "genre")
    comedies = per_rating[item_frame["genres"].map(lambda genres: "Comedy" in genres).to_numpy()[held_out.items]]
    assert set(genre.index) == {"Comedy", "Drama", "unknown"}
    assert genre.loc["Comedy", "n"] == len(comedies)
    assert genre.loc["Comedy", "recall@5"] == pytest.approx(comedies["recall"].mean())
    assert slice_of(evaluation, "popularity")["n"].sum() == len(held_out)


def test_there_are_no_slices_by_columns_that_the_source_lacks(timed):
    evaluation = evaluate(RandomScores(), LeaveLastOut()(timed).test, ks=KS)
    assert set(evaluation.slices["slice"]) == {"activity", "popularity"}


def test_items_with_empty_metadata_are_in_the_slice_unknown(described):
    empty = {"year": pd.array([None] * 40, dtype="Int16"), "genres": [[] for _ in range(40)]}
    bare = replace(described, item_frame=described.item_frame.assign(**empty))
    evaluation = evaluate(RandomScores(), LeaveLastOut()(bare).test, ks=KS)
    assert slice_of(evaluation, "decade")["n"].to_dict() == {"unknown": 60}
    assert slice_of(evaluation, "genre")["n"].to_dict() == {"unknown": 60}
    assert "diversity@10" not in evaluation.summary


def test_bands_have_about_equal_sizes_and_are_named_by_their_ends():
    bands = quantile_bands(np.arange(40))
    assert bands.value_counts().to_dict() == {"0-8": 9, "9-18": 10, "19-28": 10, "29-39": 11}
    assert quantile_bands(np.array([1, 1, 1, 1, 1, 1, 1, 9])).categories.tolist() == ["1-9"]
