"""The notebooks of examples/python run from top to bottom, on a small model."""

from __future__ import annotations

import os
import pathlib

import pytest

nbformat = pytest.importorskip("nbformat", reason="no nbformat")
nbclient = pytest.importorskip("nbclient", reason="no nbclient")

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"


def run(name, model, monkeypatch):
    monkeypatch.setenv("ROPEWALK_MODEL", str(model))
    monkeypatch.delenv("ROPEWALK_TEXT", raising=False)
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": FOLDER}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(o.get("text", "") for o in cell.outputs) for cell in code], notebook


def test_no_notebook_is_left_out():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} >= {"extend", "compare"}


def test_committed_notebooks_have_no_outputs():
    for path in FOLDER.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs"), path


def test_extend_runs(novels, monkeypatch):
    texts, _ = run("extend", novels, monkeypatch)
    assert texts[1] and "rerope" in texts[2]
    rope, scheme = (float(line.split()[0]) for line in texts[3].splitlines())
    assert scheme < rope


def test_compare_runs(novels, monkeypatch):
    texts, notebook = run("compare", novels, monkeypatch)
    figure = notebook.cells[-3].outputs
    assert any("image/png" in output.get("data", {}) for output in figure)
    assert "nats" in texts[-1] and not texts[-1].startswith("rope:")


def test_a_missing_model_is_told(tmp_path, monkeypatch):
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="set ROPEWALK_MODEL"):
        run("extend", tmp_path / "none.gguf", monkeypatch)
