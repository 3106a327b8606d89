"""The notebook that trains InvLeaky, with few steps."""

import json

import pytest
from shared import ROOT, program

for needed in ("tokenizers", "safetensors"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

import ropewalk.torch_ops  # noqa: E402

NOTEBOOK = ROOT / "examples/python/train_invleaky.ipynb"


@pytest.mark.skipif(
    not ropewalk.torch_ops.available(),
    reason="no operators for this PyTorch: run python -m ropewalk.torch_ops.build",
)
def test_the_notebook_runs_from_start_to_end(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("ROPEWALK_BINARY", program())
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setenv("STEPS", "4")
    names: dict = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(names["table"]) == 3
    # After 4 steps the loss is near that of a guess, ln 4096 = 8.3.
    assert all(6 < loss < 9 for row in names["table"].values() for loss in row)
    assert "PyTorch" in capsys.readouterr().out
