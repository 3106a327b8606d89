"""Reading a model of transformers under a position scheme."""

from __future__ import annotations

import dataclasses
import threading
import warnings
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache

from ..plans import UNBOUNDED, Plan, build_plans, parse_plan
from .banded import Setting, banded_attention
from .cache import UnrotatedLayer, adopt
from .facts import NotSupported, Seen, model_facts, rotary_modules, text_config
from .rotation import Layout, Turns, rotate

NAME = "ropewalk"
_ATTRIBUTE = "_ropewalk"


@dataclasses.dataclass
class Applied:
    """A scheme as a model reads under it.

    position: as it was asked for; spelling: with every value filled in
    context: the tokens that it was built for
    changed: which layers it changes, in words; empty if all
    """

    position: str
    spelling: str
    context: int
    changed: str

    def __str__(self) -> str:
        return f"{self.spelling} {self.changed}".strip()


class _State:
    """What a model carries while a scheme is applied."""

    def __init__(self, applied: Applied, facts: dict, plans: list[str]) -> None:
        self.applied = applied
        self.facts = facts
        self.plans = plans
        self.limit = applied.context
        self.undo: list = []
        self.position_ids: torch.Tensor | None = None

    def require_length(self, length: int) -> None:
        """Raises ValueError where the plans hold for shorter texts only."""
        if length <= self.limit:
            return
        longer = max(length, 2 * self.limit)
        built = build_plans(
            self.applied.position, self.facts, longer, len(self.plans)
        )
        if built["plans"] != self.plans:
            raise ValueError(
                f"{self.applied.spelling} was made for texts of {self.applied.context} "
                f"tokens, and this one has {length}: apply it with context={length} "
                "or more"
            )
        self.limit = longer


class _Layer:
    """What an attention module carries."""

    def __init__(self, state: _State, index: int, setting: Setting) -> None:
        self.state = state
        self.index = index
        self.setting = setting
        self.offset = 0  # tokens before those of the call
        self.cache: UnrotatedLayer | None = None
        self.window = _window(setting.plan)

    def before(self, module, args, kwargs) -> None:
        """Ahead of the module's forward: how much the cache holds."""
        self.offset, self.cache = 0, None
        for value in (*args, *kwargs.values()):
            if isinstance(value, Cache):
                layer = adopt(value, self.index, self.window)
                self.cache = layer if isinstance(layer, UnrotatedLayer) else None
                self.offset = int(value.get_seq_length(self.index))
                break


def _window(plan: Plan) -> int | None:
    """The most keys that a query reads, where a window bounds them."""
    reach = 0
    for band in plan.bands:
        if band.selector.kind != "distance" or band.selector.high >= UNBOUNDED:
            return None
        reach = max(reach, band.selector.high)
    return reach


class _NoRotation(torch.nn.Module):
    """cos = 1 and sin = 0, of the shapes that the model's module gives."""

    def __init__(self, rotary: torch.nn.Module, state: _State | None = None):
        super().__init__()
        self.rotary = rotary
        self.state = state
        self.widths: dict = {}

    def forward(self, x, position_ids=None, *args, **kwargs):
        key = (args, tuple(sorted(kwargs.items())))
        if key not in self.widths:
            one = torch.zeros((1, 1), dtype=torch.long, device=x.device)
            cos, _ = self.rotary(x[:1, :1], one, *args, **kwargs)
            self.widths[key] = cos.shape[-1]
        if self.state is not None:
            self.state.position_ids = position_ids
        shape = (*position_ids.shape, self.widths[key])
        one = torch.ones((), dtype=x.dtype, device=x.device)
        return one.expand(shape), torch.zeros_like(one).expand(shape)


_recording = threading.local()


def _attend(
    module,
    query,
    key,
    value,
    attention_mask,
    scaling=None,
    dropout=0.0,
    softcap=None,
    sliding_window=None,
    s_aux=None,
    **kwargs,
):
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    recorder = getattr(_recording, "to", None)
    if recorder is not None:
        recorder.append(
            Seen(
                module,
                query.detach(),
                key.detach(),
                scale,
                softcap,
                int(sliding_window or 0),
            )
        )
        shape = (query.shape[0], query.shape[2], query.shape[1], value.shape[-1])
        return query.new_zeros(shape), None
    layer = getattr(module, _ATTRIBUTE, None)
    if layer is None:
        raise RuntimeError(
            "this model shares its config with one that ropewalk.hf.apply has "
            "changed; load it with a config of its own"
        )
    if dropout:
        raise ValueError(
            f"attention dropout of {dropout} is not supported; set "
            "config.attention_dropout to 0"
        )
    setting = layer.setting
    if scale != setting.scale or softcap != setting.softcap:
        setting = dataclasses.replace(setting, scale=scale, softcap=softcap)
    return _over_rows(layer, setting, query, key, value, attention_mask, s_aux), None


