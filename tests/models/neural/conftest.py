"""A small split that the tests of deep models share."""

import pytest

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.data.splitters import LeaveLastOut


@pytest.fixture
def split(timed: Dataset) -> Split:
    return LeaveLastOut()(timed)
