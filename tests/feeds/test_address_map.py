"""The address table against a dict."""

from __future__ import annotations

import random

from disruptor.feeds.address_map import address_words, find, insert, new_table, with_room


def test_tables_answer_like_a_dict_while_they_grow():
    draw = random.Random(1)
    shapes = [
        lambda k: k.to_bytes(20, "big"),
        lambda k: k.to_bytes(20, "little"),
        lambda k: draw.randbytes(20),
    ]
    known: dict[bytes, int] = {}
    table = new_table(4)
    for k in range(1, 300):
        address = shapes[k % 3](k)
        table = with_room(table, len(known), 1)
        if address not in known:
            insert(table, *address_words(address), len(known))
            known[address] = len(known)
    assert len(table) >= 2 * len(known)
    assert all(find(table, *address_words(address)) == number for address, number in known.items())
    assert find(table, *address_words(bytes([9]) * 20)) == -1


def test_a_table_with_room_stays_as_it_is():
    table = new_table(8)
    assert with_room(table, 3, 1) is table
    assert len(with_room(table, 4, 1)) == 16
