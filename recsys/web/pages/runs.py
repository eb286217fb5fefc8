"""The runs that can be asked, with their metrics."""

from __future__ import annotations

from asyncio import to_thread

from recsys.web.pages.elements import Tag
from recsys.web.pages.frame import frame
from recsys.web.pages.visit import Site
from recsys.web.served import Served

TEST = "test/"


async def runs_page(site: Site) -> None:
    """Build the page."""
    served = [await to_thread(site.service.served, name) for name in site.service.names()]
    frame("Models", "/runs")
    with Tag("div", classes="hero"):
        Tag("h1", "Models")
        Tag("p", "What each was trained on, and what it reached on ratings that it never saw.")
        if site.tensorboard:
            Tag("a", "Open TensorBoard", "button strong", href=site.tensorboard)
    with Tag("div", classes="sides"):
        for run in served:
            _about(run)
    with Tag("section", classes="panel") as section:
        heading = Tag("h2", "Test metrics")
        section.props["aria-labelledby"] = heading.html_id
        _metrics(served)


def _about(served: Served) -> None:
    manifest = served.run.manifest
    data = manifest["data"]
    facts = {
        "Model": type(served.model).__name__,
        "Data": f"{data['name']}: {data['ratings']:,} ratings of {data['films']:,} films by {data['users']:,} viewers",
        "Split": manifest["split"]["name"],
        "Finished": manifest["finished"][:10],
    }
    with Tag("section", classes="panel") as section:
        heading = Tag("h2", served.name)
        section.props["aria-labelledby"] = heading.html_id
        with Tag("dl", classes="details"):
            for label, words in facts.items():
                Tag("dt", label)
                Tag("dd", words)


def _metrics(served: list[Served]) -> None:
    """A row for each metric of whole lists or of ten films, a column for each run."""
    names = dict.fromkeys(name for run in served for name in run.run.metrics if name.startswith(TEST))
    shown = [name for name in names if name.endswith("@10") or "@" not in name]
    if not shown:
        Tag("p", "None of them was tested.", "meta")
        return
    with Tag("div", classes="scroll", tabindex=0, role="group", aria_label="Table of metrics"), Tag("table"):
        with Tag("thead"), Tag("tr"):
            Tag("th", "Metric", scope="col")
            for run in served:
                Tag("th", run.name, "number", scope="col")
        with Tag("tbody"):
            for name in shown:
                with Tag("tr"):
                    Tag("th", name.removeprefix(TEST), scope="row")
                    for run in served:
                        value = run.run.metrics.get(name)
                        Tag("td", "" if value is None else f"{value:.4f}", "number")
