"""Attention under a plan, in memory that grows with the number of tokens.

The bands of the plan are cut into a few calls (`regions.py`). Each is one fused
kernel of PyTorch (`kernels.py`), and rows are put together by the logarithms of
their sums. The backward pass forms scores anew from what forward kept: queries,
keys and values as they came, the result and one number a row.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from .. import torch_ops
from ..plans import Band, Plan
from . import kernels
from .regions import calls_of
from .rotation import Layout, Turns, rotate


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a layer's attention is, apart from its tensors."""

    plan: Plan
    scale: float
    softcap: float | None = None
    layout: Layout = Layout()
    turns: Turns = dataclasses.field(default_factory=Turns, compare=False)
    operator: bool = True  # take torch.ops.ropewalk.attention where it fits


def banded_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    setting: Setting,
    first_key: int = 0,
    sinks: torch.Tensor | None = None,
    rotated=None,
) -> torch.Tensor:
    """softmax(s(i) scale scores under the plan) values.

    q [B, H, T, D], k [B, G, S, D], v [B, G, S, Dv] -> [B, H, T, Dv]

    q and k are not rotated. Keys have the ids from `first_key` on, and the last
    query has the id of the last key. sinks [H] are logits that take weight and
    give no value. A row that sees no key gives zeros. `rotated(turn, k0, k1,
    rotate)` gives keys [k0, k1) as a cache keeps them.
    """
    if k.shape[2] < q.shape[2]:
        raise ValueError(f"{q.shape[2]} queries, but only {k.shape[2]} keys")
    needs = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in (q, k, v, sinks)
    )
    if _operator_fits(q, k, v, setting, first_key, sinks):
        return _operator(q, k, v, setting)
    if needs:
        return _Attention.apply(q, k, v, sinks, setting, first_key)
    with torch.no_grad():
        return _Sight(q, k, setting, first_key, rotated).forward(v, sinks)[0]


def _operator_fits(q, k, v, setting: Setting, first_key: int, sinks) -> bool:
    """True where the fused operator serves the call: whole texts of float32 on
    the CPU."""
    return (
        first_key == 0
        and q.shape[2] == k.shape[2] > 1
        and q.device.type == "cpu"
        and q.dtype == k.dtype == v.dtype == torch.float32
        and setting.softcap is None
        and sinks is None
        and setting.plan.scale_kind != "learned"
        and setting.operator
        and torch_ops.available()
    )


def _operator(q, k, v, setting: Setting):
    pairs = max(len(table.frequencies) for table in setting.plan.tables)
    order = setting.layout.order(q.shape[-1], pairs)
    if order is not None:
        q, k = q[..., order], k[..., order]
    out = torch.ops.ropewalk.attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2),
        setting.plan.text, scale=setting.scale,
    )  # fmt: skip
    return out.transpose(1, 2)


class _Sight:
    """Queries and keys of one call of attention, and their rotations."""

    def __init__(self, q, k, setting: Setting, first_key: int, rotated=None):
        self.setting = setting
        self.T, self.S = q.shape[2], k.shape[2]
        self.j0 = first_key
        self.i0 = first_key + self.S - self.T
        self.k = k
        self.rotated = rotated
        ids = np.arange(self.i0, self.i0 + self.T, dtype=np.int64)
        scale = setting.plan.score_scale(ids)
        self.scores = None
        if scale is not None:
            self.scores = torch.from_numpy(scale[:, None]).to(q.device, _work(q))
            q = (q * self.scores).to(q.dtype)
        self.q = q
        self.by_band: list[tuple[Band, list]] = []
        calls = calls_of(
            setting.plan, self.i0, self.T, self.j0, self.S, kernels.takes_stripes(q)
        )
        for b, band in enumerate(setting.plan.bands):
            own = [call for call in calls if call.band == b]
            if own:
                self.by_band.append((band, own))

    def _turn(self, band, side, first, last):
        turn = self.setting.plan.turn(band, side)
        if turn is None:
            return None
        return self.setting.turns.of(turn, first, last, self.k.device, _work(self.k))

    def _kept(self, band, k0: int, k1: int):
        def turn_keys(keys, first, last):
            return rotate(keys, self._turn(band, band.key, first, last),
                          self.setting.layout)  # fmt: skip

        turn = self.setting.plan.turn(band, band.key)
        return self.rotated(turn, k0, k1, turn_keys)

    def sides(self, band: Band, calls: list):
        """Queries and keys under a band, rotated where its calls read them, and
        what undoes that in gradients."""
        q0, q1 = min(c.q0 for c in calls), max(c.q1 for c in calls)
        k0, k1 = min(c.k0 for c in calls), max(c.k1 for c in calls)
        of_q = self._turn(band, band.query, self.i0 + q0, self.i0 + q1)
        of_k = self._turn(band, band.key, self.j0 + k0, self.j0 + k1)
        layout = self.setting.layout
        q, k = self.q[:, :, q0:q1], self.k[:, :, k0:k1]
        if of_q is not None:
            q = rotate(q, of_q, layout)
        if of_k is not None:
            if self.rotated is None:
                k = rotate(k, of_k, layout)
            else:
                k = self._kept(band, k0, k1)
        moved = [_moved(call, q0, k0) for call in calls]
        return q, k, moved, (q0, q1, of_q), (k0, k1, of_k)

    def forward(self, v, sinks):
        """out [B, H, T, Dv] and lse [B, H, T]."""
        B, H = self.q.shape[:2]
        whole = sum(len(calls) for _, calls in self.by_band) == 1
        out = lse = None
        touched = np.zeros(self.T, dtype=bool)
        for band, calls in self.by_band:
            q, k, moved, (q0, _, _), (k0, k1, _) = self.sides(band, calls)
            near_v = v[:, :, k0:k1]
            for call, original in zip(moved, calls):
                part, sums = kernels.forward(
                    call, q, k, near_v, self.setting.scale, self.setting.softcap
                )
                if whole and call.q0 == 0 and call.q1 == self.T:
                    out, lse = part, sums
                    touched[:] = True
                    break
                if out is None:
                    work = _work(part)
                    out = part.new_zeros(
                        (B, self.T, H, v.shape[-1]), dtype=work
                    ).transpose(1, 2)
                    lse = sums.new_full((B, H, self.T), -math.inf)
                rows = slice(original.q0, original.q1)
                if touched[rows].any():
                    _merge(out[:, :, rows], lse[:, :, rows], part, sums)
                else:
                    out[:, :, rows] = part
                    lse[:, :, rows] = sums
                touched[rows] = True
        if out is None:
            out = v.new_zeros((B, H, self.T, v.shape[-1]))
            lse = torch.full((B, H, self.T), -math.inf, device=v.device)
        if sinks is not None:
            total = torch.logaddexp(lse, sinks.to(lse.dtype)[:, None])
            out = out * torch.exp(lse - total).unsqueeze(-1)
            lse = total
        return out.to(v.dtype), lse


