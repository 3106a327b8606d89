"""Whole models under schemes: caches, padding, beams, generate, training."""

import copy
import json

import attention_definition
import numpy as np
import pytest
from models import some_ids, transformers
from shared import SCHEMES, data_folder, torch

import ropewalk.hf as hf

# float32 logits of a few units, through two layers.
CLOSE = {"rtol": 0, "atol": 2e-4}


def logits(model, ids, **inputs):
    with torch.no_grad():
        return model(ids, use_cache=False, **inputs).logits


def cache_of(out):
    """The cache of an output, as keyword arguments of the next call."""
    name = "cache" if getattr(out, "cache", None) is not None else "past_key_values"
    return {name: getattr(out, name)}


def in_pieces(model, ids, sizes, **inputs):
    """Logits of a text that is read piece by piece through a cache."""
    parts, kept, at = [], {}, 0
    mask = inputs.pop("attention_mask", None)
    with torch.no_grad():
        for size in sizes:
            end = at + size
            own = {} if mask is None else {"attention_mask": mask[:, :end]}
            out = model(ids[:, at:end], use_cache=True, **kept, **own, **inputs)
            parts.append(out.logits)
            kept, at = cache_of(out), end
    assert at == ids.shape[1]
    return torch.cat(parts, 1)


def by_definition(model, position, context):
    """A copy of a Llama, in float64, whose attention is that of the definition."""
    twin = copy.deepcopy(model).double()
    hf.apply(twin, position, context=context)
    plans = {
        id(layer.self_attn): layer.self_attn._ropewalk.setting.plan
        for layer in twin.model.layers
    }

    def attend(module, q, k, v, mask, scaling, **kwargs):
        out = attention_definition.attention(q, k, v, plans[id(module)], scaling)
        return out.transpose(1, 2), None

    transformers.AttentionInterface.register("definition", attend)
    twin.config._attn_implementation_internal = "definition"
    return twin


@pytest.mark.parametrize("position", SCHEMES)
def test_logits_are_those_of_the_definition(tiny, position, way):
    ids = some_ids(150)
    want = logits(by_definition(tiny, position, 150), ids)
    own = logits(tiny, ids)
    hf.apply(tiny, position, context=150)
    got = logits(tiny, ids)
    torch.testing.assert_close(got.double(), want, **CLOSE)
    if position != "rope":
        assert (got - own).abs().max() > 0.01


@pytest.mark.parametrize("position", SCHEMES)
def test_pieces_through_a_cache_give_what_the_whole_text_gives(tiny, position):
    ids = some_ids(150)
    hf.apply(tiny, position, context=150)
    sizes = [37, 1, 1, 1, 40, 3, 1, 60, 1, 1, 1, 1, 1, 1]
    torch.testing.assert_close(in_pieces(tiny, ids, sizes), logits(tiny, ids), **CLOSE)


@pytest.mark.parametrize("side", ["left", "right", "holes"])
@pytest.mark.parametrize("position", ["rerope:window=16+logn-clip", "dca:chunk=24"])
def test_padding_changes_no_logits(tiny, position, side):
    lengths = [90, 90, 61, 12]
    hf.apply(tiny, position, context=100)
    ids = torch.zeros(4, 90, dtype=torch.long)
    mask = torch.zeros(4, 90, dtype=torch.long)
    wheres = []
    for row, n in enumerate(lengths):
        where = torch.arange(n) if side == "right" else torch.arange(90 - n, 90)
        if side == "holes" and n < 90:
            where = torch.randperm(90)[:n].sort().values
        ids[row, where] = some_ids(n, seed=row)[0]
        mask[row, where] = 1
        wheres.append(where)
    whole = logits(tiny, ids, attention_mask=mask)
    pieces = in_pieces(tiny, ids, [50, 1, 1, 30, 8], attention_mask=mask)
    for row, where in enumerate(wheres):
        alone = logits(tiny, ids[row : row + 1, where])[0]
        torch.testing.assert_close(whole[row, where], alone, **CLOSE)
        torch.testing.assert_close(pieces[row, where], alone, **CLOSE)


def greedy(model, ids, new):
    """Continues a text without a cache."""
    for _ in range(new):
        ids = torch.cat([ids, logits(model, ids)[:, -1:].argmax(-1)], 1)
    return ids


@pytest.mark.parametrize("position", ["rerope:window=16+logn-clip", "window:size=16",
                                      "self-extend:window=16,group=4"])  # fmt: skip
def test_generate_continues_as_reading_the_whole_text_does(tiny, position):
    hf.apply(tiny, position, context=120)
    ids = some_ids(80, seed=7)
    got = tiny.generate(ids, max_new_tokens=20, do_sample=False)
    assert torch.equal(got, greedy(tiny, ids, 20))
    # With one of another length beside it, padded on the left.
    pair = torch.cat([ids, torch.cat([torch.zeros(1, 35, dtype=torch.long),
                                      some_ids(45, seed=8)], 1)])  # fmt: skip
    got = tiny.generate(pair, attention_mask=(pair > 0).long(), max_new_tokens=20,
                        do_sample=False)  # fmt: skip
    assert torch.equal(got[:1], greedy(tiny, ids, 20))
    assert torch.equal(got[1:, 35:], greedy(tiny, some_ids(45, seed=8), 20))


