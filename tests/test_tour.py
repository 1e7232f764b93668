"""The notebook that is a tour of the package: it runs, holds its pictures, and is small."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "tests" / "tour" / "style_interpolation.ipynb"


@pytest.mark.filterwarnings("ignore")  # of the libraries that talk to the kernel
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On smaller pictures, in a process and a folder of its own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    notebook = nbformat.read(NOTEBOOK, 4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert "SIZE = 224 " in first.source
    first.source = first.source.replace("SIZE = 224 ", "SIZE = 64 ")
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert not list(tmp_path.iterdir())


def test_its_pictures_are_in_it_and_small() -> None:
    assert NOTEBOOK.stat().st_size < 1_500_000
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    pictures = [out for cell in cells for out in cell.outputs if {"image/jpeg", "image/png"} & out.get("data", {}).keys()]
    assert len(pictures) >= 11
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))  # from top to bottom
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"]
