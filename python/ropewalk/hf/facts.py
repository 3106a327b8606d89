"""What position schemes need to know about a model of transformers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch


class NotSupported(ValueError):
    """The model cannot be read under another scheme; the message says why."""


@dataclasses.dataclass
class Seen:
    """What attention of one layer is called with."""

    module: torch.nn.Module
    q: torch.Tensor  # [1, H, n, D]
    k: torch.Tensor  # [1, G, n, D]
    scale: float
    softcap: float | None
    window: int
    # q and k as the model rotates them, where these are not.
    rotated: tuple[torch.Tensor, torch.Tensor] | None = None


def text_config(model: torch.nn.Module) -> Any:
    config = model.config
    get = getattr(config, "get_text_config", None)
    return config if get is None else get(decoder=True)


def rotary_modules(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The modules that give cos and sin, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if "Rotary" in type(module).__name__ and _inverse_frequencies(module)
    }


def _inverse_frequencies(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """By kind of layer; '' where all layers share them."""
    found = {}
    for name, value in module.named_buffers(recurse=False):
        if name.endswith("inv_freq") and "original" not in name and "long" not in name:
            found[name[: -len("inv_freq")].rstrip("_")] = value
    return found


def _rope_parameters(config: Any) -> dict[str, dict]:
    """By kind of layer; '' where all layers share them."""
    rope = getattr(config, "rope_parameters", None) or {}
    nested = {k: v for k, v in rope.items() if isinstance(v, dict)}
    return nested or {"": dict(rope)}


def model_facts(model: torch.nn.Module, seen: list[Seen], turned: list[bool]) -> dict:
    """The fields of the library's ModelPositions.

    seen: a layer each, in order; turned: which of them rotate.
    """
    config = text_config(model)
    length = getattr(config, "max_position_embeddings", None)
    if not isinstance(length, int) or length < 1:
        raise NotSupported("config has no max_position_embeddings: no trained length")
    tables: dict[str, tuple[torch.Tensor, float]] = {}
    for module in rotary_modules(model).values():
        for kind, frequencies in _inverse_frequencies(module).items():
            prefix = f"{kind}_" if kind else ""
            magnitude = getattr(module, f"{prefix}attention_scaling", 1.0)
            tables[kind] = (frequencies.detach().double().cpu(), float(magnitude))
    parameters = _rope_parameters(config)
    kinds = list(getattr(config, "layer_types", None) or [])
    if len(kinds) != len(seen):
        kinds = ["full_attention"] * len(seen)
    by_layer = [kind if kind in parameters else "" for kind in kinds]
    if any(kind not in parameters for kind in by_layer):
        raise NotSupported(
            f"config.rope_parameters has {sorted(parameters)}, layers are of the kinds "
            f"{sorted(set(kinds))}"
        )
    # The model's own table is that of the layers which read the whole text.
    rotating = [i for i, turns in enumerate(turned) if turns]
    whole = [i for i in rotating if seen[i].window == 0] or rotating
    main = by_layer[whole[0]]
    facts: dict[str, Any] = {
        "head_width": int(seen[0].q.shape[-1]),
        "train_length": length,
        "declared_length": length,
    }
    facts.update(_table_facts(parameters[main], config, *_table(tables, main)))
    facts["layers"] = []
    for i, one in enumerate(seen):
        layer: dict[str, Any] = {"window": one.window, "rotates": turned[i]}
        own = parameters[by_layer[i]]
        if turned[i] and own != parameters[main]:
            if own.get("rope_type", "default") != "default":
                raise NotSupported(
                    f"layer {i} has a scaling of its own ({own['rope_type']}) beside "
                    "that of other layers"
                )
            layer.update(base=float(own["rope_theta"]), scaled=False)
        facts["layers"].append(layer)
    return facts


def _table(tables: dict, kind: str) -> tuple[torch.Tensor, float]:
    if kind in tables:
        return tables[kind]
    if len(tables) == 1:
        return next(iter(tables.values()))
    raise NotSupported(f"no rotary frequencies for layers of the kind '{kind}'")


def _table_facts(rope: dict, config, frequencies, magnitude: float) -> dict:
    """Base, width and scaling of the model's own table."""
    width = 2 * len(frequencies)
    base = float(rope.get("rope_theta") or getattr(config, "rope_theta", 10000.0))
    original = rope.get("original_max_position_embeddings") or getattr(
        config, "original_max_position_embeddings", None
    )
    facts: dict[str, Any] = {"base": base, "rotary_width": width}
    if original:
        facts["original_length"] = int(original)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "linear":
        facts.update(scaling="linear", scaling_factor=float(rope["factor"]))
    elif kind == "yarn":
        factor = float(rope["factor"])
        own = 0.1 * math.log(factor) + 1 if factor > 1 else 1.0
        facts.update(
            scaling="yarn",
            scaling_factor=factor,
            yarn_fast=float(rope.get("beta_fast") or 32),
            yarn_slow=float(rope.get("beta_slow") or 1),
            yarn_truncates=bool(rope.get("truncate", True)),
            attention_factor=magnitude / own,
        )
    elif kind == "longrope":
        facts.update(
            scaling="longrope",
            short_factors=[float(x) for x in rope["short_factor"]],
            long_factors=[float(x) for x in rope["long_factor"]],
            attention_factor=magnitude,
            has_attention_factor=True,
        )
    elif kind not in ("default", "dynamic"):
        # As files do it, llama3's among them: divisors of the frequencies.
        pairs = torch.arange(len(frequencies), dtype=torch.float64)
        divisors = base ** (-2 * pairs / width) / frequencies
        if not torch.isfinite(divisors).all():
            raise NotSupported(f"rope_type {kind} leaves pairs without rotation")
        factor = float(rope.get("factor", 1))
        # float32 frequencies give them to 7 digits; the ends are known exactly.
        for exact in (1.0, factor):
            near = (divisors / exact - 1).abs() < 1e-6
            divisors = torch.where(near, torch.full_like(divisors, exact), divisors)
        facts.update(frequency_divisors=divisors.tolist(), attention_factor=magnitude)
    return facts
