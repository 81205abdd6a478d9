"""Page policies: what is obtained is what the kernel says, and what is refused names its remedy."""

from __future__ import annotations

import numpy as np
import pytest

from disruptor import pages
from disruptor.errors import MemoryPolicyError
from disruptor.mapping import map_private
from disruptor.pages import GIB_1, MIB_2, PagePolicy, Pool, allocate

MOUNTS = r"""sysfs /sys sysfs rw 0 0
hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0
none /mnt/one\040gig hugetlbfs rw,pagesize=1024M 0 0
"""


def test_private_memory_is_zero_page_aligned_and_writable():
    words, obtained = allocate(5000, PagePolicy("off"))
    assert words.shape == (5000,) and words.ctypes.data % 4096 == 0 and not words.any()
    words[:] = 255
    assert obtained.kind == "plain" and obtained.huge_bytes == 0 and obtained.prefaulted


def test_memory_lives_as_long_as_a_view_of_it():
    view = allocate(1 << 16, PagePolicy("off"))[0][100:200].view(np.uint8)
    others = [allocate(1 << 16, PagePolicy("off"))[0] for _ in range(8)]
    for other in others:
        other[:] = 1
    assert not view.any()


def test_preferred_huge_pages_report_what_smaps_counts():
    words, obtained = allocate(2 * MIB_2, PagePolicy("prefer"))
    assert words.ctypes.data % MIB_2 == 0
    if obtained.kind == "plain":
        assert obtained.huge_bytes == 0
    else:
        assert 0 < obtained.huge_bytes <= obtained.size == 2 * MIB_2


def test_huge_bytes_counts_only_the_overlap():
    mapping = map_private(2 * MIB_2, MIB_2)
    low, high = mapping.address, mapping.address + mapping.size
    smaps = (
        f"{low - MIB_2:x}-{low:x} rw-p 00000000 00:00 0\nAnonHugePages:      2048 kB\n"
        f"{low:x}-{high + 4 * MIB_2:x} rw-p 00000000 00:00 0\nSize: 1 kB\nAnonHugePages:     12288 kB\n"
        f"VmFlags: rd wr\n"
    )
    assert pages.huge_bytes(mapping, smaps) == 2 * MIB_2
    assert pages.huge_bytes(mapping, smaps.replace("12288", "2048")) == MIB_2


@pytest.mark.parametrize("size", [MIB_2, GIB_1])
def test_required_pages_that_are_missing_name_the_commands(size, monkeypatch):
    pool = Pool(size, total=3, free=1, reserved=0)
    monkeypatch.setattr(pages, "inspect_pools", lambda: [pool])
    monkeypatch.setattr(pages, "hugetlbfs_mounts", lambda page_size: [])
    error = pages.refuse("no pages", size + 1, size)
    reserve, mount = error.facts["command"].splitlines()
    assert reserve == f"echo 4 > /sys/kernel/mm/hugepages/hugepages-{size >> 10}kB/nr_hugepages"
    assert "mount -t hugetlbfs" in mount and f"pagesize={size >> 20}M" in mount
    assert reserve in str(error) and mount in str(error)


def test_require_beyond_the_pool_is_refused():
    with pytest.raises(MemoryPolicyError, match="nr_hugepages"):
        allocate(1 << 50, PagePolicy("require"))


def test_more_than_the_address_space_is_an_error_not_a_crash():
    with pytest.raises(MemoryPolicyError, match="lower the capacities"):
        allocate(1 << 60, PagePolicy("off"))


def test_mounts_are_found_by_page_size():
    assert [str(p) for p in pages.hugetlbfs_mounts(MIB_2, MOUNTS)] == ["/dev/hugepages"]
    assert [str(p) for p in pages.hugetlbfs_mounts(GIB_1, MOUNTS)] == ["/mnt/one gig"]


def test_unknown_node_is_refused_with_the_nodes_there_are():
    with pytest.raises(MemoryPolicyError, match="numa_node: 4711 is not a node of this machine; it has"):
        allocate(4096, PagePolicy("off", numa_node=4711))


def test_locking_is_done_or_refused_with_the_limit():
    try:
        obtained = allocate(1 << 40, PagePolicy("off", prefault=False, lock=True))[1]
    except MemoryPolicyError as e:
        assert "ulimit -l" in str(e) or "lower the capacities" in str(e)
    else:
        pytest.fail(f"a terabyte was locked: {obtained}")


@pytest.mark.parametrize("bad", [{"huge_pages": "maybe"}, {"page_size": 4096}])
def test_bad_policy_is_refused(bad):
    with pytest.raises(MemoryPolicyError, match=next(iter(bad))):
        PagePolicy(**bad)


@pytest.mark.slow
def test_pools_are_inspected_through_the_hugepages_package():
    for pool in pages.inspect_pools():
        assert pool.page_size % MIB_2 == 0 and 0 <= pool.free <= pool.total
