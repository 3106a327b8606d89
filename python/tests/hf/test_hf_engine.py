"""ropewalk.hf against the engine, on a tiny model and on SmolLM2."""

import json
import os
import pathlib
import subprocess
import warnings

import pytest
from models import make_tiny, some_ids, transformers
from shared import SCHEMES, program, torch

import ropewalk.hf as hf

# f32 keys and values and float32 products on both sides: what is left is the
# order of sums.
ENGINE = ["--kv-type", "f32", "--exact"]


def engine_losses(folder, ids, length, scored, positions, path):
    """By scheme: the mean loss of the last `scored` targets."""
    (path / "ids.txt").write_text(" ".join(map(str, ids)) + "\n")
    command = [
        program(), "measure", "-m", folder, "--ids", path / "ids.txt", *ENGINE,
        "--length", length, "--score-last", scored, "--json", path / "out.json",
    ]  # fmt: skip
    for position in positions:
        command += ["--position", position]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    rows = json.loads((path / "out.json").read_text())["rows"]
    return {row["position"]: row["loss"] for row in rows}


def loss(model, ids, length, scored):
    with torch.no_grad():
        out = model(torch.tensor([ids[:length]]), use_cache=False).logits[0]
    return torch.nn.functional.cross_entropy(
        out[-scored:].double(), torch.tensor(ids[length - scored + 1 : length + 1])
    ).item()


def compare(model, folder, ids, length, scored, positions, path, allowed):
    want = engine_losses(folder, ids, length, scored, positions, path)
    assert len(set(want.values())) == len(positions)
    for position in positions:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hf.apply(model, position, context=length)
        got = loss(model, ids, length, scored)
        assert got == pytest.approx(want[position], abs=allowed), position


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_losses_of_a_tiny_model_are_those_of_the_engine(family, tmp_path):
    if family == "llama":
        model = make_tiny()
    else:
        torch.manual_seed(3)
        model = transformers.Gemma3ForCausalLM(
            transformers.Gemma3TextConfig(
                vocab_size=97, hidden_size=48, intermediate_size=64, head_dim=16,
                num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                max_position_embeddings=64, initializer_range=0.3, sliding_window=16,
                layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                pad_token_id=0, eos_token_id=None, bos_token_id=None,
            )
        ).eval()  # fmt: skip
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    ids = some_ids(151)[0].tolist()
    compare(model, folder, ids, 150, 100, SCHEMES, tmp_path, 1e-4)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("ROPEWALK_SLOW"), reason="slow: set ROPEWALK_SLOW=1"
)
def test_losses_of_smollm2_are_those_of_the_engine(tmp_path):
    cache = pathlib.Path.home() / ".cache/ropewalk/models/smollm2-f16.gguf"
    gguf = pathlib.Path(os.environ.get("ROPEWALK_SMOLLM2", cache))
    if not gguf.is_file():
        pytest.skip("no SmolLM2: set ROPEWALK_SMOLLM2 to its f16 GGUF file")
    folder = tmp_path / "model"
    subprocess.run(
        [program(), "convert", gguf, folder], check=True, capture_output=True
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = (
        pathlib.Path(__file__).resolve().parents[3] / "docs/attention.md"
    ).read_text()
    ids = tokenizer(text)["input_ids"][:1025]
    positions = [
        "rope", "rerope:window=256+logn-clip", "leaky-rerope:window=256,k=4",
        "rerope:window=300,far=200", "self-extend:window=256,group=4",
        "dca:chunk=384", "window:size=256", "sink-window:size=256",
        "yarn:factor=4", "ntk-mixed:factor=4", "string:window=32,shift=400", "nope",
    ]  # fmt: skip
    compare(model.eval(), folder, ids, 1024, 512, positions, tmp_path, 1e-3)