def test_beams_find_what_they_find_without_a_cache(tiny):
    hf.apply(tiny, "rerope:window=16+logn-clip", context=120)
    ids = some_ids(70, seed=9)
    how = {"max_new_tokens": 12, "num_beams": 4, "do_sample": False}
    got = tiny.generate(ids, **how)
    assert torch.equal(got, tiny.generate(ids, use_cache=False, **how))


def test_a_static_cache_gives_the_same(tiny):
    hf.apply(tiny, "rerope:window=16", context=120)
    ids = some_ids(70, seed=9)
    how = {"max_new_tokens": 12, "do_sample": False}
    got = tiny.generate(ids, cache_implementation="static", disable_compile=True, **how)
    assert torch.equal(got, tiny.generate(ids, **how))


def test_a_cropped_cache_goes_on(tiny):
    hf.apply(tiny, "leaky-rerope:window=16,k=4", context=120)
    ids = some_ids(60)
    with torch.no_grad():
        out = tiny(ids[:, :50], use_cache=True)
        out = tiny(ids[:, 50:51], use_cache=True, **cache_of(out))
        kept = cache_of(out)
        next(iter(kept.values())).crop(-11)
        out = tiny(ids[:, 40:41], use_cache=True, **kept)
        out = tiny(ids[:, 41:], use_cache=True, **cache_of(out))
    torch.testing.assert_close(out.logits, logits(tiny, ids)[:, 41:], **CLOSE)


def test_remove_leaves_nothing_behind(tiny):
    ids = some_ids(60)
    before = logits(tiny, ids)
    names = [name for name, _ in tiny.named_modules()]
    keys = list(tiny.state_dict())
    applied = hf.apply(tiny, "rerope:window=16+logn-clip")
    assert hf.applied(tiny) == applied
    assert str(applied) == "rerope:window=16+logn-clip" and applied.context == 64
    assert list(tiny.state_dict()) == keys
    hf.apply(tiny, "window:size=8")
    hf.remove(tiny)
    hf.remove(tiny)
    assert hf.applied(tiny) is None
    assert torch.equal(logits(tiny, ids), before)
    assert [name for name, _ in tiny.named_modules()] == names
    assert not any("ropewalk" in name for m in tiny.modules() for name in vars(m))
    assert all(not m._forward_pre_hooks for m in tiny.modules())


def test_a_copy_of_a_model_is_changed_and_restored_by_itself(tiny):
    ids = some_ids(60)
    own = logits(tiny, ids)
    hf.apply(tiny, "window:size=8")
    changed = logits(tiny, ids)
    twin = copy.deepcopy(tiny)
    torch.testing.assert_close(logits(twin, ids), changed)
    hf.remove(twin)
    torch.testing.assert_close(logits(twin, ids), own)
    torch.testing.assert_close(logits(tiny, ids), changed)


def test_a_scheme_that_is_refused_leaves_the_model_as_it_was(tiny):
    ids = some_ids(60)
    hf.apply(tiny, "window:size=8")
    before = logits(tiny, ids)
    for position in ["reropes", "rerope:width=3", "rope+logn-learned"]:
        with pytest.raises(ValueError, match="."):
            hf.apply(tiny, position)
    for context in [0, -3, "4x", "k"]:
        with pytest.raises(ValueError, match="context must be"):
            hf.apply(tiny, "rope", context=context)
    assert torch.equal(logits(tiny, ids), before)


def test_a_text_beyond_the_context_is_an_error_where_that_matters(tiny):
    hf.apply(tiny, "leaky-rerope:window=16", context=128)
    with pytest.raises(ValueError, match="this one has 129: apply it with context=129"):
        logits(tiny, some_ids(129))
    hf.apply(tiny, "rerope:window=16", context=100)
    assert logits(tiny, some_ids(300)).isfinite().all()


def test_a_scheme_that_is_known_to_fail_warns(tiny):
    with pytest.warns(UserWarning, match="rope: this model was trained on 64 tokens"):
        hf.apply(tiny, "rope", context="1k")


def test_models_without_rotary_positions_are_refused():
    config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=97)
    model = transformers.GPT2LMHeadModel(config)
    before = model.config._attn_implementation
    with pytest.raises(hf.NotSupported, match="GPT2LMHeadModel has no rotary"):
        hf.apply(model, "rerope")
    assert model.config._attn_implementation == before


def test_masks_that_are_not_padding_are_refused(tiny):
    hf.apply(tiny, "rerope:window=16")
    ids = some_ids(8)
    with pytest.raises(ValueError, match="attention masks must be"):
        logits(tiny, ids, attention_mask=torch.ones(1, 1, 8, 8))
    with pytest.raises(ValueError, match="packed sequences"):
        logits(tiny, ids, position_ids=torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]]))


