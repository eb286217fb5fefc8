"""Segments of a run's users: found, reported on, and kept in the run's directory."""

from __future__ import annotations

import numpy as np

from recsys.analysis.segments import report as segment_report
from recsys.analysis.segments.spaces import RATINGS, embedding_points, rating_points
from recsys.analysis.segments.stored import StoredSegments, segments_directory
from recsys.analysis.segments.study import FoundSegments, SegmentStudy
from recsys.data.split import Split
from recsys.studies.runs import Run
from recsys.studies.tensorboard import log_segments


def find_segments(run: Run, split: Split, study: SegmentStudy) -> FoundSegments:
    """Find segments, and write what belongs to them; see `recsys.analysis.segments`.

    Args:
        run: whose users they are of.
        split: the run's.
        study: how to find them.

    Raises:
        UserError: the model has no embeddings, and these were to be the space; or was trained on another split.
    """
    ratings = run.learned_from(split)
    points = (
        rating_points(ratings, ratings.history(np.arange(ratings.n_users)))
        if study.space == RATINGS
        else embedding_points(run.user_embeddings(split))
    )
    found = study.find(points, ratings, run.per_user)
    directory = segments_directory(run.directory)
    directory.mkdir(exist_ok=True)
    user_frame = ratings.user_frame.iloc[found.users]
    names = [profile.name for profile in found.profiles]
    segments = StoredSegments(study.segments, names, study.space, ratings.fingerprint)
    segments.write(directory, user_frame["user_id"], found)
    model = run.config["model"]["_target_"].rpartition(".")[2]
    segment_report.write_report(directory, study, split, ratings, found, model)
    named = user_frame.assign(segment=np.array(segments.names, object)[found.labels])
    log_segments(directory / "tensorboard", found.points, ratings.user_counts[found.users], named)
    return found
