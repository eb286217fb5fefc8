from pathlib import Path

import numpy as np
import pytest

from recsys.studies.identity import code_digest
from recsys.studies.provenance import circumstances, forget_peak_memory


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system cannot forget a peak of memory")
def test_the_peak_memory_of_a_run_is_not_that_of_an_earlier_one_in_the_same_process():
    np.ones(40_000_000)  # 320 MB, and free again
    before = circumstances(1)["peak_memory_bytes"]
    forget_peak_memory()
    assert circumstances(1)["peak_memory_bytes"] < before


def test_the_digest_of_code_includes_the_package_of_a_model_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "laboratory" / "ridge.py"
    module.parent.mkdir()
    module.write_text("class Ridge: ...")
    own = code_digest({"model": {"_target_": "recsys.models.ease.EASE"}, "logger": {"_target_": "laboratory.Log"}})
    config = {"model": {"_target_": "laboratory.ridge.Ridge", "l2": 1.0}}
    before = code_digest(config)
    module.write_text("class Ridge: l2 = 2")
    assert len({own, before, code_digest(config)}) == 3
    assert own == code_digest({})
