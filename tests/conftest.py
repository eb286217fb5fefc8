"""Where fixtures are, the order of files, and what makes imports faster."""

import gc
import importlib.metadata
from functools import cache

import pytest
from lightning_utilities.core import imports as requirements

# Lightning imports torchmetrics, and this imports transformers where it is installed, which takes a second.
_version = requirements._version
requirements._version = lambda name: _version("absent" if name == "transformers" else name)

# Each Trainer looks for callbacks in the metadata of all packages, which takes a fifth of the time of a small fit.
importlib.metadata.entry_points = cache(importlib.metadata.entry_points)

LONGEST = (
    "test_contract.py", "test_every_page.py", "test_spark.py", "test_feedback.py", "test_training.py",
    "test_sharding.py", "test_studies.py", "test_workers.py", "test_refit.py", "test_train.py", "test_sharded_run.py",
    "test_start.py", "test_api.py", "test_reading.py", "test_databases.py", "test_store.py", "test_config.py",
    "test_interruptions.py", "test_stored_configs.py", "test_segments_command.py", "test_recommend.py",
    "test_clicks.py", "test_sources.py", "test_metadata.py", "test_steps.py", "test_load.py", "test_wheel.py",
    "test_sweeps.py", "test_importance_command.py", "test_replay.py",
)  # fmt: skip


# The objects of all imported modules live as long as the tests: a garbage collector that goes through them again and
# again takes a twelfth of the time.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Import fixtures where tests run: the process that distributes them over others would import half the packages."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_finish() -> None:
    """Collect garbage from here on, and seldom, among the objects that tests make."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: one at the end would leave all other processes idle."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))
