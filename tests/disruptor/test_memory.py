"""Named regions: attach, refuse, adopt and clean; a dead owner is really killed here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from disruptor import layout as lay
from disruptor import memory, region_file
from disruptor.errors import MemoryPolicyError, RegionError
from disruptor.layout import plan_region
from disruptor.memory import Region, check_aligned
from disruptor.owner import is_alive, this_process
from disruptor.pages import PagePolicy
from disruptor.sequence import INITIAL, NOT_GATING

PLAN = plan_region(8, 64, type_capacity=4, counter_capacity=2, state_size=100)
OFF = PagePolicy("off")


def create(directory, name="r", **facts):
    return Region.create(name, PLAN, policy=OFF, directory=directory, **facts)


@pytest.fixture
def dead_owner(tmp_path):
    """A region whose owner was killed after it wrote 9 into slot 1."""
    program = (
        "import sys, pathlib; from disruptor.memory import Region\n"
        "from disruptor.pages import PagePolicy; from disruptor.layout import plan_region\n"
        "plan = plan_region(8, 64, type_capacity=4, counter_capacity=2, state_size=100)\n"
        "r = Region.create('r', plan, policy=PagePolicy('off'), directory=pathlib.Path(sys.argv[1]))\n"
        "r.slots[1] = 9; r.block[32] = r.block[49] = 1; print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait(timeout=30)
    child.stdin.close()
    child.stdout.close()
    return tmp_path


def test_a_new_region_is_empty_and_owned_by_this_process(tmp_path):
    with create(tmp_path, schema_hash=2**64 - 1) as region:
        assert region.path.stat().st_mode & 0o777 == 0o600
        assert os.listdir(tmp_path) == ["disruptor-r"], "no temporary file stays"
        assert region.owner_is_alive() and int(region.owner["pid"]) == os.getpid()
        assert int(region.identity["schema_hash"]) == 2**64 - 1
        assert region.block[lay.CURSOR_WORD] == INITIAL
        assert all(region.block[lay.gating_word(n)] == NOT_GATING for n in range(lay.MAX_CONSUMERS))
        shapes = (region.slots.shape, region.types.shape, region.counters.shape, region.state.shape)
        assert shapes == ((8, 64), (4,), (2,), (100,))
    assert os.listdir(tmp_path) == []


def test_attached_region_is_the_same_memory(tmp_path):
    with create(tmp_path, schema_hash=7) as region:
        other = Region.attach("r", schema_hash=7, layout=PLAN, directory=tmp_path)
        region.slots[3], region.state[99] = 5, 6
        region.types[2]["size"] = 160
        assert other.slots[3].tolist() == [5] * 64 and other.state[99] == 6 and other.types[2]["size"] == 160
        other.close()
        assert region.path.exists(), "only the owner removes the file"


def test_arrays_outlive_a_closed_region(tmp_path):
    region = create(tmp_path)
    slots = region.slots
    region.close()
    del region
    slots[:] = 1
    assert slots.sum() == 8 * 64


def test_live_owner_is_refused(tmp_path):
    with create(tmp_path):
        with pytest.raises(RegionError, match=f"running process {os.getpid()}"):
            create(tmp_path)
        with pytest.raises(RegionError, match=f"running process {os.getpid()}"):
            Region.adopt("r", directory=tmp_path)


@pytest.mark.slow
def test_residue_of_a_killed_owner_is_removed_with_a_note(dead_owner):
    residue = Region.attach("r", directory=dead_owner)
    assert not residue.owner_is_alive()
    assert residue.block[lay.CONTROL_WORD] == residue.block[lay.WAITERS_WORD] == 1, "as its owner left it"
    with create(dead_owner) as region:
        assert len(region.notes) == 1 and "left behind" in region.notes[0]
        assert not region.slots.any()


@pytest.mark.slow
def test_adopting_a_dead_owners_region_keeps_its_contents(dead_owner):
    with Region.adopt("r", directory=dead_owner, layout=PLAN) as region:
        assert region.slots[1].tolist() == [9] * 64
        assert region.block[lay.CONTROL_WORD] == region.block[lay.WAITERS_WORD] == 0
        assert region.owner_is_alive() and "took over" in region.notes[0]
        with pytest.raises(RegionError, match="running process"):
            create(dead_owner)


@pytest.mark.parametrize(
    ("field", "value"), [("start_time", 1), ("boot_id", np.zeros(16, np.uint8)), ("pid", 2**22 + 1)]
)
def test_a_reused_pid_or_another_boot_is_a_dead_owner(field, value):
    owner = np.array(this_process())
    assert is_alive(owner[()])
    owner[field] = value
    assert not is_alive(owner[()])


def test_an_owner_in_another_pid_namespace_counts_as_living():
    owner = np.array(this_process())
    owner["pid_namespace"], owner["pid"] = 1, 2**22 + 1
    assert is_alive(owner[()])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", 9, "layout version 9"),
        ("ring_offset", 64, "contradict each other"),
        ("region_size", 1 << 30, "header says 1073741824"),
        ("capacity", 7, "power of two"),
        ("magic", 5, "not a region"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, field, value, message):
    with create(tmp_path) as region:
        region.identity[field] = value
        with pytest.raises(RegionError, match=message):
            Region.attach("r", directory=tmp_path)


def test_other_schema_and_geometry_are_refused(tmp_path):
    with create(tmp_path, schema_hash=1):
        with pytest.raises(RegionError, match="schema 0000000000000001, expected 0000000000000002"):
            Region.attach("r", schema_hash=2, directory=tmp_path)
        with pytest.raises(RegionError, match="another geometry"):
            Region.attach("r", layout=plan_region(16, 64), directory=tmp_path)


def test_a_foreign_file_is_neither_used_nor_removed(tmp_path):
    foreign = tmp_path / "disruptor-r"
    foreign.write_bytes(b"mine" * 2000)
    for use in (lambda: create(tmp_path), lambda: Region.attach("r", directory=tmp_path)):
        with pytest.raises(RegionError, match="not a region"):
            use()
    assert foreign.exists()


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b"])
def test_names_cannot_leave_the_directory(tmp_path, name):
    with pytest.raises(RegionError, match="region name"):
        create(tmp_path, name)


def test_missing_region_says_where_it_was_sought(tmp_path):
    with pytest.raises(RegionError, match=str(tmp_path)):
        Region.attach("absent", directory=tmp_path)


def test_a_full_file_system_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(fd, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MemoryPolicyError, match="No space left"):
        create(tmp_path)
    assert os.listdir(tmp_path) == []


def test_required_pages_without_a_mount_name_the_command_that_mounts(tmp_path, monkeypatch):
    monkeypatch.setattr(region_file, "hugetlbfs_mounts", lambda size: [])
    monkeypatch.setattr("disruptor.pages.hugetlbfs_mounts", lambda size: [])
    monkeypatch.setattr("disruptor.pages.inspect_pools", lambda: [])
    with pytest.raises(MemoryPolicyError, match=r"mount -t hugetlbfs -o pagesize=2M") as caught:
        Region.create("r", PLAN, policy=PagePolicy("require"), directory=tmp_path)
    assert "nr_hugepages" in str(caught.value) and os.listdir(tmp_path) == []


def test_misaligned_memory_is_refused():
    raw = np.zeros(4096 + 128, np.uint8)
    start = -raw.ctypes.data % 64
    check_aligned(raw[start : start + 64], 64)
    with pytest.raises(RegionError, match="aligned"):
        check_aligned(raw[start + 8 : start + 72], 64)


def test_module_never_uses_the_standard_shared_memory():
    for module in (memory, region_file):
        source = Path(module.__file__).read_text()
        assert "import multiprocessing" not in source and "from multiprocessing" not in source
