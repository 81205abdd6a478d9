"""Profiles and overrides: values as the user meant them, origins, and one-line complaints."""

from __future__ import annotations

import pytest

from disruptor.config.loader import load_settings, profile_names
from disruptor.config.schema import Settings, flatten
from disruptor.errors import SettingError

ADDRESS = "0x" + "0A" * 20


def _complaint(profile=None, *overrides):
    with pytest.raises(SettingError) as caught:
        load_settings(profile, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


def _profile(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_no_profile_gives_the_defaults():
    settings, origins = load_settings()
    assert settings == Settings()
    assert set(origins.values()) == {"default"}


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_load_and_say_where_each_value_came_from(name):
    settings, origins = load_settings(name)
    assert origins["normalised_swaps"].startswith(f"profile {name} ({name}.yaml:")
    assert settings.normalised_swaps is (name == "replay")
    assert origins["max_batch"] == "default"


def test_profile_values_stay_what_the_user_meant(tmp_path):
    path = _profile(
        tmp_path,
        f"huge_pages: off\nchain_id: 0x89\nmemory_pool_size: 1e9\ncpu_cores: []\nmlock: yes\n"
        f"factories:\n  {ADDRESS}: {{fee: 2500}}\nnuma_node: null\n",
    )
    settings, origins = load_settings(path)
    assert settings.huge_pages == "off"
    assert settings.chain_id == 0x89
    assert settings.memory_pool_size == 10**9
    assert settings.mlock is True
    assert settings.factories[ADDRESS.lower()].fee == 2500
    assert origins[f"factories.{ADDRESS.lower()}.fee"] == f"profile {path} ({path}:7)"
    assert len(settings.factories) == len(Settings().factories) + 1


def test_overrides_win_over_the_profile_and_later_over_earlier():
    settings, origins = load_settings("replay", ["arbitrage.evaluate=log", "arbitrage.evaluate=transaction"])
    assert settings.arbitrage.evaluate == "transaction"
    assert origins["arbitrage.evaluate"] == "--set"


def test_an_override_may_be_a_mapping_or_empty():
    settings, _ = load_settings(None, ["arbitrage={evaluate: log, min_bps: 3}", "chain_id="])
    assert (settings.arbitrage.evaluate, settings.arbitrage.min_bps, settings.chain_id) == ("log", 3.0, None)


def test_origins_cover_exactly_the_settings():
    settings, origins = load_settings("scan", [f"factories.{ADDRESS}.fee=1"])
    assert list(origins) == list(flatten(settings))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("arbitrage.evalute=log", "arbitrage.evalute: unknown setting; did you mean arbitrage.evaluate?"),
        ("evaluate=log", "evaluate: unknown setting; did you mean arbitrage.evaluate?"),
        ("zzz=1", "zzz: unknown setting"),
        (
            "arbitrage.evaluate=blok",
            "arbitrage.evaluate: expected block, transaction or log, not 'blok'; did you mean block?",
        ),
        ("ring_slots=1000", "ring_slots: expected a power of two from 64 to 268435456, not '1000'"),
        ("max_batch=12:30:00", "max_batch: expected an integer from 1 to 268435456, not '12:30:00'"),
        ("huge_pages=[a, b]", "huge_pages: expected require, prefer or off, not '[a, b]'"),
        ("factories.0x12.fee=1", "factories.0x12.fee: expected an address: 0x and 40 hex digits"),
        ("factories=3", "factories: expected settings below it (factories.*.fee), not a value"),
        ("max_batch={a: 1}", "max_batch.a: unknown setting; did you mean max_batch?"),
        ("max_batch=99999", "max_batch: expected at most ring_slots (65536), not 99999; set both,"),
        ("max_batch", "--set 'max_batch': expected path=value"),
        ("=3", "--set '=3': expected path=value"),
        ("cpu_cores=[[1]]", "cpu_cores: expected a flat list"),
        ("cpu_cores=[", "--set cpu_cores, line 1: not valid YAML"),
        ("max_batch=", "max_batch: expected an integer from 1 to 268435456, not ''"),
    ],
)
def test_a_bad_override_is_one_line_with_path_expectation_and_nearest_name(override, message):
    assert _complaint(None, override).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nmax_bach: 3\n", "a: unknown setting ({}:1)"),
        ("mlock: true\nmax_bach: 3\n", "max_bach: unknown setting ({}:2); did you mean max_batch?"),
        ("mlock: [1, 2]\n", "mlock: expected true or false, not '[1, 2]' ({}:1)"),
        ("mlock: true\nmlock: false\n", "mlock: set twice (profile {}, line 2)"),
        ("- 1\n- 2\n", "profile {}, line 1: expected settings as"),
        ("just words\n", "profile {}, line 1: expected settings as"),
        ("a: [\n", "profile {}, line 2: not valid YAML"),
        ("arbitrage: &x\n  arbitrage: *x\n", "profile {}, line"),
        ("arbitrage: 3\n", "arbitrage: expected settings below it"),
        ("? [1]\n: 2\n", "?: unknown setting ({}:2)"),
    ],
)
def test_a_bad_profile_names_file_and_line(tmp_path, text, message):
    path = _profile(tmp_path, text)
    assert message.format(path) in _complaint(path)


def test_an_empty_profile_changes_nothing(tmp_path):
    assert load_settings(_profile(tmp_path, "# nothing\n"))[0] == Settings()


def test_an_unknown_profile_lists_what_ships():
    assert _complaint("repaly") == (
        "profile 'repaly': no such profile or file; shipped are quote, replay, scan; did you mean replay?"
    )


def test_a_profile_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in _complaint(path)
    path.write_bytes(b"#" * (1 << 21))
    assert "larger than" in _complaint(path)