def _over_rows(layer: _Layer, setting, q, k, v, mask, sinks) -> torch.Tensor:
    """[B, T, H, Dv]; rows of a batch that have the same padding go together."""
    T = q.shape[2]
    end = layer.offset + T
    if k.shape[2] > end:  # a static cache has room behind
        k, v = k[:, :, :end], v[:, :, :end]
    first = end - k.shape[2]
    layer.state.require_length(end)
    if mask is None:
        kept = _kept_keys(layer, k, T, 0)
        return banded_attention(q, k, v, setting, first, sinks, kept).transpose(1, 2)
    if mask.dim() != 2:
        raise ValueError(
            "attention masks must be [batch, tokens], 1 for a token and 0 for "
            f"padding; got one of {mask.dim()} dimensions"
        )
    if mask.shape[1] < end:
        raise ValueError(
            f"attention_mask has {mask.shape[1]} columns for {end} tokens"
        )
    out = v.new_zeros((q.shape[0], T, q.shape[1], v.shape[-1]))
    for rows, tokens in _groups(mask, end):
        queries = tokens[tokens >= layer.offset]
        keys = tokens[tokens >= first]
        if len(queries) == 0:
            continue
        of_q = _select(queries - layer.offset, q.device)
        of_k = _select(keys - first, q.device)
        own = slice(None) if len(rows) == q.shape[0] else rows
        part = banded_attention(
            _take(q[own], of_q),
            _take(k[own], of_k),
            _take(v[own], of_k),
            setting,
            len(tokens) - len(keys),
            sinks,
            _kept_keys(layer, k, T, of_k.start)
            if isinstance(own, slice) and isinstance(of_k, slice)
            else None,
        ).transpose(1, 2)
        if isinstance(own, slice):
            if isinstance(of_q, slice):
                out = _padded(part, of_q, T)
            else:
                out = out.index_copy(1, of_q, part)
        else:
            if isinstance(of_q, slice):
                part = _padded(part, of_q, T)
            else:
                blank = out.new_zeros((len(rows), *out.shape[1:]))
                part = blank.index_copy(1, of_q, part)
            out = out.index_copy(0, torch.as_tensor(rows, device=q.device), part)
    return out


# Queries of a call up to which rotated keys are kept for the next one.
_DECODING = 16


def _kept_keys(layer: _Layer, k, T: int, shift: int):
    """What gives banded_attention the keys that a cache keeps rotated; their
    first is token `shift`. None where keys come from elsewhere."""
    cache = layer.cache
    if cache is None or T > _DECODING or torch.is_grad_enabled():
        return None
    if cache.keys is not k and cache.keys.shape != k.shape:
        return None
    return lambda turn, k0, k1, rotate: cache.turned(
        turn, shift, k0 + shift, k1 + shift, rotate
    )


def _padded(part, where: slice, T: int):
    return torch.nn.functional.pad(part, (0, 0, 0, 0, where.start, T - where.stop))


def _select(tokens: np.ndarray, device):
    """A slice where they follow each other."""
    first, last = int(tokens[0]), int(tokens[-1]) + 1
    if last - first == len(tokens):
        return slice(first, last)
    return torch.from_numpy(tokens).to(device)


def _take(x, where):
    return x[:, :, where] if isinstance(where, slice) else x.index_select(2, where)


def _groups(mask: torch.Tensor, end: int) -> list[tuple[list[int], np.ndarray]]:
    """Rows with the same real tokens, and which tokens these are."""
    kept = getattr(mask, _ATTRIBUTE, None)
    if kept is not None and kept[0] == end:
        return kept[1]
    groups: dict[bytes, tuple[list[int], np.ndarray]] = {}
    for row, real in enumerate(mask[:, :end].bool().cpu().numpy()):
        group = groups.get(real.tobytes())
        if group is None:
            groups[real.tobytes()] = ([row], np.flatnonzero(real))
        else:
            group[0].append(row)
    result = list(groups.values())
    setattr(mask, _ATTRIBUTE, (end, result))
    return result


