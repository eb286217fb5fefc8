"""Writes segments to files in a run's directory, reads them, and adds them to the user frame of a split."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys.analysis.segments.verdict import other_number, verdict
from recsys.data.segments import join_segments
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.files import read_csv, reading, write_text, write_whole
from recsys.invocation import recsys_command

if TYPE_CHECKING:
    from recsys.analysis.segments.profiles import Profile
    from recsys.analysis.segments.study import FoundSegments
    from recsys.models.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class StoredSegments:
    """The segments that are stored in a run's directory.

    Attributes:
        segmentation: fitted segmentation, which assigns users to segments.
        names: names of the segments, in the order of their labels.
        space: space in which the users were clustered, `embeddings` or `ratings`.
        ratings: fingerprint of the ratings in which the segments were found: the fingerprint of the split, followed by
            the part of the split, such as `/train+valid`.
        may_place_new_users: False if the space is `embeddings` and the model is known not to embed new users, so that
            new users cannot be assigned to segments.
    """

    segmentation: Segmentation
    names: list[str]
    space: str
    ratings: str
    may_place_new_users: bool = True

    def write(self, directory: Path, user_ids: pd.Series, found: FoundSegments) -> None:
        """Write the fitted segmentation, the description of the segments, and the segment of each user to files.

        Args:
            directory: directory of the run's segments.
            user_ids: raw ids of the users in `found`, in the same order.
            found: the segments.
        """
        names = np.array(self.names, object)[found.labels]
        members = pd.DataFrame({"user_id": user_ids, "segment": found.labels + 1, "name": names})
        description = {
            "ratings": self.ratings,
            "space": self.space,
            "may_place_new_users": self.may_place_new_users,
            "segmentation": self.segmentation.hyperparameters(),
            "verdict": verdict(found.measures_at(found.k)),
            "other_number": other_number(found.measures, found.k),
            "noise": found.noise,
            "names": self.names,
            "profiles": [_as_json(profile) for profile in found.profiles],
            "measured": found.measures.to_dict("records"),
        }
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        arrays = self.segmentation.arrays()
        write_whole(directory / "segmentation.npz", lambda file: np.savez(file, allow_pickle=False, **arrays))
        write_whole(directory / "segments.csv", lambda file: members.to_csv(file, index=False))
        write_text(directory / "segments.json", text)

    def check(self, split: Split) -> None:
        """Check that the segments were found in the ratings of a split.

        Segments that were found in another split may depend on test ratings of this split.

        Raises:
            UserError: the segments were found in another split.
        """
        if self.ratings.partition("/")[0] != split.fingerprint:
            raise UserError(
                "These segments were found in another split: use the data, cleaning and split of the run in which they "
                f"were found, or find new ones with {recsys_command('segments', 'RUN')}."
            )


def segments_directory(run: Path) -> Path:
    """Return the directory of a run's segments, given the directory of the run."""
    return run / "segments"


def read_segments(run: Path) -> StoredSegments:
    """Read the stored segments of a run.

    Raises:
        UserError: the run has no segments, or their files are damaged.
    """
    from recsys.models.segmentation import Segmentation  # imports scikit-learn, which most trainings do not need

    directory = segments_directory(run)
    if not (directory / "segments.json").is_file():
        raise UserError(f"{run} holds no segments: find them with {recsys_command('segments', run)}.")
    with reading(directory / "segments.json"):
        description = json.loads((directory / "segments.json").read_text(encoding="utf-8"))
        segmentation = Segmentation(**description["segmentation"])
        names = [str(name) for name in description["names"]]
        may_place = bool(description.get("may_place_new_users", True))  # which earlier versions did not store
        space, ratings = str(description["space"]), str(description["ratings"])
    arrays_file = directory / "segmentation.npz"
    with reading(arrays_file), np.load(arrays_file, allow_pickle=False) as arrays:
        segmentation.restore(arrays)
    return StoredSegments(segmentation, names, space, ratings, may_place)


def read_members(run: Path) -> pd.DataFrame:
    """Read which users of a run belong to which segment: columns `user_id` and `name` (of the segment), as text.

    Raises:
        UserError: the file is damaged.
    """
    return read_csv(segments_directory(run) / "segments.csv", ["user_id", "name"], dtype=str, keep_default_na=False)


def with_segments(split: Split, run: Path) -> Split:
    """Add a column `segment` to the user frame of a split: the name of each user's segment in a run.

    If the run was refitted to training and validation ratings, its segments depend on validation ratings. As slices for
    evaluation such segments are harmless, and test metrics stay valid. However, the validation metrics of a model that
    reads the column are then optimistic. A run that was trained with refit=false avoids this.

    Raises:
        UserError: the run has no segments, or they were found in another split.
    """
    segments = read_segments(run)
    segments.check(split)
    members = read_members(run)
    names = pd.Categorical(members["name"], categories=segments.names)
    return join_segments(split, members.assign(segment=names))


def _as_json(profile: Profile) -> dict[str, Any]:
    """Return a profile with the keys of segments.json, in which `Distinction.overall` is called `everybody`."""
    described = asdict(profile)
    for distinction in described["distinctions"]:
        distinction["everybody"] = distinction.pop("overall")
    return described
