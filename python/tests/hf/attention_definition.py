"""Attention by its definition: float64, all pairs, every band in full."""

import math

import numpy as np
import torch


def attention(q, k, v, plan, scale, first_key=0, softcap=None, sinks=None):
    """q [B, H, T, D], k [B, G, S, D], v [B, G, S, Dv] -> [B, H, T, Dv]."""
    B, H, T, _ = q.shape
    S = k.shape[2]
    i = np.arange(first_key + S - T, first_key + S)
    j = np.arange(first_key, first_key + S)
    k = k.repeat_interleave(H // k.shape[1], 1)
    v = v.repeat_interleave(H // v.shape[1], 1)
    factor = plan.score_scale(i)
    factor = torch.ones(T) if factor is None else torch.from_numpy(factor)
    score = torch.full((B, H, T, S), -math.inf, dtype=torch.float64)
    owner = owners(plan, i, j)
    for b, band in enumerate(plan.bands):
        table = plan.tables[band.table]
        of_band = turn(q, band.query(i), table) @ turn(k, band.key(j), table).mT
        of_band = of_band * scale * factor[:, None]
        if softcap is not None:
            of_band = softcap * torch.tanh(of_band / softcap)
        score = torch.where(torch.from_numpy(owner == b), of_band, score)
    if sinks is not None:
        score = torch.cat([score, sinks[:, None, None].expand(B, H, T, 1)], -1)
    weights = torch.nan_to_num(torch.softmax(score, -1))
    return weights[..., :S] @ v


def owners(plan, i, j):
    """[T, S]: the first band that selects each pair, or -1."""
    owner = np.full((len(i), len(j)), -1)
    for b in reversed(range(len(plan.bands))):
        first, last = plan.bands[b].selector.keys_of(i)
        shown = (j >= first[:, None]) & (j < last[:, None]) & (j <= i[:, None])
        owner[shown] = b
    return owner


def turn(x, positions, table):
    pairs = len(table.frequencies)
    angles = torch.from_numpy(positions[:, None] * np.asarray(table.frequencies))
    cos, sin = angles.cos() * table.magnitude, angles.sin() * table.magnitude
    a, b = x[..., :pairs], x[..., pairs : 2 * pairs]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, x[..., 2 * pairs :]], -1)
