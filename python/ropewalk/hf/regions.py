"""Where the bands of a plan lie among queries and keys, in few dense calls.

Queries have the ids [i0, i0 + T), keys [j0, j0 + S), and both end at the same
id. A call is a rectangle of pairs, a square below its diagonal, a square above
it, a stripe along the diagonal, or, where nothing better fits, a small rectangle
with a mask. Together the calls hold every pair that the plan shows, each once.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ..plans import Plan

FULL, CAUSAL, UPPER, STRIPE, MASKED = "full", "causal", "upper", "stripe", "masked"

# Queries that are looked at together where bands do not select by distance.
BLOCK = 256
# Queries of a stripe: what lies beside the band is waste, and PyTorch's kernel
# is slower on fewer.
ROWS = 128


@dataclasses.dataclass(frozen=True)
class Call:
    """Queries [q0, q1) and keys [k0, k1), counted from the first that is there.

    `blocks` above 1 cuts both into so many equal parts, and part n of the
    queries meets part n of the keys alone. CAUSAL shows key s to query t of a
    square where s <= t, UPPER where s > t, STRIPE where low <= t - s < high.
    """

    band: int
    kind: str
    q0: int
    q1: int
    k0: int
    k1: int
    blocks: int = 1
    mask: np.ndarray | None = dataclasses.field(default=None, compare=False)
    low: int = 0
    high: int = 0


@functools.lru_cache(maxsize=256)
def calls_of(
    plan: Plan, i0: int, T: int, j0: int, S: int, stripes: bool = False
) -> tuple[Call, ...]:
    """The calls of queries [i0, i0 + T) on keys [j0, j0 + S).

    stripes: cut bands of a bounded width into stripes, for kernels that take a
        mask; otherwise into squares.
    """
    if i0 + T != j0 + S:
        raise ValueError(f"keys end at {j0 + S}, queries at {i0 + T}")
    e = i0 + T
    if all(band.selector.kind == "distance" for band in plan.bands):
        strips = _distances(plan)
        if strips is not None:
            calls: list[Call] = []
            for b, low, high in strips:
                if stripes and 1 < high - low < e - j0 - low:
                    calls += _stripes(b, i0, e, j0, low, high)
                    continue
                for kind, q0, q1, k0, k1, blocks in _strip(i0, e, j0, low, high):
                    calls.append(
                        Call(b, kind, q0 - i0, q1 - i0, k0 - j0, k1 - j0, blocks)
                    )
            return tuple(calls)
    calls = []
    for a in range(i0, e, BLOCK):
        calls += _block(plan, i0, a, min(a + BLOCK, e), j0)
    return tuple(calls)


def _distances(plan: Plan) -> list[tuple[int, int, int]] | None:
    """(band, low, high) without those that earlier bands took; None where what
    is left of a band is not one interval."""
    taken: list[tuple[int, int]] = []
    strips = []
    for b, band in enumerate(plan.bands):
        low, high = band.selector.low, band.selector.high
        for first, last in taken:
            if first <= low < last:
                low = min(last, high)
            if first < high <= last:
                high = max(first, low)
            if low < first and last < high:
                return None
        taken.append((band.selector.low, band.selector.high))
        taken.sort()
        if low < high:
            strips.append((b, low, high))
    return strips


def _strip(a: int, e: int, j0: int, low: int, high: int):
    """Distances [low, high) of queries [a, e) and keys from j0 on."""
    reached = min(e, max(a, j0 + high))  # before it, all keys are near enough
    first = max(a, j0 + low)
    if first < reached:
        n = reached - first
        if n == 1:
            yield FULL, first, reached, j0, first - low + 1, 1
        else:
            if j0 < first - low:
                yield FULL, first, reached, j0, first - low, 1
            yield CAUSAL, first, reached, first - low, reached - low, 1
    if reached >= e:
        return
    width = high - low
    blocks = (e - reached) // width
    if width == 1:
        # A key a query: a row of squares of one.
        yield CAUSAL, reached, e, reached - low, e - low, e - reached
        return
    if blocks > 0:
        end = reached + blocks * width
        yield CAUSAL, reached, end, reached - low, end - low, blocks
        yield UPPER, reached, end, reached - high, end - high, blocks
        reached = end
    n = e - reached
    if n == 0:
        return
    if n == 1:
        yield FULL, reached, e, reached - high + 1, reached - low + 1, 1
        return
    yield CAUSAL, reached, e, reached - low, e - low, 1
    yield FULL, reached, e, e - high, reached - low, 1
    yield UPPER, reached, e, reached - high, e - high, 1


def _stripes(b: int, i0: int, e: int, j0: int, low: int, high: int):
    """The same pairs, a call for each run of queries."""
    for first in range(max(i0, j0 + low), e, ROWS):
        last = min(first + ROWS, e)
        k0, k1 = max(j0, first - high + 1), last - low
        if last - first == 1:
            yield Call(b, FULL, first - i0, last - i0, k0 - j0, k1 - j0)
            continue
        # Query t has the id first + t, key s the id k0 + s.
        apart = first - k0
        yield Call(
            b, STRIPE, first - i0, last - i0, k0 - j0, k1 - j0,
            low=low - apart, high=high - apart,
        )  # fmt: skip


def _block(plan: Plan, i0: int, a: int, e: int, j0: int) -> list[Call]:
    """The calls of queries [a, e), whatever the selectors."""
    i = np.arange(a, e, dtype=np.int64)
    ends = []
    cuts = {j0, e}
    for band in plan.bands:
        first, last = band.selector.keys_of(i)
        first = np.clip(first, j0, e)
        last = np.maximum(np.minimum(last, i + 1), first)
        ends.append((first, last))
        for edge in (first[0], first[-1], last[0], last[-1]):
            cuts.add(int(edge))
    calls: list[Call] = []
    cuts = sorted(cuts)
    for c, d in zip(cuts, cuts[1:]):
        partial = []
        owner = None
        for b, (first, last) in enumerate(ends):
            if first.max() <= c and last.min() >= d:
                owner = b
                break
            if not ((last <= c) | (first >= d)).all():
                partial.append(b)
        if not partial:
            if owner is None:
                continue
            before = calls[-1] if calls else None
            if (
                before is not None
                and before.kind == FULL
                and before.band == owner
                and before.k1 == c - j0
            ):
                calls[-1] = dataclasses.replace(before, k1=d - j0)
            else:
                calls.append(Call(owner, FULL, a - i0, e - i0, c - j0, d - j0))
            continue
        left = np.ones((e - a, d - c), dtype=bool)
        j = np.arange(c, d, dtype=np.int64)
        for b in partial + ([] if owner is None else [owner]):
            first, last = ends[b]
            shown = left & (j >= first[:, None]) & (j < last[:, None])
            left &= ~shown
            if shown.any():
                # Rows that see nothing here stay out of the softmax.
                rows = np.flatnonzero(shown.any(axis=1))
                r0, r1 = int(rows[0]), int(rows[-1]) + 1
                calls.append(
                    Call(
                        b,
                        MASKED,
                        a - i0 + r0,
                        a - i0 + r1,
                        c - j0,
                        d - j0,
                        1,
                        shown[r0:r1],
                    )
                )
    return calls
