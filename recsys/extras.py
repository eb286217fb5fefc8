"""The project's optional dependencies (extras), and the error that says how to install a missing one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from recsys.errors import UserError

# Extras of pyproject.toml, and the names by which their packages are imported.
EXTRAS = {
    "web": (
        "alembic",
        "fastapi",
        "limits",
        "nicegui",
        "prometheus_client",
        "sqlalchemy",
        "starlette",
        "usearch",
        "uvicorn",
    ),
    "mcp": ("mcp",),
    "plots": ("matplotlib",),
    "databases": ("psycopg", "pymysql"),  # and DuckDB's extensions, which are downloaded if not installed
    "spark": ("pyspark", "py4j"),
    "text": ("sentence_transformers", "transformers"),
    "search": ("optuna",),
    "parallel": ("hydra_plugins.hydra_joblib_launcher",),
    "slurm": ("hydra_plugins.hydra_submitit_launcher",),
    "lightgbm": ("lightgbm",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
}


def missing(package: str, extra: str) -> UserError:
    """Return the error for a missing package; its message names the extra that installs the package."""
    return UserError(f"This needs {package}, which pip install 'recsys[{extra}]' installs.")


def require(extra: str) -> None:
    """Check that the packages of an extra are installed, so that long work does not fail late because one is missing.

    Args:
        extra: name of the extra, in `EXTRAS`.

    Raises:
        UserError: a package is missing.
    """
    for package in EXTRAS[extra]:
        if importlib.util.find_spec(package) is None:
            raise missing(package, extra)


@contextmanager
def naming_extras() -> Iterator[None]:
    """Turn a failed import of an optional package in the `with` block into an error that names the extra to install.

    All other exceptions pass unchanged.

    Raises:
        UserError: a package of an extra is missing.
    """
    try:
        yield
    except Exception as error:
        module = _missing_module(error)
        for extra, packages in EXTRAS.items():
            for package in packages:
                if f"{module}.".startswith(f"{package}."):
                    raise missing(package, extra) from error
        raise


def _missing_module(error: BaseException | None) -> str | None:
    """Return the name of the missing module that caused an error, or None if no missing module caused it."""
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__
    return None if error is None else error.name