def loss_of(model, ids):
    """In the type of the model; that of transformers is float32."""
    out = model(ids, use_cache=False).logits[:, :-1].flatten(0, 1)
    return torch.nn.functional.cross_entropy(out, ids[:, 1:].flatten())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_the_definition(tiny, checkpointing, way):
    ids = some_ids(80, batch=2)
    position = "rerope:window=16+logn-clip"
    twin = by_definition(tiny, position, 80)
    loss_of(twin, ids).backward()
    hf.apply(tiny, position, context=80)
    if checkpointing:
        tiny.gradient_checkpointing_enable({"use_reentrant": False})
    tiny.train()
    loss_of(tiny, ids).backward()
    got = {name: p.grad.double() for name, p in tiny.named_parameters()}
    for name, parameter in twin.named_parameters():
        scale = parameter.grad.abs().max()
        assert scale > 0
        assert (got[name] - parameter.grad).abs().max() < 1e-4 * scale, name


def test_a_step_of_the_trainer_lowers_the_loss(tiny, tmp_path):
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    hf.apply(tiny, "rerope:window=16+logn-clip", context=80)
    rows = [{"input_ids": some_ids(80, seed=1)[0], "labels": some_ids(80, seed=1)[0]}
            for _ in range(8)]  # fmt: skip
    before = tiny(
        rows[0]["input_ids"][None], labels=rows[0]["labels"][None]
    ).loss.item()
    transformers.Trainer(
        tiny,
        transformers.TrainingArguments(
            str(tmp_path), max_steps=8, per_device_train_batch_size=2, report_to=[],
            use_cpu=True, learning_rate=3e-3, save_strategy="no", disable_tqdm=True,
        ),
        train_dataset=rows,
    ).train()  # fmt: skip
    with torch.no_grad():
        after = tiny(rows[0]["input_ids"][None], labels=rows[0]["labels"][None]).loss
    assert after.item() < before - 0.3


def families():
    """Small configs of models that differ in what attention is asked for."""
    common = {
        "vocab_size": 97, "hidden_size": 48, "intermediate_size": 64,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "pad_token_id": 0, "initializer_range": 0.3,
        "eos_token_id": None, "bos_token_id": None,
    }  # fmt: skip
    sliding = {"sliding_window": 16}
    both = {"layer_types": ["sliding_attention", "full_attention"] * 2, **sliding}
    T = transformers
    return {
        "mistral": lambda: T.MistralConfig(**common, **sliding),
        "qwen2": lambda: T.Qwen2Config(**common),
        "qwen3": lambda: T.Qwen3Config(**common, head_dim=16),
        "gemma2": lambda: T.Gemma2Config(
            **common, **both, head_dim=16, query_pre_attn_scalar=24,
            attn_logit_softcapping=3.0),
        "gemma3": lambda: T.Gemma3TextConfig(**common, **both, head_dim=16),
        "phi3": lambda: T.Phi3Config(**common),
        "smollm3": lambda: T.SmolLM3Config(**common, no_rope_layers=[1, 0, 1, 1]),
        "olmo2": lambda: T.Olmo2Config(**common),
        "cohere": lambda: T.CohereConfig(**common),
        "glm": lambda: T.GlmConfig(**common, head_dim=16, partial_rotary_factor=0.5),
        "gpt_neox": lambda: T.GPTNeoXConfig(
            **{**common, "hidden_size": 64, "num_key_value_heads": 4}),
    }  # fmt: skip


@pytest.mark.parametrize("family", families())
def test_every_family_reads_as_before_under_rope(family):
    torch.manual_seed(4)
    model = transformers.AutoModelForCausalLM.from_config(families()[family]()).eval()
    ids = some_ids(60)
    want = logits(model, ids)
    hf.apply(model, "rope")
    torch.testing.assert_close(logits(model, ids), want, **CLOSE)
    torch.testing.assert_close(in_pieces(model, ids, [31, 1, 1, 27]), want, **CLOSE)
    hf.apply(model, "rerope:window=24" + ("@all" if family == "mistral" else ""))
    whole = logits(model, ids)
    assert (whole - want).abs().max() > 1e-3
    torch.testing.assert_close(in_pieces(model, ids, [31, 1, 1, 27]), whole, **CLOSE)
    hf.remove(model)
    assert torch.equal(logits(model, ids), want)


def goldens():
    try:
        folder = data_folder() / "golden" / "hf"
    except pytest.skip.Exception:
        return []
    return sorted(p.parent.name for p in folder.glob("*/logits.f32"))


@pytest.mark.skipif(not goldens(), reason="no test data: set ROPEWALK_TEST_DATA")
@pytest.mark.parametrize("name", goldens())
def test_published_logits(name):
    folder = data_folder() / "golden" / "hf" / name
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32
    )
    ids = torch.tensor([json.loads((folder / "ids.json").read_text())])
    want = np.fromfile(folder / "logits.f32", np.float32).reshape(ids.shape[1], -1)
    hf.apply(model.eval(), "rope", context=ids.shape[1])
    allowed = 1e-4 * max(1.0, float(abs(want).max()))
    for got in (logits(model, ids), in_pieces(model, ids, [33, 1, 1, 1, 44])):
        np.testing.assert_allclose(got[0].numpy(), want, rtol=0, atol=allowed)
