"""From a profile and `--set` words to the effective settings, and where each of them came from.

YAML is read as a tree of nodes without its implicit types, because those are what garbles `0x…`, `1e18`,
`12:30:00` and `off`: every scalar reaches the parser of its setting as the text that stands in the file.
The tree is flattened to (path, text, place) entries; `--set path=value` gives entries of the same form; the
last entry of a path wins.

Every complaint is one line: the setting's path, what was expected, the place in the file, the nearest valid
name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from disruptor.config import parsers
from disruptor.config.schema import Settings, Spec, flatten, spec_path, specs, unflatten
from disruptor.errors import SettingError

#: Where each setting came from: path -> "default" | "profile NAME (FILE:LINE)" | "--set".
Origins = dict[str, str]

_PROFILES = Path(__file__).parent
_FILE_SIZE_MAX = 1 << 20
#: No setting lies deeper; this also ends an anchor that contains itself.
_DEPTH_MAX = 4


class _Entry(NamedTuple):
    """One setting as somebody wrote it."""

    path: str
    raw: parsers.Raw
    place: str
    origin: str


class _TextLoader(yaml.BaseLoader):
    """YAML whose scalars are all text: `SafeLoader` would read 12:30:00 as 45000 and 0x… as a number."""


def profile_names() -> list[str]:
    """The profiles that ship with the package.

    >>> profile_names()
    ['quote', 'replay', 'scan']
    """
    return sorted(path.stem for path in _PROFILES.glob("*.yaml"))


def load_settings(
    profile: str | Path | None = None, overrides: Sequence[str] = ()
) -> tuple[Settings, Origins]:
    """Defaults, then the profile, then the overrides.

    Parameters
    ----------
    profile : name of a shipped profile, or path of a YAML file; None for the defaults alone
    overrides : "path=value" each, in order; the value is YAML (`cpu_cores=[0,1]`)

    Returns
    -------
    settings, and for every path of `flatten(settings)` where its value came from

    Raises
    ------
    SettingError : unknown setting, bad value, unreadable profile; one line.

    >>> settings, origins = load_settings("scan", ["arbitrage.min_bps=2.5"])
    >>> settings.arbitrage.min_bps, origins["arbitrage.min_bps"], origins["max_batch"]
    (2.5, '--set', 'default')
    """
    entries = _profile_entries(profile) if profile is not None else []
    for override in overrides:
        entries.extend(_override_entries(override))
    values: dict[str, Any] = {}
    origins: Origins = {}
    for entry in entries:
        path, value = _parse(entry)
        values[path], origins[path] = value, entry.origin
    settings = unflatten(values)
    _check_together(settings)
    return settings, {path: origins.get(path, "default") for path in flatten(settings)}


def _profile_entries(profile: str | Path) -> list[_Entry]:
    """Entries of a profile, with the line of each."""
    path = _find_profile(profile)
    shown = path.name if path.parent == _PROFILES else str(profile)
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _FILE_SIZE_MAX else None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SettingError(f"profile {shown}: cannot be read: {reason}") from None
    if text is None:
        raise SettingError(f"profile {shown}: larger than {_FILE_SIZE_MAX} bytes: is it a profile at all?")
    root = _compose(text, f"profile {shown}")
    name = path.stem if path.parent == _PROFILES else shown
    entries = []
    for setting, raw, line in _walk(root, "", f"profile {shown}"):
        place = f"{shown}:{line}"
        entries.append(_Entry(setting, raw, f" ({place})", f"profile {name} ({place})"))
    return entries


def _find_profile(profile: str | Path) -> Path:
    """The file of a profile: a shipped name first, then a path."""
    names = profile_names()
    if str(profile) in names:
        return _PROFILES / f"{profile}.yaml"
    path = Path(profile)
    if not path.is_file():
        raise SettingError(
            f"profile {str(profile)!r}: no such profile or file; shipped are {', '.join(names)}"
            + _suggestion(str(profile), names)
        )
    return path


def _override_entries(override: str) -> list[_Entry]:
    """Entries of one `--set path=value`; more than one where the value is a mapping."""
    path, equals, text = override.partition("=")
    path = path.strip()
    if not equals or not path:
        raise SettingError(f"--set {override!r}: expected path=value, such as --set arbitrage.evaluate=log")
    root = _compose(text, f"--set {path}")
    if root is None:
        return [_Entry(path, "", "", "--set")]
    return [_Entry(found, raw, "", "--set") for found, raw, _ in _walk(root, path, f"--set {path}")]


def _compose(text: str, where: str) -> yaml.Node | None:
    """The node tree of a YAML document."""
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=_TextLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        raise SettingError(f"{where}{line}: not valid YAML: {problem}") from None
    return root


def _walk(node: yaml.Node | None, path: str, where: str) -> Iterator[tuple[str, parsers.Raw, int]]:
    """(path, text or list of texts, line) of every leaf below `node`."""
    if node is None:
        return
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and path:
        yield path, node.value, line
    elif isinstance(node, yaml.SequenceNode) and path:
        if not all(isinstance(item, yaml.ScalarNode) for item in node.value):
            raise SettingError(f"{path}: expected a flat list ({where}, line {line})")
        yield path, [item.value for item in node.value], line
    elif isinstance(node, yaml.MappingNode) and path.count(".") < _DEPTH_MAX:
        seen: set[str] = set()
        for key, value in node.value:
            name = _join(path, key.value if isinstance(key, yaml.ScalarNode) else "?")
            if name in seen:
                raise SettingError(f"{name}: set twice ({where}, line {key.start_mark.line + 1})")
            seen.add(name)
            yield from _walk(value, name, where)
    else:
        raise SettingError(f"{where}, line {line}: expected settings as `name: value` lines")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _parse(entry: _Entry) -> tuple[str, Any]:
    """Canonical path and value of one entry."""
    path, spec = _find_spec(entry)
    try:
        return path, spec.parse(entry.raw)
    except ValueError as error:
        shown = entry.raw if isinstance(entry.raw, str) else f"[{', '.join(entry.raw)}]"
        hint = ""
        if isinstance(spec.parse, parsers.Choice) and isinstance(entry.raw, str):
            hint = _suggestion(entry.raw, list(spec.parse.words))
        message = f"{path}: expected {error}, not {shown!r}{entry.place}{hint}"
        raise SettingError(message, path=path, origin=entry.origin) from None


def _find_spec(entry: _Entry) -> tuple[str, Spec]:
    """The spec of the setting that an entry names."""
    known = specs()
    path = entry.path
    parts = path.split(".")
    if parts[0] == "factories" and len(parts) > 1:
        try:
            parts[1] = parsers.address(parts[1])
        except ValueError as error:
            raise SettingError(f"{path}: expected {error}{entry.place}", path=path) from None
        path = ".".join(parts)
    spec = known.get(spec_path(path))
    if spec is not None:
        return path, spec
    inside = [name for name in known if name.startswith(f"{spec_path(path)}.")]
    if inside or (parts[0] == "factories" and len(parts) == 2):
        names = inside or ["factories.*.fee"]
        message = f"{path}: expected settings below it ({', '.join(names)}), not a value{entry.place}"
    else:
        message = f"{path}: unknown setting{entry.place}{_suggestion(path, list(known))}"
    raise SettingError(message, path=path, origin=entry.origin)


def _suggestion(word: str, valid: list[str]) -> str:
    """`; did you mean …?` for the nearest valid name, by the whole path or by its last part."""
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.6)
    if not close:
        by_tail = {name.rpartition(".")[2]: name for name in valid}
        tails = difflib.get_close_matches(word.rpartition(".")[2], list(by_tail), n=1, cutoff=0.6)
        close = [by_tail[tail] for tail in tails]
    return f"; did you mean {close[0]}?" if close else ""


def _check_together(settings: Settings) -> None:
    """Rules that span several settings."""
    if settings.max_batch > settings.ring_slots:
        raise SettingError(
            f"max_batch: expected at most ring_slots ({settings.ring_slots}), not {settings.max_batch}; "
            f"set both, such as --set max_batch={settings.ring_slots}",
            path="max_batch",
        )
