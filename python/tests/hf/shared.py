"""What tests of attention share. It skips where PyTorch or the compiled part of
the package is not there."""

import os
import pathlib
import shutil

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("ropewalk.plans", reason="the package's compiled part is not built")

from ropewalk.plans import parse_plan, plans  # noqa: E402

# Tensors are tiny: on a busy machine threads would wait for each other.
torch.set_num_threads(1)

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Every kind of scheme, small enough for texts of some 100 tokens.
SCHEMES = [
    "rope",
    "yarn:factor=4",
    "rerope:window=16+logn-clip",
    "rerope:window=20,far=11",
    "leaky-rerope:window=16,k=4+logn:base=64",
    "self-extend:window=16,group=4",
    "string:window=4,shift=40",
    "dca:chunk=24",
    "window:size=16",
    "sink-window:size=16",
    "nope",
]
# Windows at their ends.
EDGES = ["window:size=1", "rerope:window=1", "rerope:window=2", "rerope:window=90"]


def plan_of(position, length=100):
    """The plan of a scheme for heads of 24 components, 16 of which rotate."""
    return parse_plan(
        plans(position, head_width=24, rotary_width=16, base=100.0, train_length=32,
              length=length)[0]
    )  # fmt: skip


def tensors(T, S, dtype=torch.float64, Dv=24):
    """q [2, 6, T, 24], k [2, 2, S, 24], v [2, 2, S, Dv]."""
    torch.manual_seed(T * 1000 + S)
    shapes = (2, 6, T, 24), (2, 2, S, 24), (2, 2, S, Dv)
    return [torch.randn(s, dtype=dtype, requires_grad=True) for s in shapes]


def data_folder() -> pathlib.Path:
    """Models and goldens that are not part of the repository."""
    given = os.environ.get("ROPEWALK_TEST_DATA")
    folder = pathlib.Path(given) if given else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no test data: set ROPEWALK_TEST_DATA")
    return folder


def program() -> str:
    """The program `ropewalk`."""
    given = os.environ.get("ROPEWALK_BINARY")
    built = ROOT / "build/bin/ropewalk"
    found = given or (str(built) if built.is_file() else shutil.which("ropewalk"))
    if not found:
        pytest.skip("the program ropewalk is not built: set ROPEWALK_BINARY")
    return found
