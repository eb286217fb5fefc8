"""What TensorBoard is given of a run, read back from its files."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

from recsys.data.dataset import Dataset
from recsys.models.base import Recommender
from recsys.models.ease import EASE
from recsys.models.mf import MF
from recsys.models.popularity import Popularity
from recsys.studies.examples import Example
from recsys.studies.tensorboard import log_run

CONFIG = {
    "seed": 3,
    "label": "ease seed=3",
    "refit": True,
    "data": {"_target_": "recsys.data.sources.MovieLens", "release": "ml-1m", "cleaning": {"_target_": "x.Cleaning"}},
    "metadata": {"_target_": "recsys.data.metadata.TMDB5000"},
    "split": {"_target_": "recsys.data.split.Ratio", "test": 0.2},
    "protocol": {"_target_": "recsys.evaluation.protocols.FullRanking"},
}
METRICS = {"valid/ndcg@10": 0.5, "valid/ndcg@5": 0.4, "test/ndcg@10": 0.25, "test/auc": 0.75}


@pytest.fixture
def dataset() -> Dataset:
    """Two users, three films, of which one has neither year nor genres."""
    films = pd.DataFrame(
        {
            "movie_id": [7, 8, 9],
            "title": ["M*A*S*H", "Face/Off", "Un\tknown"],
            "year": pd.array([1970, 1997, None], "Int16"),
            "genres": [["Comedy", "War"], ["Action"], []],
        }
    )
    return replace(Dataset.from_arrays([0, 0, 1, 1], [0, 1, 0, 2]), item_frame=films)


@pytest.fixture
def logged(dataset, tmp_path):
    """Log a run of a model, and read its events."""

    def log(model: Recommender) -> EventAccumulator:
        examples = [Example(5, ["M*A*S*H (1970)", "Face|Off"], ["<b>[REC]</b> & _more_"])]
        counts = dataset.item_counts, dataset.user_counts
        log_run(tmp_path / "log", CONFIG, model, dataset, counts, METRICS, examples)
        return EventAccumulator(str(tmp_path / "log" / "final")).Reload()

    return log


def text(events: EventAccumulator, tag: str) -> str:
    """A text as the browser shows it."""
    return markdown_to_safe_html(events.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0])


def started(events: EventAccumulator) -> SessionStartInfo:
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    return HParamsPluginData.FromString(content).session_start_info


def settings(events: EventAccumulator) -> dict[str, str | float]:
    values = started(events).hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


def test_settings_name_the_model_and_all_that_it_was_made_with(logged):
    assert settings(logged(EASE(l2=200.0))) == {
        "data": "MovieLens",
        "data.release": "ml-1m",
        "metadata": "TMDB5000",
        "split": "Ratio",
        "split.test": 0.2,
        "protocol": "FullRanking",
        "seed": 3,
        "refit": "True",
        "model": "EASE",
        "model.l2": 200.0,
        "model.half_life": "None",
        "model.play_scale": "None",
        "model.play_weight": 0.0,
        "model.popularity_by": "[]",
        "model.popularity_half_life": "None",
        "model.prior_strength": 0.0,
    }


def test_a_model_without_settings_is_still_named(logged):
    assert settings(logged(Popularity()))["model"] == "Popularity"


@pytest.mark.parametrize(("seed", "shown"), [(3, None), (4, 4)])
def test_the_seed_is_listed_once_unless_a_model_has_its_own(logged, dataset, seed, shown):
    given = settings(logged(MF(seed=seed, max_epochs=1, embedding_dim=2).fit(dataset)))
    assert given["seed"] == 3
    assert given.get("model.seed") == shown


def test_a_run_is_named_by_its_label_and_the_time(logged):
    assert re.fullmatch(r"ease seed=3 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", started(logged(EASE())).group_name)


def test_no_run_decides_the_columns_of_other_runs(logged):
    assert "_hparams_/experiment" not in logged(EASE()).summary_metadata


def test_final_metrics_to_compare_runs_by_are_scalars_and_all_are_in_a_table(logged):
    events = logged(EASE())
    assert set(events.Tags()["scalars"]) == {"final/valid/ndcg@10", "final/test/ndcg@10"}
    assert events.Scalars("final/test/ndcg@10")[0].value == 0.25
    table = pd.Series(text(events, "metrics").split()).str.cat(sep="")
    for row in (
        "<th>metric</th><th>valid</th><th>test</th>",
        "<td>ndcg@5</td><td>0.4000</td><td></td>",
        "<td>auc</td><td></td><td>0.7500</td>",
    ):
        assert row in table


def test_titles_in_a_table_are_shown_character_by_character(logged):
    shown = text(logged(EASE()), "recommendations/user 5")
    assert "<td>M*A*S*H (1970)</td>" in shown
    assert "<td>&lt;b&gt;[REC]&lt;/b&gt; &amp; _more_</td>" in shown
    assert "<td>Face|Off</td>" in shown


def test_all_settings_are_shown_line_by_line(logged):
    shown = text(logged(EASE()), "settings")
    assert "<pre><code>seed: 3\nlabel: ease seed=3\nrefit: true\ndata:\n  _target_: " in shown


def test_the_projector_labels_films_and_leaves_unknown_years_empty(logged, dataset, tmp_path):
    logged(MF(max_epochs=1, embedding_dim=2).fit(dataset))
    [films] = (tmp_path / "log").glob("final/*/films")
    table = (films / "metadata.tsv").read_text().splitlines()
    assert [line.split("\t") for line in table] == [
        ["title", "year", "decade", "genres", "first genre", "movie_id", "ratings"],
        ["M*A*S*H (1970)", "1970", "1970s", "Comedy, War", "Comedy", "7", "2"],
        ["Face/Off (1997)", "1997", "1990s", "Action", "Action", "8", "1"],
        ["Un known", "", "", "", "", "9", "1"],
    ]
    assert np.loadtxt(next((tmp_path / "log").glob("final/*/users/tensors.tsv"))).shape == (2, 2)
    bookmarks = json.loads((films / "bookmarks.json").read_text())
    assert [view["selectedColorOptionName"] for view in bookmarks] == ["first genre", "decade"]
    assert "00000/films/bookmarks.json" in (films.parents[1] / "projector_config.pbtxt").read_text()


def test_a_model_without_embeddings_has_no_projector(logged, tmp_path):
    logged(Popularity())
    assert not (tmp_path / "log" / "final" / "projector_config.pbtxt").exists()
