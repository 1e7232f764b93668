"""Finds packages of npm for the tests: in a cache of theirs, or fetched once by npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

__all__ = ["package"]

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nst_adain-tests"


def package(name: str, version: str) -> Path:
    """The folder of a package; skips the test where it is neither in the cache nor can be fetched."""
    folder = CACHE / f"{name}-{version}"
    if folder.is_dir():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"needs {name} {version} at {folder}, or npm to fetch it")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as partial:
        # No scripts: files are all that is wanted of it.
        fetch = [npm, "pack", f"{name}@{version}", "--silent", "--ignore-scripts", "--pack-destination", partial]
        try:
            subprocess.run(fetch, check=True, capture_output=True, timeout=120)
        except (subprocess.SubprocessError, OSError):
            pytest.skip(f"needs {name} {version} at {folder}, or a network for npm to fetch it")
        (archive,) = Path(partial).glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(partial, filter="data")
        try:
            (Path(partial) / "package").rename(folder)
        except OSError:  # another process was first
            assert folder.is_dir()
    return folder
