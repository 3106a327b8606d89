"""What the tests of ropewalk.hf share. They skip where PyTorch, transformers or
the compiled part are not there."""

import os
import pathlib
import shutil

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip(
    "transformers", minversion="5.0", reason="transformers 5 is not installed"
)
pytest.importorskip(
    "ropewalk.hf.native", reason="the package's compiled part is not built"
)

import ropewalk.hf  # noqa: E402

transformers.logging.set_verbosity_error()
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


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: reads a real model")


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


@pytest.fixture
def tiny():
    """A small Llama with random weights, grouped heads and a trained length of
    64 tokens."""
    return make_tiny()


def make_tiny(dtype=torch.float32, **changes):
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        **{
            "vocab_size": 97,
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
            "initializer_range": 0.3,
            "pad_token_id": 0,
            "eos_token_id": None,
            "bos_token_id": None,
            **changes,
        }
    )
    return transformers.LlamaForCausalLM(config).to(dtype).eval()


def some_ids(length: int, batch: int = 1, seed: int = 5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 97, (batch, length), generator=generator)
