"""Makes folders/: tiny random models as transformers writes them, with the
logits that it computes.

Usage: make_folders.py OUT
Needs PyPI's torch, transformers and safetensors. Each folder has config.json,
config.v4.json (the spelling of transformers 4), model.safetensors (bf16),
ids.json (80 tokens) and logits.f32 [80, 96] of eager attention in float32.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM

VOCABULARY, TOKENS = 96, 80
COMMON = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, bos_token_id=1, eos_token_id=2,
    pad_token_id=0)
PLAIN = dict(rope_type="default", rope_theta=10000.0)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=8.0,
            original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0)
LATENT = dict(
    num_key_value_heads=4, n_routed_experts=8, num_experts_per_tok=2,
    n_shared_experts=2, moe_intermediate_size=24, first_k_dense_replace=1,
    kv_lora_rank=16, q_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=12,
    v_head_dim=10, n_group=4, topk_group=2)
MODELS = {
    "deepseek-v2": dict(
        LATENT, model_type="deepseek_v2", topk_method="group_limited_greedy",
        routed_scaling_factor=16.0, norm_topk_prob=False,
        rope_parameters=dict(YARN, mscale=0.707, mscale_all_dim=0.5)),
    "deepseek-v3": dict(
        LATENT, model_type="deepseek_v3", routed_scaling_factor=2.5,
        norm_topk_prob=True,
        rope_parameters=dict(YARN, mscale=1.0, mscale_all_dim=1.0)),
    "gpt-oss": dict(
        model_type="gpt_oss", num_local_experts=4, num_experts_per_tok=2,
        head_dim=16, sliding_window=16,
        rope_parameters=dict(YARN, rope_theta=150000.0, truncate=False)),
    "granitemoeshared": dict(
        model_type="granitemoeshared", num_local_experts=4,
        num_experts_per_tok=2, shared_intermediate_size=40,
        embedding_multiplier=3.0, attention_multiplier=0.3,
        residual_multiplier=0.5, logits_scaling=2.0, rope_parameters=PLAIN),
}


def fill(model, generator):
    """Random weights that keep the size of what they multiply, in bf16."""
    state = list(model.named_parameters()) + [
        (name, buffer) for name, buffer in model.named_buffers()
        if name.endswith("e_score_correction_bias")]
    with torch.no_grad():
        for name, tensor in sorted(state):
            noise = torch.randn(tensor.shape, generator=generator)
            if "embed" in name:
                value = 0.3 * noise
            elif tensor.ndim >= 2:
                value = noise / tensor.shape[-1] ** 0.5
            elif name.endswith("bias") or "sinks" in name:
                value = 0.2 * noise
            else:
                value = 1 + 0.2 * noise
            tensor.copy_(value.bfloat16().float())


def old_spelling(config):
    """Positions flat at the top, as in most published folders."""
    old = dict(config)
    rope = dict(old.pop("rope_parameters"))
    old["rope_theta"] = rope.pop("rope_theta")
    plain = rope["rope_type"] == "default"
    old["rope_scaling"] = None if plain else rope
    return old


def main():
    out = pathlib.Path(sys.argv[1])
    ids = [1] + torch.randint(
        3, VOCABULARY, (TOKENS - 1,),
        generator=torch.Generator().manual_seed(7)).tolist()
    for seed, (name, settings) in enumerate(MODELS.items()):
        settings = {**COMMON, **settings}
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        model = AutoModelForCausalLM.from_config(
            config, attn_implementation="eager").float().eval()
        fill(model, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].float()
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        model.bfloat16().save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        written = json.loads((folder / "config.json").read_text())
        (folder / "config.v4.json").write_text(
            json.dumps(old_spelling(written), indent=1) + "\n")
        (folder / "ids.json").write_text(json.dumps(ids) + "\n")
        logits.numpy().tofile(folder / "logits.f32")
        print(name, float(logits.min()), float(logits.max()))


main()
