"""Estimates of the memory that is free."""

import pytest

from recsys.models import memory

MIB = 2**20


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8,192 MiB free and a process in the control group job/step; returns the root of the groups."""
    groups = tmp_path / "groups"
    (groups / "job" / "step").mkdir(parents=True)
    files = {"MEMINFO": f"MemTotal: 9999999 kB\nMemAvailable:  {8 * MIB} kB\n", "OWN_GROUP": "3:cpu:/\n0::/job/step\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(memory, name, tmp_path / name)
    monkeypatch.setattr(memory, "GROUPS", groups)
    return groups


def limit(group, most, used, cached):
    """Write the files of a control group, in bytes."""
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\nactive_file {MIB}\n")


def test_memory_without_limits_is_what_the_machine_has(machine):
    assert memory.available_bytes() == 8192 * MIB
    limit(machine / "job", "max", 100 * MIB, 0)
    assert memory.available_bytes() == 8192 * MIB


def test_the_limit_of_any_group_around_the_process_counts_without_cached_files(machine):
    limit(machine / "job", 1000 * MIB, 300 * MIB, 99 * MIB)
    assert memory.available_bytes() == 800 * MIB
    limit(machine / "job" / "step", 500 * MIB, 300 * MIB, 0)
    assert memory.available_bytes() == 201 * MIB


def test_a_limit_above_the_free_memory_of_the_machine_changes_nothing(machine):
    limit(machine / "job", 10**12, MIB, 0)
    assert memory.available_bytes() == 8192 * MIB


def test_the_machine_of_the_tests_has_free_memory():
    assert memory.available_bytes() > 0
