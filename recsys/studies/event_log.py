"""Writes event files for TensorBoard, without importing torch, Lightning or TensorFlow."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.plugins.text.metadata import PLUGIN_NAME as TEXT

from recsys.files import write_text
from recsys.studies.tfrecord import framed

HPARAMS = "hparams"  # the module that defines this name imports TensorBoard's substitute for TensorFlow
SESSION_START, SESSION_END = "_hparams_/session_start_info", "_hparams_/session_end_info"
STEP = "00000"  # the folder of points that belong to no step, as torch names it


class EventLog:
    """Writes an event file, and the files of TensorBoard's embedding projector, into a directory.

    It is a context manager, which closes the event file at the end of the `with` block.

    Args:
        directory: directory of the log; it may already contain the event files of other writers.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self.file = (directory / name).open("xb")
        self.projector = ProjectorConfig()
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.file.close()

    def add_scalar(self, tag: str, value: float) -> None:
        """Add a number at step 0."""
        self._add(Summary.Value(tag=tag, simple_value=value))

    def add_text(self, tag: str, markdown: str) -> None:
        """Add a Markdown text."""
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()], tensor_shape=shape)
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=TEXT))
        self._add(Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor))

    def add_settings(self, settings: Mapping[str, float | str], label: str) -> None:
        """Add a row with the settings of a run to the hyperparameter tab.

        No list of the tab's columns is written, since TensorBoard would use the list of one run for all runs, and hide
        settings that only other models have. Without a list, TensorBoard shows the settings of all runs, beginning with
        the settings that differ between runs.

        Args:
            settings: name -> value.
            label: label of the run in the tab.
        """
        started = SessionStartInfo(group_name=label)
        for name, value in settings.items():
            if isinstance(value, str):
                started.hparams[name].string_value = value
            else:
                started.hparams[name].number_value = value
        ended = SessionEndInfo(status=api_pb2.Status.Value("STATUS_SUCCESS"))
        for tag, content in (
            (SESSION_START, HParamsPluginData(session_start_info=started)),
            (SESSION_END, HParamsPluginData(session_end_info=ended)),
        ):
            plugin = SummaryMetadata.PluginData(plugin_name=HPARAMS, content=content.SerializeToString())
            self._add(Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin)))

    def add_points(
        self,
        name: str,
        points: np.ndarray,
        columns: Sequence[str],
        labels: Sequence[Sequence[str]],
        colors: Sequence[str] = (),
    ) -> None:
        """Add a set of points to the embedding projector.

        Args:
            name: name of the set of points, one word.
            points: float (n, d) points.
            columns: names of the columns of `labels`; at least two, since TensorBoard expects no header above a single
                column. The projector's bookmarks label points by the first column.
            labels: n rows, each with a text for each column; texts must not contain tabs or line breaks.
            colors: columns by which points can be coloured; the projector offers a bookmark for each.
        """
        from google.protobuf import text_format  # only models with embeddings need it

        place = f"{STEP}/{name}"
        (self.directory / place).mkdir(parents=True, exist_ok=True)
        write_text(self.directory / place / "tensors.tsv", _lines(points.tolist()))
        write_text(self.directory / place / "metadata.tsv", _lines([columns, *labels]))
        shown = self.projector.embeddings.add(
            tensor_name=f"{name}:{STEP}", tensor_path=f"{place}/tensors.tsv", metadata_path=f"{place}/metadata.tsv"
        )
        if colors:
            shown.bookmarks_path = f"{place}/bookmarks.json"
            views = [_view(color, columns[0], points.shape) for color in colors]
            write_text(self.directory / shown.bookmarks_path, json.dumps(views))
        write_text(self.directory / PROJECTOR_FILENAME, text_format.MessageToString(self.projector))

    def _add(self, value: Summary.Value) -> None:
        self._write(Event(wall_time=time.time(), summary=Summary(value=[value])))

    def _write(self, event: Event) -> None:
        self.file.write(framed(event.SerializeToString()))


def _view(color: str, label: str, shape: Sequence[int]) -> dict[str, Any]:
    """Return a bookmark that opens the principal components of the points in the embedding projector.

    The projector requires the settings of its other projections too, although the bookmark does not use them.

    Args:
        color: column by which points are coloured.
        label: column by which points are labelled.
        shape: (n, d) of the points.
    """
    custom = [f"custom{side}" for side in ("XLeft", "XRight", "YUp", "YDown")]
    return {
        "label": f"by {color}",
        "selectedColorOptionName": color,
        "selectedLabelOption": label,
        "selectedProjection": "pca",
        "pcaComponentDimensions": list(range(min(3, shape[1]))),
        "dataSetDimensions": list(shape),
        "projections": [],  # they are computed when the points are shown
        "selectedPoints": [],
        "tSNEIteration": 0,
        "tSNEPerplexity": 8,
        "tSNELearningRate": 1,  # a power of ten
        "tSNEis3d": True,
        "umapIs3d": True,
        "umapNeighbors": 15,
        "umapMinDist": 0.1,
        "customSelectedSearchByMetadataOption": label,
        **{f"{side}Text": "" for side in custom},
        **{f"{side}Regex": False for side in custom},
    }


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)