def _work(x: torch.Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _moved(call, q0: int, k0: int):
    if q0 == 0 and k0 == 0:
        return call
    return dataclasses.replace(
        call, q0=call.q0 - q0, q1=call.q1 - q0, k0=call.k0 - k0, k1=call.k1 - k0
    )


def _merge(out, lse, part, sums) -> None:
    """Adds a part to rows, in place."""
    total = torch.logaddexp(lse, sums)
    # A row that has seen nothing yet has weight exp(-inf) = 0.
    seen = torch.where(torch.isinf(total), 0.0, total)
    weight = torch.exp(sums - seen).unsqueeze(-1).to(out.dtype)
    out.lerp_(part.to(out.dtype), weight)
    lse.copy_(total)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, sinks, setting, first_key):
        out, lse = _Sight(q, k, setting, first_key).forward(v, sinks)
        ctx.save_for_backward(q, k, v, sinks, out, lse)
        ctx.setting, ctx.first_key = setting, first_key
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_out):
        q, k, v, sinks, out, lse = ctx.saved_tensors
        setting = ctx.setting
        sight = _Sight(q, k, setting, ctx.first_key)
        work = _work(q)
        d_q = torch.zeros(q.shape, dtype=work, device=q.device)
        d_k = torch.zeros(k.shape, dtype=work, device=k.device)
        d_v = torch.zeros(v.shape, dtype=work, device=v.device)
        for band, calls in sight.by_band:
            turned_q, turned_k, moved, of_q, of_k = sight.sides(band, calls)
            (q0, q1, q_turn), (k0, k1, k_turn) = of_q, of_k
            part_q = torch.zeros(turned_q.shape, dtype=work, device=q.device)
            part_k = torch.zeros(turned_k.shape, dtype=work, device=k.device)
            rows = slice(q0, q1)
            for call in moved:
                of_call = kernels.backward(
                    call,
                    d_out[:, :, rows],
                    turned_q,
                    turned_k,
                    v[:, :, k0:k1],
                    out[:, :, rows],
                    lse[:, :, rows],
                    setting.scale,
                    setting.softcap,
                )
                part_q[:, :, call.q0 : call.q1] += of_call[0]
                part_k[:, :, call.k0 : call.k1] += of_call[1]
                d_v[:, :, k0 + call.k0 : k0 + call.k1] += of_call[2]
            if q_turn is not None:
                part_q = rotate(part_q, q_turn, setting.layout, backward=True)
            if k_turn is not None:
                part_k = rotate(part_k, k_turn, setting.layout, backward=True)
            d_q[:, :, rows] += part_q
            d_k[:, :, k0:k1] += part_k
        if sight.scores is not None:
            d_q *= sight.scores
        d_sinks = None
        if sinks is not None and ctx.needs_input_grad[3]:
            delta = (d_out.to(work) * out.to(work)).sum(-1)
            weight = torch.exp(sinks.to(lse.dtype)[:, None] - lse)
            d_sinks = -(weight * delta).sum((0, 2)).to(sinks.dtype)
        return (
            d_q.to(q.dtype), d_k.to(k.dtype), d_v.to(v.dtype), d_sinks, None, None
        )  # fmt: skip
