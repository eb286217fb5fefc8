"""The page about the served runs and their metrics."""

from __future__ import annotations

from asyncio import to_thread
from datetime import datetime

from recsys.counted import counted
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Section, Tag
from recsys.web.pages.layout import page_layout
from recsys.web.pages.metrics_panel import metrics_panel
from recsys.web.pages.viewer_session import Site


async def runs_page(site: Site) -> None:
    """Build the page about the served runs and their metrics."""
    runs = [await to_thread(site.service.loaded_run, name) for name in site.service.run_names()]
    page_layout("Models", "/runs")
    with Tag("div", classes="hero"):
        Tag("h1", "Models")
        Tag("p", "What each model was trained on, and how it did on ratings it never saw.")
        if site.tensorboard:
            Tag("a", "Open TensorBoard", "button strong", href=site.tensorboard)
    with Tag("div", classes="sides"):
        for run in runs:
            _description(run)
    metrics_panel(runs)


def _description(loaded: LoadedRun) -> None:
    manifest = loaded.run.manifest
    data = manifest["data"]
    facts = {
        "Model": type(loaded.model).__name__,
        "Data": f"{data['name']}: {counted(data['ratings'], 'rating')} of {counted(data['films'], 'film')} by "
        f"{counted(data['users'], 'viewer')}",
        "Split": manifest["split"]["name"].replace("_", " "),
        "New viewers": "can be served" if loaded.scores_new_users else "cannot be served",
        "Finished": f"{datetime.fromisoformat(manifest['finished']):%-d %B %Y}",
    }
    with Section(loaded.name), Tag("dl", classes="details"):
        for label, words in facts.items():
            Tag("dt", label)
            Tag("dd", words)
