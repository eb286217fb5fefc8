"""Adds the segment of each user (a group of similar users) as a column of a split's data frame of users."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from recsys.data.split import Split


def join_segments(split: Split, segments: pd.DataFrame) -> Split:
    """Add the segment of each user to the users of a split.

    Args:
        split: the split; its labels and its fingerprint do not change.
        segments: a data frame with a row per user: `user_id`, which is unique and compared as text, and `segment`, a
            categorical.

    Returns:
        The split with a column `segment` in its `user_frame`: a categorical with the categories of `segments`, missing
        for users that `segments` lacks.
    """
    users = split.dataset.user_frame
    by_id = segments.set_index(segments["user_id"].astype(str))["segment"]
    column = by_id.reindex(users["user_id"].astype(str)).array
    return replace(split, dataset=replace(split.dataset, user_frame=users.assign(segment=column)))