def _mask(
    batch_size,
    q_length,
    kv_length,
    q_offset=0,
    kv_offset=0,
    mask_function=None,
    attention_mask=None,
    allow_is_causal_skip=True,
    use_vmap=False,
    **kwargs,
):
    """The padding, as attention takes it: [batch, tokens], or None without."""
    plain = allow_is_causal_skip or q_length == 1
    if use_vmap or not plain:
        raise ValueError(
            "packed sequences (position_ids that begin again) and masks between "
            "blocks of tokens are not supported under a scheme; pad instead"
        )
    if attention_mask is None or bool(attention_mask.all()):
        return None
    return attention_mask


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, _mask)


def apply(model, position: str, context: int | str | None = None) -> Applied:
    """Makes a causal language model read under a position scheme, in place.

    model: of transformers, with rotary positions
    position: a scheme as the command line spells it, for example
        "rerope:window=1024+logn-clip"
    context: the longest text in tokens (also "64k"); values that a scheme
        leaves open depend on it. None: the length that the model was trained with

    Works with `generate`, caches, padding on either side, beams and training.
    Caches that were filled before belong to the other scheme: begin a new one.
    Applying another scheme replaces the first; `remove` undoes it. Raises
    ValueError with the reason if the model or the scheme cannot be had.
    """
    before = getattr(model, _ATTRIBUTE, None)
    if before is not None:
        remove(model)
    try:
        return _install(model, position, context)
    except Exception:
        if before is not None:
            _install(model, before.applied.position, before.applied.context)
        raise


def remove(model) -> None:
    """Undoes `apply`; without effect on a model that is not changed."""
    state = getattr(model, _ATTRIBUTE, None)
    if state is None:
        return
    while state.undo:
        state.undo.pop()()
    delattr(model, _ATTRIBUTE)


def applied(model) -> Applied | None:
    """The scheme that a model reads under; None for its own."""
    state = getattr(model, _ATTRIBUTE, None)
    return None if state is None else state.applied


def _install(model, position: str, context) -> Applied:
    undo: list = []
    try:
        seen, layouts, turned = _examine(model)
        facts = model_facts(model, seen, turned)
        length = facts["train_length"] if context is None else _tokens(context)
        _verify(facts, seen, layouts, model)
        built = build_plans(position, facts, length, len(seen))
        if built["warning"]:
            warnings.warn(built["warning"], stacklevel=3)
        state = _State(
            Applied(position, built["spelling"], length, built["changed_layers"]),
            facts,
            built["plans"],
        )
        turns = Turns()
        _replace_rotary(model, undo, state)
        _set_attention(model, NAME, undo)
        for index, (one, layout, plan) in enumerate(
            zip(seen, layouts, built["plans"])
        ):
            layer = _Layer(
                state,
                index,
                Setting(parse_plan(plan), one.scale, one.softcap, layout or Layout(), turns),
            )
            setattr(one.module, _ATTRIBUTE, layer)
            undo.append(lambda module=one.module: delattr(module, _ATTRIBUTE))
            hook = one.module.register_forward_pre_hook(layer.before, with_kwargs=True)
            undo.append(hook.remove)
    except Exception:
        while undo:
            undo.pop()()
        raise
    state.undo = undo
    setattr(model, _ATTRIBUTE, state)
    return state.applied


def _tokens(context: int | str) -> int:
    if isinstance(context, str):
        text = context.strip().lower()
        factor = 1024 if text.endswith("k") else 1
        digits = text[:-1] if factor > 1 else text
        if not digits.isdecimal():
            raise ValueError(f"context must be a count of tokens or 64k, got '{context}'")
        context = int(digits) * factor
    if context < 1:
        raise ValueError(f"context must be at least 1 token, got {context}")
    return int(context)


def _replace_rotary(model, undo: list, state=None) -> None:
    for name, module in rotary_modules(model).items():
        parent_name, _, last = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        setattr(parent, last, _NoRotation(module, state))
        undo.append(lambda p=parent, n=last, m=module: setattr(p, n, m))


def _set_attention(model, name: str, undo: list) -> None:
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    undo.append(lambda: model.set_attn_implementation(before))
    if text_config(model)._attn_implementation != name:
        raise NotSupported(
            f"{type(model).__name__} does not take its attention from "
            "transformers' AttentionInterface"
        )


def _positions(model) -> torch.Tensor:
    """Ids far enough apart to tell tables from each other, within the length
    from which on transformers changes some of them."""
    config = text_config(model)
    most = getattr(config, "max_position_embeddings", None) or 2
    for where in (config, getattr(config, "rope_parameters", None) or {}):
        get = where.get if isinstance(where, dict) else lambda n, w=where: getattr(w, n, None)
        most = min(most, get("original_max_position_embeddings") or most)
    ids = sorted({min(i, most - 1) for i in (0, 1, 37, 4000)})
    return torch.tensor([ids], device=model.device)


