"""The guide to many pictures: its commands and its Python run as they stand there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from guides import follow
from PIL import Image
from pyarrow import parquet
from tars import members

PAGE = "nst_adain/batch/README.md"
CAPABILITIES = getattr(torch.cpu, "get_capabilities", dict)


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.usefixtures("ray_here")
def test_the_guide_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cpu, "get_capabilities", CAPABILITIES, raising=False)  # as Ray's workers see them
    names: dict[str, Any] = follow(PAGE, tmp_path, {})
    assert {path.name for path in Path("parts").glob("*.png")} == {path.name for path in Path("two").glob("*.png")}
    assert all(path.read_bytes() == (Path("two") / path.name).read_bytes() for path in Path("parts").glob("*.png"))
    made = {name: data for tar in Path("tars").glob("*.tar") for name, data in members(tar).items()}
    assert made == {path.name.replace("__ink_wash", ""): path.read_bytes() for path in Path("one").glob("*.png")}
    assert Image.open(io.BytesIO(names["sample"]["png"])).size
    assert names["photos"][0]["label"] == 3
    table = parquet.read_table("styled")
    assert set(table.column_names) == {"key", "image"}
    assert Image.open(io.BytesIO(table.column("image")[0].as_py())).size
