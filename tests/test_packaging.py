"""Where the weights are found: in a wheel, in an editable install and in a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = (
    "import nst_adain, nst_adain.models.pretrained as p;"
    "nst_adain.Stylizer.from_pretrained(device='cpu');"
    "print(nst_adain.__file__); print(p.weights_folder())"
)


def found_from(folder: Path, path: Path | None) -> list[str]:
    """Where a new process in `folder` finds the package and its weights."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if path:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, "-c", CODE], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:2]


def test_wheel_carries_the_weights_and_not_the_training(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        names = archive.namelist()
    assert {"nst_adain/weights/slim.safetensors", "nst_adain/web/web.css", "nst_adain/web/elements/stage.js"} <= set(names)
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "nst_adain/site/page").iterdir()}
    assert page <= set(names)
    assert not any(name.startswith(("train/", "tests/")) for name in names)
    package, weights = found_from(tmp_path, site)
    assert Path(package) == site / "nst_adain" / "__init__.py"
    assert Path(weights) == site / "nst_adain" / "weights"


def test_checkout_finds_the_weights_beside_the_package(tmp_path: Path) -> None:
    package, weights = found_from(tmp_path, ROOT)
    assert Path(package) == ROOT / "nst_adain" / "__init__.py"
    assert Path(weights) == ROOT / "weights"


def test_installed_package_finds_the_weights_from_any_folder(tmp_path: Path) -> None:
    """The package that is tested is installed, editable by the README's command."""
    package, weights = found_from(tmp_path, None)
    assert Path(package) == ROOT / "nst_adain" / "__init__.py"
    assert Path(weights) == ROOT / "weights"
