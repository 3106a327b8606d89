"""One call of attention, forward and backward, by PyTorch's own kernels.

Tensors are q [B, H, n, D], k [B, G, m, D], v [B, G, m, Dv]. Forward gives
out [B, H, n, Dv] and lse [B, H, n], the logarithm of each row's sum. Backward
takes the out and lse of the whole row, over all its calls, and gives the part
of the gradients that belongs to this call: with P = exp(score - lse), the
derivative of a score is P (d_out v - d_out out).

The fused kernels of the CPU and of CUDA serve what they can. All else goes
through products of blocks, whose scores are at most `SCORES` numbers.
"""

from __future__ import annotations

import functools
import math

import torch

from .regions import CAUSAL, FULL, MASKED, ROWS, STRIPE, UPPER, Call

aten = torch.ops.aten
SCORES = 1 << 24


def forward(call: Call, q, k, v, scale: float, softcap: float | None):
    parts = _Parts(call, q.shape[1] // k.shape[1])
    return parts.back(*_forward(call, *parts.of(q, k, v), scale, softcap))


def backward(call: Call, d_out, q, k, v, out, lse, scale, softcap):
    """d_q, d_k and d_v of the parts of q, k and v that the call names."""
    parts = _Parts(call, q.shape[1] // k.shape[1])
    q_, k_, v_ = parts.of(q, k, v)
    gradients = _backward(
        call,
        parts.queries(d_out),
        q_,
        k_,
        v_,
        parts.queries(out),
        parts.rows(lse),
        scale,
        softcap,
    )
    return parts.gradients(*gradients)


class _Parts:
    """A call as the kernels take it: blocks are sequences of a batch, and a
    square above the diagonal is turned around, so that it lies below."""

    def __init__(self, call: Call, group: int) -> None:
        self.call = call
        self.upper = call.kind == UPPER
        # One query a head: queries of one key head become rows of one product.
        self.fold = group if call.q1 - call.q0 == 1 and call.kind == FULL else 1

    def queries(self, x):
        x = x[:, :, self.call.q0 : self.call.q1]
        if self.fold > 1:
            B, H, _, D = x.shape
            return x.reshape(B, H // self.fold, self.fold, D)
        return self._blocks(x, slice(None, -1))

    def rows(self, x):
        return self.queries(x.unsqueeze(-1)).squeeze(-1)

    def keys(self, x):
        return self._blocks(x[:, :, self.call.k0 : self.call.k1], slice(1, None))

    def of(self, q, k, v):
        return self.queries(q), self.keys(k), self.keys(v)

    def _blocks(self, x, upper: slice):
        n = self.call.blocks
        if n > 1:
            B, H, length, D = x.shape
            x = x.unflatten(2, (n, length // n)).transpose(1, 2)
            x = x.reshape(B * n, H, length // n, D)
        return x[:, :, upper].flip(2) if self.upper else x

    def _unblocked(self, x, before: int, behind: int):
        """The reverse; rows that a square above the diagonal leaves out are 0."""
        if self.upper:
            x = torch.nn.functional.pad(x.flip(2), (0, 0, before, behind))
        n = self.call.blocks
        if n > 1:
            x = x.unflatten(0, (x.shape[0] // n, n)).transpose(1, 2).flatten(2, 3)
        return x

    def back(self, out, lse):
        if self.fold > 1:
            B, G, _, D = out.shape
            return out.reshape(B, -1, 1, D), lse.reshape(B, -1, 1)
        lse = lse.unsqueeze(-1)
        if self.upper:
            # Rows without keys have no weight.
            lse = torch.nn.functional.pad(lse.flip(2), (0, 0, 0, 1), value=-math.inf)
            out = torch.nn.functional.pad(out.flip(2), (0, 0, 0, 1))
        n = self.call.blocks
        if n > 1:
            B = out.shape[0] // n
            out = out.unflatten(0, (B, n)).transpose(1, 2).flatten(2, 3)
            lse = lse.unflatten(0, (B, n)).transpose(1, 2).flatten(2, 3)
        return out, lse.squeeze(-1)

    def gradients(self, d_q, d_k, d_v):
        if self.fold > 1:
            d_q = d_q.reshape(d_q.shape[0], -1, 1, d_q.shape[-1])
        else:
            d_q = self._unblocked(d_q, 0, 1)
        return d_q, self._unblocked(d_k, 1, 0), self._unblocked(d_v, 1, 0)


def takes_stripes(q: torch.Tensor) -> bool:
    """Whether a kernel here takes a mask, and forms its scores block by block."""
    return q.device.type == "cpu"


@functools.lru_cache(maxsize=4)
def _stripe(width: int, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores: 0 where key s is one of the `width` from query t
    on, else -inf. [ROWS, width + ROWS - 1]"""
    m = width + ROWS - 1
    behind = torch.arange(m) - torch.arange(ROWS)[:, None]
    mask = torch.zeros((ROWS, m), dtype=dtype)
    return mask.masked_fill_((behind < 0) | (behind >= width), -math.inf)


def _mask(call: Call, q, k):
    """The mask of a stripe, [n, m]; None for other calls."""
    if call.kind != STRIPE:
        return None
    first = call.high - 1  # keys that would stand in front of the first
    mask = _stripe(call.high - call.low, q.dtype)
    return mask[: q.shape[2], first : first + k.shape[2]]


def _fused(call: Call, q, v, softcap) -> str | None:
    if softcap is not None or call.kind == MASKED or q.shape[-1] != v.shape[-1]:
        return None
    if q.device.type == "cpu":
        return (
            "cpu"
            if hasattr(aten, "_scaled_dot_product_flash_attention_for_cpu")
            else None
        )
    if q.device.type == "cuda" and torch.version.cuda and q.shape[-1] % 8 == 0:
        if q.dtype in (torch.float16, torch.bfloat16) and q.shape[-1] <= 256:
            return "flash"
        if q.dtype == torch.float32:
            return "efficient"
    return None


def _forward(call: Call, q, k, v, scale: float, softcap: float | None):
    causal = call.kind in (CAUSAL, UPPER)
    kernel = _fused(call, q, v, softcap)
    if kernel == "cpu":
        return aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, causal, attn_mask=_mask(call, q, k), scale=scale
        )
    if kernel == "flash":
        out = aten._scaled_dot_product_flash_attention(
            q, _spread(k, q), _spread(v, q), 0.0, causal, False, scale=scale
        )
        return out[0], out[1]
    if kernel == "efficient":
        out, lse, _, _ = aten._scaled_dot_product_efficient_attention(
            q, _spread(k, q), _spread(v, q), None, True, 0.0, causal, scale=scale
        )
        return out, lse[:, :, : q.shape[2]]
    return _blocks_forward(call, q, k, v, scale, softcap)


def _backward(call: Call, d_out, q, k, v, out, lse, scale, softcap):
    causal = call.kind in (CAUSAL, UPPER)
    kernel = _fused(call, q, v, softcap)
    if kernel is None:
        return _blocks_backward(call, d_out, q, k, v, out, lse, scale, softcap)
    wide_k, wide_v = _spread(k, q), _spread(v, q)
    d_out, lse = d_out.contiguous(), lse.contiguous()
    if kernel == "cpu":
        d_q, d_k, d_v = aten._scaled_dot_product_flash_attention_for_cpu_backward(
            d_out, q, wide_k, wide_v, out, lse, 0.0, causal,
            attn_mask=_mask(call, q, k), scale=scale,
        )  # fmt: skip
    elif kernel == "flash":
        n, m = q.shape[2], k.shape[2]
        state = torch.zeros(2, dtype=torch.uint64, device=q.device)  # no dropout
        d_q, d_k, d_v = aten._scaled_dot_product_flash_attention_backward(
            d_out, q, wide_k, wide_v, out.contiguous(), lse,
            None, None, n, m, 0.0, causal, state, state[0], scale=scale,
        )  # fmt: skip
    else:
        short = -lse.shape[2] % 32
        lse = torch.nn.functional.pad(lse, (0, short), value=math.inf)
        zero = torch.zeros((), dtype=torch.int64, device=q.device)  # no dropout
        d_q, d_k, d_v, _ = aten._scaled_dot_product_efficient_attention_backward(
            d_out, q, wide_k, wide_v, None, out.contiguous(), lse, zero, zero,
            0.0, [True, True, True, False], causal, scale=scale,
        )  # fmt: skip
    return d_q, _gather(d_k, k), _gather(d_v, v)


def _spread(k, q):
    """Key heads repeated for each query head."""
    group = q.shape[1] // k.shape[1]
    return k if group == 1 else k.repeat_interleave(group, dim=1)


def _gather(d_k, k):
    group = d_k.shape[1] // k.shape[1]
    return d_k if group == 1 else d_k.unflatten(1, (-1, group)).sum(2)


def _row_blocks(call: Call, q, m: int):
    """(first, last, keys) of runs of queries whose scores are few enough."""
    n = q.shape[2]
    rows = max(1, SCORES // max(1, q.shape[0] * q.shape[1] * m))
    if call.kind in (CAUSAL, UPPER):
        rows = min(rows, max(64, n // 8))  # what lies above the diagonal is waste
    for first in range(0, n, rows):
        last = min(first + rows, n)
        yield first, last, last if call.kind in (CAUSAL, UPPER) else m


def _scores(call: Call, q, k, first: int, last: int, scale, softcap):
    """Scores of a run of queries, [B, G, group, rows, keys], -inf where masked,
    and the derivative of the cap."""
    group = q.shape[1] // k.shape[1]
    rows = q[:, :, first:last].unflatten(1, (-1, group))
    scores = rows @ k.unsqueeze(2).transpose(-1, -2)
    if scores.dtype in (torch.float16, torch.bfloat16):
        scores = scores.float()
    scores *= scale
    slope = None
    if softcap is not None:
        scores = torch.tanh(scores / softcap)
        slope = 1 - scores * scores
        scores *= softcap
    if call.kind == MASKED:
        shown = torch.from_numpy(call.mask[first:last]).to(q.device)
        scores.masked_fill_(~shown, -math.inf)
    elif call.kind == STRIPE:
        scores += _mask(call, q, k)[first:last].to(scores)
    elif call.kind in (CAUSAL, UPPER):
        shown = torch.ones(last - first, last, dtype=torch.bool, device=q.device).tril_(
            first
        )
        scores.masked_fill_(~shown, -math.inf)
    return scores, slope


def _blocks_forward(call: Call, q, k, v, scale, softcap):
    outs, sums = [], []
    for first, last, keys in _row_blocks(call, q, k.shape[2]):
        scores, _ = _scores(call, q, k[:, :, :keys], first, last, scale, softcap)
        lse = torch.logsumexp(scores, dim=-1, keepdim=True)
        weights = torch.exp(scores - torch.where(torch.isinf(lse), 0.0, lse))
        outs.append((weights.to(v.dtype) @ v[:, :, :keys].unsqueeze(2)).flatten(1, 2))
        sums.append(lse.squeeze(-1).flatten(1, 2))
    return torch.cat(outs, 2), torch.cat(sums, 2)


def _blocks_backward(call: Call, d_out, q, k, v, out, lse, scale, softcap):
    d_q = torch.empty_like(q, memory_format=torch.contiguous_format)
    work = torch.float64 if q.dtype == torch.float64 else torch.float32
    d_k = torch.zeros(k.shape, dtype=work, device=k.device)
    d_v = torch.zeros(v.shape, dtype=work, device=v.device)
    group = q.shape[1] // k.shape[1]
    for first, last, keys in _row_blocks(call, q, k.shape[2]):
        near_k, near_v = k[:, :, :keys].unsqueeze(2), v[:, :, :keys].unsqueeze(2)
        scores, slope = _scores(call, q, k[:, :, :keys], first, last, scale, softcap)
        rows = [x[:, :, first:last].unflatten(1, (-1, group)) for x in (q, d_out, out)]
        sums = lse[:, :, first:last, None].unflatten(1, (-1, group))
        weights = torch.exp(scores - torch.where(torch.isinf(sums), 0.0, sums))
        d_v[:, :, :keys] += (weights.transpose(-1, -2) @ rows[1].to(work)).sum(2)
        delta = (rows[1].to(work) * rows[2].to(work)).sum(-1, keepdim=True)
        d_scores = weights * ((rows[1] @ near_v.transpose(-1, -2)).to(work) - delta)
        if slope is not None:
            d_scores *= slope
        d_scores *= scale
        d_q[:, :, first:last] = (d_scores.to(k.dtype) @ near_k).flatten(1, 2)
        d_k[:, :, :keys] += (d_scores.transpose(-1, -2) @ rows[0].to(work)).sum(2)
    return d_q, d_k.to(k.dtype), d_v.to(v.dtype)
