"""Write the five random hold-outs of Anelli et al. as files that `split=given` reads.

    python experiments/families/anelli.py ML_1M TESTS OUT
    python train.py data=files data.path=OUT/set0.csv data.columns.part=part split=given

Anelli, Bellogin, Di Noia, Jannach and Pomo, "Top-N Recommendation Algorithms: A Quest for the State-of-the-Art", UMAP
2022. Their data are the ratings of MovieLens-1M with 4 stars and more, in which each user and each film has at least
ten. A hold-out's training ratings are those that its test file lacks. The paper does not publish its validation
ratings: here they are a random tenth of each user's training ratings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

MIN_RATING, CORE, VALID_SHARE = 4, 10, 0.1
PAIR = ["user_id", "movie_id"]


def core(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return the ratings of the 10-core: drop users and films with fewer than ten until all have ten or more."""
    while True:
        counts = [ratings.groupby(column)[column].transform("size") for column in PAIR]
        rated_enough = (counts[0] >= CORE) & (counts[1] >= CORE)
        if rated_enough.all():
            return ratings
        ratings = ratings[rated_enough]


def with_parts(ratings: pd.DataFrame, tests: Path) -> pd.DataFrame:
    """Return the ratings with the column `part`: train, valid or test."""
    test = pd.read_csv(tests, sep="\t", names=[*PAIR, "one", "time"])[PAIR].assign(part="test")
    parted = ratings.merge(test, on=PAIR, how="left")
    if (found := parted["part"].notna().sum()) != len(test):
        raise SystemExit(
            f"{tests} must have pairs of the 10-core only, but {len(test) - found} of {len(test)} are not."
        )
    train = parted[parted["part"].isna()].sample(frac=1.0, random_state=0)
    places, counts = train.groupby("user_id").cumcount(), train.groupby("user_id")["user_id"].transform("size")
    parted.loc[train.index, "part"] = np.where(places < (VALID_SHARE * counts).round(), "valid", "train")
    return parted


def main() -> None:
    """Write a file for each hold-out, and print its numbers of ratings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ml_1m", type=Path, help="folder of ratings.dat of MovieLens-1M")
    parser.add_argument("tests", type=Path, help="folder of test0.tsv to test4.tsv: user, film, 1, time")
    parser.add_argument("out", type=Path, help="folder of the files to write")
    arguments = parser.parse_args()
    columns = [*PAIR, "rating", "time"]
    ratings = pd.read_csv(arguments.ml_1m / "ratings.dat", sep="::", engine="python", names=columns)
    ratings = core(ratings[ratings["rating"] >= MIN_RATING])
    arguments.out.mkdir(parents=True, exist_ok=True)
    for tests in sorted(arguments.tests.glob("test?.tsv")):
        parted = with_parts(ratings, tests)
        parted.to_csv(arguments.out / f"set{tests.stem[-1]}.csv", index=False)
        print(f"{tests.name}: {parted['part'].value_counts().to_dict()}")


if __name__ == "__main__":
    main()
