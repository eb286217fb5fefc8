"""A holdout with metadata of users and items."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset, Holdout
from recsys.data.splitters import Ratio


@pytest.fixture
def described(timed: Dataset) -> Dataset:
    """Ratings with metadata for every slice; user 0 has no gender, item 0 neither year nor genres."""
    ages = pd.Categorical(["young", "old"] * 30, categories=["young", "old"], ordered=True)
    genders = [None] + ["F"] * 20 + ["M"] * 39
    years = pd.array([None] + [1950 + item for item in range(1, 40)], dtype="Int16")
    genres = [[]] + [["Drama"], ["Comedy", "Drama"], ["Comedy"]] * 13
    return replace(
        timed,
        user_frame=timed.user_frame.assign(user_id=np.arange(60) + 1000, age_group=ages, gender=genders),
        item_frame=timed.item_frame.assign(year=years, genres=genres),
    )


@pytest.fixture
def holdout(described: Dataset) -> Holdout:
    return Ratio(valid=0.2, test=0.4)(described).test
