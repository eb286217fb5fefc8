"""Serves a fitted model that does not come from a run of `train.py`."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from recsys.data.address import Address
from recsys.data.dataset import Dataset
from recsys.models.base import Recommender
from recsys.studies.runs import CONFIG, MANIFEST, METRICS
from recsys.web.http_server import ServerSettings, run_server
from recsys.web.recommendation_service import RecommendationService
from recsys.web.store import Store


def serve_model(model: Recommender, port: int, store: str | None) -> None:
    """Serve a fitted model with the data set it was fitted to, until interrupted; see `recsys.serve`.

    Args:
        model: fitted model that holds its data set in the attribute `data`.
        port: port to listen on; 0 for any free port.
        store: address of the feedback store; None for a temporary file, which is deleted at the end.

    Raises:
        UserError: the model has no data set, the store cannot be opened, or the port is not available.
    """
    data = model.known_data()
    with tempfile.TemporaryDirectory(prefix="recsys-") as folder:
        run = Path(folder) / type(model).__name__
        write_run(model, data, run)
        feedback = Store.open(Address.parse(store or f"{folder}/feedback.sqlite"))
        try:
            service = RecommendationService({run.name: run}, lambda _: data, feedback, trusted=True)
            run_server(service, ServerSettings(port=port))
        finally:
            feedback.close()


def write_run(model: Recommender, data: Dataset, directory: Path) -> None:
    """Write a run directory that a service can read, with the model and the files that describe a finished run."""
    model.save_without_data(directory / "model")
    described = {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "ratings": len(data),
        "films": data.n_items,
        "users": data.n_users,
    }
    manifest = {
        "data": described,
        "split": {"name": "none", "fingerprint": ""},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for name, content in ((CONFIG, {}), (METRICS, {}), (MANIFEST, manifest)):
        (directory / name).write_text(json.dumps(content))