def _record(model) -> list[Seen]:
    """What attention is called with, on a text of a few tokens; attention gives
    zeros, so that a layer's input does not depend on positions."""
    position_ids = _positions(model)
    ids = torch.arange(position_ids.shape[1], device=model.device)[None] + 1
    ids = ids % text_config(model).vocab_size
    training = model.training
    undo: list = []
    _recording.to = []
    try:
        _set_attention(model, NAME, undo)
        model.eval()
        with torch.no_grad():
            model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                position_ids=position_ids,
                use_cache=False,
            )
        return _recording.to
    finally:
        _recording.to = None
        model.train(training)
        while undo:
            undo.pop()()


def _examine(model) -> tuple[list[Seen], list[Layout | None], list[bool]]:
    """The layers of a model, and which of them rotate."""
    kind = type(model).__name__
    if not hasattr(model, "set_attn_implementation"):
        raise NotSupported(f"{kind} is not a model of transformers")
    if not rotary_modules(model):
        raise NotSupported(f"{kind} has no rotary positions that can be replaced")
    as_is = _record(model)
    undo: list = []
    try:
        _replace_rotary(model, undo)
        raw = _record(model)
    finally:
        while undo:
            undo.pop()()
    layers = text_config(model).num_hidden_layers
    if len(raw) != layers or len(as_is) != layers:
        raise NotSupported(
            f"{kind} has {layers} layers, of which {len(raw)} call the attention of "
            "transformers' AttentionInterface"
        )
    turned = [
        not (torch.equal(a.q, b.q) and torch.equal(a.k, b.k))
        for a, b in zip(as_is, raw)
    ]
    if not any(turned):
        raise NotSupported(f"{kind} has no rotary positions: no layer rotates")
    layouts = [
        _find_layout(model, i, a, b) if turns else None
        for i, (a, b, turns) in enumerate(zip(as_is, raw, turned))
    ]
    for one, rotated in zip(raw, as_is):
        one.rotated = (rotated.q, rotated.k)
    return raw, layouts, turned


def _find_layout(model, index: int, turned: Seen, raw: Seen) -> Layout:
    """Which components pair up, from which of them change."""
    D = raw.k.shape[-1]
    changed = (turned.k != raw.k).flatten(0, 2).any(0)
    changed |= (turned.q != raw.q).flatten(0, 2).any(0)
    where = changed.nonzero().flatten()
    first, last = int(where[0]), int(where[-1]) + 1
    rotary = max(
        2 * b.shape[0]
        for module in rotary_modules(model).values()
        for n, b in module.named_buffers(recurse=False)
        if n.endswith("inv_freq")
    )
    if rotary > D:
        raise NotSupported(f"layer {index} rotates {rotary} of {D} components")
    if first > 0 and last == D:
        first = D - rotary
    else:
        first = 0
    # Two components of a pair keep the sum of their squares, up to the factor
    # that all pairs share.
    def error(layout: Layout) -> float:
        worst = 0.0
        for a, b in ((raw.q, turned.q), (raw.k, turned.k)):
            norms = []
            for x in (a, b):
                left, right = layout.halves(x.double(), rotary // 2)
                norms.append((left**2 + right**2).sqrt())
            ratio = norms[1].norm() / norms[0].norm()
            worst = max(worst, float((norms[1] - ratio * norms[0]).norm() / norms[1].norm()))
        return worst

    candidates = [Layout(first, False), Layout(first, True)]
    return min(candidates, key=error)


def _verify(facts: dict, seen: list[Seen], layouts, model) -> None:
    """Rotates what was recorded by the model's own plan and compares it with
    what the model did."""
    positions = _positions(model)[0].tolist()
    built = build_plans("rope", facts, positions[-1] + 1, len(seen))
    turns = Turns()
    for index, (one, layout) in enumerate(zip(seen, layouts)):
        if layout is None:
            continue
        plan = parse_plan(built["plans"][index])
        turn = plan.turn(plan.bands[0], plan.bands[0].query)
        loose = 0.03 if one.q.dtype in (torch.float16, torch.bfloat16) else 3e-3
        for raw, want in zip((one.q, one.k), one.rotated):
            cos, sin = turns.of(turn, 0, positions[-1] + 1, raw.device)
            got = rotate(raw.float(), (cos[positions], sin[positions]), layout)
            error = (got - want.float()).abs().max() / want.float().abs().max()
            if not error < loose:
                raise NotSupported(
                    f"layer {index} of {type(model).__name__} rotates in a way that "
                    f"is not understood (differs by {float(error):.2g})"
                )
