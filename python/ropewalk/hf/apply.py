"""Reading a model of transformers under a position scheme."""

from __future__ import annotations

import dataclasses
import functools
import warnings

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache

from ..plans import UNBOUNDED, Plan, build_plans, parse_plan
from .banded import Setting, banded_attention
from .cache import UnrotatedLayer, adopt
from .examine import NAME, examine, recorder, replace_rotary, set_attention, verify
from .facts import Seen, model_facts
from .rotation import Layout, Turns

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
        built = build_plans(self.applied.position, self.facts, longer, len(self.plans))
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
    calls = recorder()
    if calls is not None:
        calls.append(
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
        raise ValueError(f"attention_mask has {mask.shape[1]} columns for {end} tokens")
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
        seen, layouts, turned = examine(model)
        facts = model_facts(model, seen, turned)
        length = facts["train_length"] if context is None else _tokens(context)
        verify(facts, seen, layouts, model)
        built = build_plans(position, facts, length, len(seen))
        if built["warning"]:
            warnings.warn(built["warning"], stacklevel=3)
        state = _State(
            Applied(position, built["spelling"], length, built["changed_layers"]),
            facts,
            built["plans"],
        )
        turns = Turns()
        replace_rotary(model, undo, state)
        set_attention(model, NAME, undo)
        for index, (one, layout, plan) in enumerate(zip(seen, layouts, built["plans"])):
            layer = _Layer(
                state,
                index,
                Setting(
                    parse_plan(plan), one.scale, one.softcap, layout or Layout(), turns
                ),
            )
            setattr(one.module, _ATTRIBUTE, layer)
            # Not lambdas: copies of a model have to undo their own changes.
            undo.append(functools.partial(delattr, one.module, _ATTRIBUTE))
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
            raise ValueError(
                f"context must be a count of tokens or 64k, got '{context}'"
            )
        context = int(digits) * factor
    if context < 1:
        raise ValueError(f"context must be at least 1 token, got {context}")
    return int(context)
