"""Plans: what a position scheme comes to in one layer.

They are built by the library (`position/plan.h` says what each part means) and
read here from their text. Nothing in Python knows a scheme by its name.

    plans("rerope+logn-clip", head_width=64, train_length=2048, length=8192, layers=30)
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

try:
    from ._engine import build_plans
except ImportError:
    from ._plans import build_plans

UNBOUNDED = 1 << 60


@dataclasses.dataclass(frozen=True)
class Selector:
    """Which keys a band serves: an interval for every query."""

    kind: str  # distance, key-below, chunk-step
    low: int
    high: int
    chunk: int

    def keys_of(self, i: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first key of each query and the one behind the last, [n] int64."""
        if self.kind == "distance":
            return i - min(self.high, UNBOUNDED) + 1, i - self.low + 1
        if self.kind == "key-below":
            return np.zeros_like(i), np.full_like(i, self.high)
        own = i // self.chunk
        back = np.minimum(self.high - 1, own)
        return (own - back) * self.chunk, (own - self.low + 1) * self.chunk


@dataclasses.dataclass(frozen=True)
class PositionMap:
    """The position by which a query or key of id i is rotated."""

    kind: str  # scaled, floor, modulo
    scale: float
    divisor: int
    offset: float
    cap: float

    def __call__(self, i: np.ndarray) -> np.ndarray:
        if self.kind == "scaled":
            moved = self.scale * i.astype(np.float64)
        elif self.kind == "floor":
            moved = (i // self.divisor).astype(np.float64)
        else:
            moved = (i % self.divisor).astype(np.float64)
        return np.minimum(self.offset + moved, self.cap)

    @property
    def constant(self) -> bool:
        return self.kind == "scaled" and self.scale == 0

    @property
    def zero(self) -> bool:
        return self.constant and self.offset == 0


@dataclasses.dataclass(frozen=True)
class Table:
    """Radians per token of each pair, and a factor on cos and sin."""

    magnitude: float
    frequencies: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Band:
    selector: Selector
    query: PositionMap
    key: PositionMap
    table: int


@dataclasses.dataclass(frozen=True)
class Plan:
    text: str
    scale_kind: str  # none, logn, clip, learned
    scale_length: int
    tables: tuple[Table, ...]
    bands: tuple[Band, ...]

    def score_scale(self, i: np.ndarray) -> np.ndarray | None:
        """s(i) of the queries, [n] float64; None where all are 1."""
        if self.scale_kind == "none":
            return None
        n = i.astype(np.float64) + 1
        if self.scale_kind == "learned":
            return np.log(n)
        base = math.log(self.scale_length)
        if self.scale_kind == "logn":
            return np.log(np.maximum(n, 16.0)) / base
        if len(i) == 0 or n[-1] <= self.scale_length:
            return None
        return np.maximum(1.0, np.log(n) / base)

    def turn(self, band: Band, side: PositionMap) -> tuple | None:
        """What names a rotation; None where nothing is rotated."""
        table = self.tables[band.table]
        if not table.frequencies or (side.zero and table.magnitude == 1):
            return None
        return (side, table)


def plans(
    position: str,
    *,
    head_width: int,
    train_length: int,
    length: int,
    layers: int = 1,
    base: float = 10000.0,
    rotary_width: int | None = None,
    **facts,
) -> list[str]:
    """The plans of a scheme for the layers of a model, as texts.

    head_width, rotary_width: components of a head, and those that rotate (all)
    base: of the frequencies; train_length: tokens that it is or was trained on
    length: tokens of the texts at hand
    facts: other fields of the library's ModelPositions, by name

    Raises ValueError with the reason for a scheme that cannot be had.
    """
    model = {
        "head_width": head_width,
        "rotary_width": head_width if rotary_width is None else rotary_width,
        "base": float(base),
        "train_length": train_length,
        **facts,
    }
    return build_plans(position, model, length, layers)["plans"]


@functools.lru_cache(maxsize=1024)
def parse_plan(text: str) -> Plan:
    """A plan from the text that the library writes (`position/plan_text.h`)."""
    lines = text.splitlines()
    if not lines or lines[0] != "ropewalk-plan 1":
        raise ValueError("plan: 'ropewalk-plan 1' expected")
    scale: tuple[str, int] = ("none", 512)
    tables: list[Table] = []
    bands: list[Band] = []
    for line in lines[1:]:
        what, *words = line.split(" ")
        if what == "scale":
            scale = (words[0], int(words[1]))
        elif what == "table":
            values = [float(word) for word in words]
            tables.append(Table(values[0], tuple(values[1:])))
        elif what == "band":
            bands.append(
                Band(
                    Selector(words[0], *(int(word) for word in words[1:4])),
                    _map(words[4:9]),
                    _map(words[9:14]),
                    int(words[14]),
                )
            )
        else:
            raise ValueError(f"plan: '{what}' is not known")
    return Plan(text, *scale, tuple(tables), tuple(bands))


def _map(words: list[str]) -> PositionMap:
    return PositionMap(
        words[0], float(words[1]), int(words[2]), float(words[3]), float(words[4])
    )
