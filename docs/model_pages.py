"""The manual's pages on models, made from their configs, their classes and the docstrings of their modules."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from recsys.config import compose, instantiate
from recsys.config.loader import CONFIGS
from recsys.models.base import HasEmbeddings, HasOpenCatalogue, Recommender, ScoresByProducts

# What a model can do, and how the code declares it.
CAPABILITIES = {
    "order": lambda model: model.reads_order,
    "new users": lambda model: model.uses_history or hasattr(model, "regression"),
    "new items": lambda model: isinstance(model, HasOpenCatalogue),
    "stars": lambda model: model.predicts_ratings,
    "embeddings": lambda model: isinstance(model, HasEmbeddings),
    "index": lambda model: isinstance(model, ScoresByProducts),
    "Lightning": lambda model: model.uses_lightning,
}


def write_model_pages(folder: Path) -> None:
    """Write `table.md`, a row for each config, and `papers.md`, a section for each module."""
    names = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
    models = {name: instantiate(compose("train", [f"model={name}"]).model) for name in names}
    folder.mkdir(exist_ok=True)
    _write(folder / "table.md", _table(models))
    _write(folder / "papers.md", _papers(models))


def _table(models: dict[str, Recommender]) -> str:
    header = ["`model=`", *CAPABILITIES]
    rows = [
        [f"`{name}`", *("✓" if able(model) else "" for able in CAPABILITIES.values())] for name, model in models.items()
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---", *[":-:"] * len(CAPABILITIES)], *rows))


def _papers(models: dict[str, Recommender]) -> str:
    names_of: dict[str, list[str]] = {}
    for name, model in models.items():
        names_of.setdefault(type(model).__module__, []).append(f"`model={name}`")
    sections = []
    for module, names in names_of.items():
        title, _, description = (inspect.getdoc(importlib.import_module(module)) or "").partition("\n\n")
        heading, _, rest = title.partition(":")
        sections.append(f"### {heading}\n\n{', '.join(names)}:{rest or ' ' + heading}\n\n{description}")
    return "\n\n".join(sections) + "\n"


def _write(file: Path, text: str) -> None:
    """Write a file if its text has changed, so that unchanged pages are not built again."""
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
