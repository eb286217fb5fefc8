"""Writes HTML reports, each as one self-contained file that loads no other resource."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from recsys.files import write_text


def first_sentence(text: str) -> str:
    """Return the first sentence of a finding; a period after a short word (`Dr.`) does not end a sentence."""
    return re.split(r"(?<=[a-z]{4}\.)\s|(?<=[\d%)]\.)\s", text, maxsplit=1)[0]


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template from `templates/` and write the page atomically.

    Args:
        path: path of the HTML file.
        template: file name of a template that extends `base.html.j2`.
        values: variables of the template; text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("recsys.analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(values)
    write_text(path, page)
