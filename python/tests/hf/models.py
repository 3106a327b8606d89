"""Tiny models for tests. It skips where transformers is not there."""

import pytest
from shared import torch

transformers = pytest.importorskip(
    "transformers", minversion="5.0", reason="transformers 5 is not installed"
)
transformers.logging.set_verbosity_error()


def make_tiny(**changes):
    """A small Llama with random weights, grouped heads and a trained length of
    64 tokens."""
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
    return transformers.LlamaForCausalLM(config).eval()


def some_ids(length: int, batch: int = 1, seed: int = 5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 97, (batch, length), generator=generator)
