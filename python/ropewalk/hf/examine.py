"""What a model's attention is called with, and how its layers rotate.

No architecture is known by name. The model reads a few tokens twice, with its
own rotation and without; attention writes down what it is given.
"""

from __future__ import annotations

import functools
import threading

import torch

from ..plans import build_plans, parse_plan
from .facts import NotSupported, Seen, rotary_modules, text_config
from .rotation import Layout, Turns, rotate

NAME = "ropewalk"


class NoRotation(torch.nn.Module):
    """cos = 1 and sin = 0, of the shapes that the model's module gives."""

    def __init__(self, rotary: torch.nn.Module, state=None):
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


def recorder() -> list[Seen] | None:
    """Where attention writes down its calls; None while it attends."""
    return getattr(_recording, "to", None)


def replace_rotary(model, undo: list, state=None) -> None:
    for name, module in rotary_modules(model).items():
        parent_name, _, last = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        setattr(parent, last, NoRotation(module, state))
        undo.append(functools.partial(setattr, parent, last, module))


def set_attention(model, name: str, undo: list) -> None:
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    undo.append(functools.partial(model.set_attn_implementation, before))
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
        get = (
            where.get
            if isinstance(where, dict)
            else lambda n, w=where: getattr(w, n, None)
        )
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
        set_attention(model, NAME, undo)
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


def examine(model) -> tuple[list[Seen], list[Layout | None], list[bool]]:
    """The layers of a model, and which of them rotate."""
    kind = type(model).__name__
    if not hasattr(model, "set_attn_implementation"):
        raise NotSupported(f"{kind} is not a model of transformers")
    if not rotary_modules(model):
        raise NotSupported(f"{kind} has no rotary positions that can be replaced")
    as_is = _record(model)
    undo: list = []
    try:
        replace_rotary(model, undo)
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
            worst = max(
                worst, float((norms[1] - ratio * norms[0]).norm() / norms[1].norm())
            )
        return worst

    candidates = [Layout(first, False), Layout(first, True)]
    return min(candidates, key=error)


def verify(facts: dict, seen: list[Seen], layouts, model) -> None:
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
