from pathlib import Path

import numpy as np
import pytest

from recsys.studies.provenance import circumstances, forget_peak_memory


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system cannot forget a peak of memory")
def test_the_peak_memory_of_a_run_is_not_that_of_an_earlier_one_in_the_same_process():
    np.ones(40_000_000)  # 320 MB, and free again
    before = circumstances(1)["peak_memory_bytes"]
    forget_peak_memory()
    assert circumstances(1)["peak_memory_bytes"] < before
