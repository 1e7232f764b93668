"""The guide for researchers and other tools: its examples run in order, and its image for Docker can be built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from guides import ROOT, follow

from nst_adain.cli.main import _parser
from nst_adain.functional import ChannelStats

PAGE = "nst_adain/README.md"
NOT_RUN = {"cat samples/chelsea.png | ": "a pipe; tests/cli/test_pipes.py has its own"}


def test_everything_runs_in_order(tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(samples, tmp_path / "samples")
    monkeypatch.chdir(tmp_path)
    # Compiled by Inductor it takes a minute and a half.
    names = follow(PAGE, tmp_path, NOT_RUN, lambda text: text.replace("compile(model)", 'compile(model, backend="eager")'))
    assert names["painted"].shape == (256, 256, 3)  # type: ignore[attr-defined]
    assert names["frames"].shape == (2, 3, 64, 64)  # type: ignore[attr-defined]
    assert [type(result).__name__ for result in names["three"]] == ["ndarray", "ndarray", "Tensor"]  # type: ignore[attr-defined]
    assert ChannelStats.load("drawn.safetensors") == names["drawn"]
    assert float(names["gradient"].abs().sum()) > 0  # type: ignore[attr-defined]
    model, content, painting = (names[name] for name in ("model", "content", "painting"))
    expected = model(content, painting).detach()  # type: ignore[operator]
    for same, tolerance in ((names["fast"], 1e-4), (names["program"](content, painting), 1e-4), (names["half"], 0.1)):  # type: ignore[operator]
        np.testing.assert_allclose(same.detach().float(), expected, atol=tolerance)
    assert "NODE_CLASS_MAPPINGS" in names


def dockerfile() -> str:
    (text,) = re.findall(r"^```dockerfile\n(.*?)^```", (ROOT / PAGE).read_text(), flags=re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_image_starts_a_command_that_is_there() -> None:
    program, *words = json.loads(re.findall(r"^CMD (.*)$", dockerfile(), re.MULTILINE)[0])
    assert program == "nst-adain"
    arguments = _parser().parse_args(words)
    assert f"EXPOSE {arguments.port}" in dockerfile()
    for extra in re.findall(r"\[(\w+)\]", dockerfile()):
        assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.slow
def test_the_image_can_be_built(tmp_path: Path) -> None:
    """Where Docker is there, and can download."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("needs Docker")
    subprocess.run(["pip", "wheel", str(ROOT), "--no-deps", "-q", "-w", str(tmp_path / "dist")], check=True)
    (tmp_path / "Dockerfile").write_text(dockerfile())
    subprocess.run(["docker", "build", "--tag", "nst-adain-test", str(tmp_path)], check=True)
    run = ["docker", "run", "--rm", "nst-adain-test", "nst-adain", "demo", "-o", "/tmp/demo.png", "--model", "slim"]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "/tmp/demo.png\n"
    size = subprocess.run(["docker", "image", "inspect", "-f", "{{.Size}}", "nst-adain-test"], capture_output=True, check=True)
    print(f"the image has {int(size.stdout) / 1e9:.2f} GB")
