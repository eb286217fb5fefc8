"""The page about the served runs and their metrics."""

from __future__ import annotations

from asyncio import to_thread

from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Tag
from recsys.web.pages.layout import page_layout
from recsys.web.pages.viewer_session import Site

TEST = "test/"


async def runs_page(site: Site) -> None:
    """Build the page."""
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
    with Tag("section", classes="panel") as section:
        heading = Tag("h2", "Test metrics")
        section.props["aria-labelledby"] = heading.html_id
        _metrics_table(runs)


def _description(loaded: LoadedRun) -> None:
    manifest = loaded.run.manifest
    data = manifest["data"]
    facts = {
        "Model": type(loaded.model).__name__,
        "Data": f"{data['name']}: {data['ratings']:,} ratings of {data['films']:,} films by {data['users']:,} viewers",
        "Split": manifest["split"]["name"],
        "Finished": manifest["finished"][:10],
    }
    with Tag("section", classes="panel") as section:
        heading = Tag("h2", loaded.name)
        section.props["aria-labelledby"] = heading.html_id
        with Tag("dl", classes="details"):
            for label, words in facts.items():
                Tag("dt", label)
                Tag("dd", words)


def _metrics_table(runs: list[LoadedRun]) -> None:
    """Add a table with a row for each metric at 10 or without a cutoff, and a column for each run."""
    names = dict.fromkeys(name for run in runs for name in run.run.metrics if name.startswith(TEST))
    shown = [name for name in names if name.endswith("@10") or "@" not in name]
    if not shown:
        Tag("p", "No run has test metrics.", "meta")
        return
    with Tag("div", classes="scroll", tabindex=0, role="group", aria_label="Table of metrics"), Tag("table"):
        with Tag("thead"), Tag("tr"):
            Tag("th", "Metric", scope="col")
            for run in runs:
                Tag("th", run.name, "number", scope="col")
        with Tag("tbody"):
            for name in shown:
                with Tag("tr"):
                    Tag("th", name.removeprefix(TEST), scope="row")
                    for run in runs:
                        value = run.run.metrics.get(name)
                        Tag("td", "" if value is None else f"{value:.4f}", "number")
