"""Where local runs keep what may be thrown away: logs, scratch, downloads. By XDG."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from controller.local.process import Places

APP = "tunekeeper"
KEPT_LOGS = 20


def state_root(environ: Mapping[str, str]) -> Path:
    """Logs and scratch: ``$XDG_STATE_HOME/tunekeeper``."""
    return _xdg(environ, "XDG_STATE_HOME", ".local/state")


def cache_root(environ: Mapping[str, str]) -> Path:
    """Downloads and digests: ``$XDG_CACHE_HOME/tunekeeper``."""
    return _xdg(environ, "XDG_CACHE_HOME", ".cache")


def open_places(environ: Mapping[str, str], *, label: str) -> Places:
    """The folders of one invocation; the oldest logs of others make room."""
    state = state_root(environ)
    places = Places(
        logs=state / "logs" / label, scratch=state / "scratch" / label, cache=cache_root(environ)
    )
    for folder in (places.logs, places.scratch, places.cache):
        folder.mkdir(parents=True, exist_ok=True)
    _forget_old(places.logs.parent)
    return places


def _forget_old(logs: Path) -> None:
    newest_first = sorted(logs.iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for old in newest_first[KEPT_LOGS:]:
        shutil.rmtree(old, ignore_errors=True)


def _xdg(environ: Mapping[str, str], name: str, default: str) -> Path:
    """The specification ignores relative paths."""
    given = Path(environ.get(name, ""))
    root = given if given.is_absolute() else Path(environ.get("HOME", "~")).expanduser() / default
    return root / APP
