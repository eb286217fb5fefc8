"""HTML reports: one file each, which loads nothing from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from recsys.files import write_whole


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill a template of `templates/` and write the page, whole.

    Args:
        path: of the page.
        template: name of a file that extends `base.html.j2`.
        values: what the template shows; text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("recsys.analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(values)
    write_whole(path, lambda file: file.write(page.encode()))
