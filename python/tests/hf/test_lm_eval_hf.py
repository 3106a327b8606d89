"""The harness on ropewalk.hf and on the engine: the same task, the same answers."""

import os
import pathlib
import subprocess
import sys

import pytest
from models import transformers
from shared import ROOT, program, torch

pytest.importorskip("lm_eval", reason="no lm_eval")
huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval without hf")

import ropewalk  # noqa: E402
import ropewalk.hf as hf  # noqa: E402
from ropewalk.lm_eval_model import RopewalkLM  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from test_needle_tasks import NAMES, run_needles  # noqa: E402


def compare(gguf, folder, position, context, **metadata):
    """Runs the needle tasks under a scheme on both and returns their results.
    Weights and products are float32 on both sides."""
    subprocess.run([program(), "convert", gguf, folder], check=True, capture_output=True)
    engine = ropewalk.Model.load(folder, threads=1, exact=True)
    lm = RopewalkLM(engine, position=position, context=context, kv_type="f32")
    ours, docs, of_engine = run_needles(lm, folder, **metadata)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    hf.apply(model.eval(), position, context=context)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in (docs[0]["prompt"], docs[-1]["answer"]):
        assert tokenizer(text)["input_ids"] == engine.tokenizer.encode(text)
    theirs, same_docs, of_model = run_needles(
        huggingface.HFLM(
            pretrained=model, tokenizer=tokenizer, max_length=context, device="cpu",
            add_bos_token=engine.tokenizer.encode("a")[0] == engine.tokenizer.bos,
        ),
        folder, **metadata,
    )  # fmt: skip
    assert docs == same_docs
    assert of_engine[NAMES[0]] == of_model[NAMES[0]]
    for (a, greedy), (b, also_greedy) in zip(of_engine[NAMES[1]], of_model[NAMES[1]]):
        assert a == pytest.approx(b, abs=1e-3)
        assert greedy == also_greedy
    for name in NAMES:
        assert ours[name]["accuracy,none"] == theirs[name]["accuracy,none"]
    return ours


@pytest.mark.parametrize("position", ["rerope:window=64+logn-clip", "leaky-rerope:window=64,k=4"])
def test_a_needle_run_of_both_agrees(position, tmp_path):
    novels = ROOT / "models" / "novels-4m.gguf"
    results = compare(
        novels, tmp_path / "model", position, 512, lengths=[500], at=[25, 75], trials=1
    )
    assert results[NAMES[1]]["loss,none"] > 0


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("ROPEWALK_SLOW"), reason="slow: set ROPEWALK_SLOW=1")
def test_a_needle_run_of_both_agrees_on_smollm2(tmp_path):
    gguf = os.environ.get("ROPEWALK_SMOLLM2")
    if not gguf or not pathlib.Path(gguf).is_file():
        pytest.skip("no SmolLM2: set ROPEWALK_SMOLLM2 to its GGUF file")
    results = compare(
        gguf, tmp_path / "model", "rerope:window=1024+logn-clip", 4096,
        lengths=[1024, 4000], at=[50], trials=2,
    )  # fmt: skip
    assert results[NAMES[0]]["accuracy,none"] > 0
