"""The page's modules pass the type checker of TypeScript, which reads their comments."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from npm import package

from nst_adain.site import static_site

PAGE = Path(static_site.__file__).parent / "page"
OPTIONS = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022", "--module", "esnext"]


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    compiler = package("typescript", "5.9.3") / "lib" / "tsc.js"
    found = ["--moduleResolution", "bundler", "--lib", "es2023,dom,dom.iterable"]
    command = [node, str(compiler), *OPTIONS, *found, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True)


def test_types_are_right() -> None:
    done = check(*sorted(PAGE.glob("*.js")))
    assert done.returncode == 0, done.stdout


def test_a_wrong_type_is_found(tmp_path: Path) -> None:
    shutil.copytree(PAGE, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "live.js").read_text()
    (tmp_path / "live.js").write_text(text.replace("this.side = 192", 'this.side = "192"'))
    assert "live.js" in check(tmp_path / "live.js").stdout
