"""What `recsys.data` imports: a closed-form run on prepared data loads neither torch nor scikit-learn."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "pytorch_lightning", "sklearn", "matplotlib", "requests", "pooch", "sentence_transformers", "hydra")
MODULES = (
    "prepare",
    "dataset",
    "split",
    "splitters",
    "leakage",
    "sources",
    "databases",
    "metadata",
    "features",
    "text",
)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    code = f"import sys, {', '.join(f'recsys.data.{name}' for name in MODULES)}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("module", HEAVY)
def test_the_data_package_does_not_import(module, imported):
    assert module not in imported
