"""The manual: `make docs` builds it, with errors for every link that leads nowhere."""

import re
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

from model_pages import write_model_pages  # noqa: E402

GENERATED = ROOT / "docs" / "_generated"
NOT_SHOWN = shutil.ignore_patterns("*.py", "*.tex", "*.svg", "__pycache__", "leakage", "search")

NOT_A_PAGE = re.compile(r"\[([^\]]+)\]\((?!https?:|[^)]*\.(?:md|png|csv)(?:#[^)]*)?\))[^)]*\)")  # folders and code

project = "recsys"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated/*.md"]
suppress_warnings = ["toc.not_included", "myst.header"]  # of tables of studies, to which their pages lead
html_theme = "furo"
html_title = "recsys"
html_copy_source = False
html_show_copyright = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_use_ivar = True


def setup(app: Sphinx) -> None:
    """Write the pages on models, and copy the studies, before the sources are read."""
    write_model_pages(GENERATED)
    shutil.copytree(ROOT / "experiments", GENERATED / "experiments", dirs_exist_ok=True, ignore=NOT_SHOWN)
    app.connect("source-read", point_to_copies)


def point_to_copies(app: Sphinx, name: str, source: list[str]) -> None:
    """Let links to the studies, which are outside this folder, lead to their copies, and links of the copies back."""
    source[0] = source[0].replace("](../experiments/", "](_generated/experiments/")
    if name.startswith("_generated"):
        source[0] = NOT_A_PAGE.sub(r"\1", source[0].replace("](../../docs/", "](../../../"))
