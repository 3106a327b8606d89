"""Ropewalk: transformers that read far past the length they were trained on.

    import ropewalk

    model = ropewalk.Model.load("model.gguf")
    session = model.session(position="rerope:window=1024+logn-clip", context="64k")
    session.read(text)
    for piece in session.generate(max_tokens=200):
        print(piece.text, end="")

Errors: ValueError for a wrong argument, OSError where the system refuses,
FormatError (a ValueError) for a file that is not what its format allows,
MemoryLimitError (a MemoryError) where the memory limit of a model would be
passed. Lengths are tokens, as a number or as "64k".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import positions
from ._engine import FormatError, MemoryLimitError, Piece, StreamDecoder, Tokenizer
from ._engine import version as __version__
from .memory import Memory
from .model import Model, Scores
from .session import Generation, Session, read_together

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas

__all__ = [
    "FormatError",
    "Generation",
    "Memory",
    "MemoryLimitError",
    "Model",
    "Piece",
    "Scores",
    "Session",
    "StreamDecoder",
    "Tokenizer",
    "__version__",
    "plot",
    "positions",
    "read_together",
]


def plot(
    frame: pandas.DataFrame, *, value: str = "loss", ax: Any = None
) -> matplotlib.figure.Figure:
    """Draws a frame of `Model.measure`: a line for each scheme, by length.

    value: the column: "loss" (nats) or "accuracy".
    ax: axes of matplotlib to draw on; None: a figure of its own.

    Returns the figure. A dashed line marks the trained length, bars are one
    standard error. Needs matplotlib; touches no state of pyplot.
    """
    from . import _frames

    return _frames.plot(frame, value=value, ax=ax)
