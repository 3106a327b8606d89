"""Where the models are, and the package that is tested."""

from __future__ import annotations

import os
import pathlib

import pytest

import ropewalk

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    return ROOT


@pytest.fixture(scope="session")
def novels() -> pathlib.Path:
    """The small model that comes with the repository, trained to 256 tokens."""
    return ROOT / "models" / "novels-4m.gguf"


@pytest.fixture(scope="session")
def model(novels: pathlib.Path) -> ropewalk.Model:
    return ropewalk.Model.load(novels, threads=2)


@pytest.fixture(scope="session")
def exact(novels: pathlib.Path) -> ropewalk.Model:
    """The same with products in float32: how a text is cut into portions then
    changes logits by rounding in float32 alone."""
    return ropewalk.Model.load(novels, threads=2, exact=True)


@pytest.fixture(scope="session")
def text() -> str:
    """English of some thousand tokens."""
    return (ROOT / "docs" / "attention.md").read_text() + (ROOT / "docs" / "positions.md").read_text()


@pytest.fixture(scope="session")
def data() -> pathlib.Path:
    """Models and texts of other people; skips where they are not."""
    folder = os.environ.get("ROPEWALK_TEST_DATA") or str(ROOT.parent / "shared" / "data")
    if not (pathlib.Path(folder) / "models").is_dir():
        if os.environ.get("ROPEWALK_REQUIRE_DATA") == "1":
            pytest.fail(f"ROPEWALK_REQUIRE_DATA=1, and there is no test data in {folder}")
        pytest.skip("no test data: set ROPEWALK_TEST_DATA")
    return pathlib.Path(folder)
