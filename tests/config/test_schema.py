"""The settings struct: every field has a spec, paths go both ways, semantic settings are told apart."""

from __future__ import annotations

from disruptor.config.schema import Settings, flatten, spec_path, specs, unflatten


def test_every_setting_has_a_spec_and_every_spec_a_setting():
    assert {spec_path(path) for path in flatten(Settings())} == set(specs())


def test_every_default_is_valid_in_the_words_that_show_it():
    for path, value in flatten(Settings()).items():
        raw = [str(v) for v in value] if isinstance(value, tuple) else str(value)
        if path == "huge_page_size":
            raw = "2MiB"
        assert specs()[spec_path(path)].parse(raw) == value, path


def test_unflatten_inverts_flatten():
    changed = flatten(Settings()) | {
        "max_batch": 7,
        "arbitrage.evaluate": "log",
        "capacity.ticks": 5,
        "factories.0x" + "ab" * 20 + ".fee": 100,
    }
    assert flatten(unflatten(changed)) == changed


def test_only_settings_that_change_results_are_semantic():
    names = {spec_path(path) for path in Settings().semantic()}
    assert names == {
        "chain_id",
        "normalised_swaps",
        "default_v2_fee",
        "arbitrage.enabled",
        "arbitrage.evaluate",
        "arbitrage.base_tokens",
        "arbitrage.block_time",
        "arbitrage.funding",
        "arbitrage.gas",
        "arbitrage.loan_bps",
        "arbitrage.max_amount_in",
        "arbitrage.max_hops",
        "arbitrage.min_bps",
        "arbitrage.native_pools",
        "arbitrage.native_token",
        "arbitrage.priority_fee",
        "factories.*.fee",
    }


def test_factory_fees_are_keyed_by_address_bytes():
    fees = Settings().factory_fees()
    assert fees[bytes.fromhex("1097053fd2ea711dad45caccc45eff7548fcb362")] == 2500
    assert all(len(address) == 20 for address in fees)


def test_flatten_has_a_fixed_order_whatever_order_factories_came_in():
    one = unflatten({f"factories.0x{d * 40}.fee": 1 for d in "ab"})
    two = unflatten({f"factories.0x{d * 40}.fee": 1 for d in "ba"})
    assert list(flatten(one)) == list(flatten(two))
