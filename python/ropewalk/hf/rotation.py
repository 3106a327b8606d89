"""Rotations of queries and keys by the positions that a plan gives them."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ..plans import PositionMap, Table


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the pairs that rotate lie in a head.

    The d components from `first` on rotate; pair m is m and m + d/2 of them,
    or, `interleaved`, 2m and 2m + 1.
    """

    first: int = 0
    interleaved: bool = False

    def halves(self, x: torch.Tensor, pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Views of the two components of all pairs, [..., pairs] each."""
        turning = x[..., self.first : self.first + 2 * pairs]
        if self.interleaved:
            return turning[..., 0::2], turning[..., 1::2]
        return turning[..., :pairs], turning[..., pairs:]

    def order(self, D: int, pairs: int) -> list[int] | None:
        """The components of a head in the order of the operator: first halves,
        second halves, the rest. None where they lie so."""
        if self == Layout() or pairs == 0:
            return None
        first, second = self.halves(torch.arange(D), pairs)
        turning = first.tolist() + second.tolist()
        return turning + sorted(set(range(D)) - set(turning))


class Turns:
    """cos and sin by rotation and id, kept for all layers of a model.

    Angles are float64 until their cos and sin.
    """

    def __init__(self) -> None:
        self._tables: dict = {}

    def of(
        self,
        turn: tuple[PositionMap, Table],
        first: int,
        last: int,
        device,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and sin of the ids [first, last), [last - first, pairs] each; one
        row where the position is constant."""
        side, table = turn
        if side.constant:
            first, last = 0, 1
        key = (side, table, torch.device(device), dtype)
        kept = self._tables.get(key)
        if kept is None or kept[0].shape[0] < last:
            size = 1 if side.constant else 256
            while size < last:
                size *= 2
            positions = side(np.arange(size, dtype=np.int64))
            angles = positions[:, None] * np.asarray(table.frequencies)
            kept = tuple(
                torch.from_numpy(f(angles) * table.magnitude).to(dtype).to(device)
                for f in (np.cos, np.sin)
            )
            self._tables[key] = kept
        cos, sin = kept
        return cos[first:last], sin[first:last]

    def clear(self) -> None:
        self._tables.clear()


def rotate(
    x: torch.Tensor,
    cos_sin: tuple[torch.Tensor, torch.Tensor],
    layout: Layout,
    backward: bool = False,
) -> torch.Tensor:
    """x [..., n, D] rotated, in a new tensor of its type.

    backward: by the negative angles, as gradients are.
    """
    cos, sin = cos_sin
    pairs = cos.shape[-1]
    work = torch.float64 if x.dtype == torch.float64 else torch.float32
    a, b = (half.to(work) for half in layout.halves(x, pairs))
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    to_a, to_b = layout.halves(out, pairs)
    sign = 1 if backward else -1
    if x.dtype == work:
        torch.mul(a, cos, out=to_a).addcmul_(b, sin, value=sign)
        torch.mul(b, cos, out=to_b).addcmul_(a, sin, value=-sign)
    else:
        to_a.copy_((a * cos).addcmul_(b, sin, value=sign))
        to_b.copy_((b * cos).addcmul_(a, sin, value=-sign))
    if 2 * pairs < x.shape[-1]:
        end = layout.first + 2 * pairs
        out[..., : layout.first] = x[..., : layout.first]
        out[..., end:] = x[..., end:]
    return out
