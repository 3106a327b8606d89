"""Measurements as frames of pandas and figures of matplotlib."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import _arguments, _engine

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas

    from .model import Model


def _documents(texts: Any) -> list[str | list[int]]:
    if isinstance(texts, (str, bytes, os.PathLike)):
        return [_arguments.document(texts)]
    items = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    if items and all(isinstance(item, int) for item in items):
        return [_arguments.ids(items)]
    return [_arguments.document(item) for item in items]


def measure(
    model: Model,
    texts: Any,
    *,
    lengths: Any,
    positions: Any,
    documents: int,
    score_last: int | str,
    repeat: bool,
    kv_type: str,
    on_row: Any,
) -> pandas.DataFrame:
    import pandas

    given = _documents(texts)
    trained = model.train_length
    if lengths is None:
        wanted = [trained, 2 * trained, 4 * trained, 8 * trained]
    elif isinstance(lengths, (int, str)):
        wanted = [_arguments.length(lengths, "lengths")]
    else:
        wanted = list(dict.fromkeys(_arguments.length(length, "lengths") for length in lengths))
    if positions is None:
        schemes = _engine.default_positions()
    else:
        schemes = [positions] if isinstance(positions, str) else list(positions)
    result = _engine.measure(
        model._model,
        [text for text in given if isinstance(text, str)],
        [text for text in given if not isinstance(text, str)],
        schemes,
        wanted,
        _arguments.length(score_last, "score_last"),
        documents,
        repeat,
        kv_type,
        on_row,
    )
    frame = pandas.DataFrame(result["rows"])
    frame.attrs = {
        "model": model.name,
        "train_length": result["train_length"],
        "score_last": result["score_last"],
        "documents": result["documents"],
        "skipped": result["skipped"],
    }
    return frame


def plot(
    frame: pandas.DataFrame, *, value: str = "loss", ax: Any = None
) -> matplotlib.figure.Figure:
    if value not in ("loss", "accuracy"):
        raise ValueError(f"value must be loss or accuracy, got {value!r}")
    if ax is None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.2), layout="constrained")
        ax = figure.add_subplot()
    several = frame["set"].nunique() > 1
    for (position, kind), rows in frame.groupby(["position", "set"], sort=False):
        rows = rows.sort_values("length")
        ax.errorbar(
            rows["length"],
            rows[value],
            yerr=rows[f"{value}_stderr"],
            marker="o",
            markersize=3,
            capsize=2,
            label=f"{position}, {kind}" if several else position,
        )
    if frame.attrs.get("train_length"):
        ax.axvline(frame.attrs["train_length"], color="0.6", linestyle="--", linewidth=1)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sorted(set(frame["length"])), labels=[str(n) for n in sorted(set(frame["length"]))])
    ax.minorticks_off()
    ax.set_xlabel("tokens read")
    ax.set_ylabel("loss, nats" if value == "loss" else "accuracy")
    if frame.attrs.get("model"):
        ax.set_title(frame.attrs["model"])
    ax.legend()
    return ax.figure
