"""Position schemes: by which distances a model sees its text.

A scheme is spelled name[:key=value[,key=value]...], then any of
+logn[:base=LEN], +logn-clip and +logn-learned, then @all; "auto" leaves the
choice to the library, and "@layers.toml" gives one spelling a layer.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, NamedTuple

from . import _arguments, _engine

if TYPE_CHECKING:
    from .model import Model


class Info(NamedTuple):
    """A scheme that there is."""

    name: str
    summary: str
    source: str  # the post or paper it is from
    parameters: dict[str, str]  # what each means, with its default


class Band(NamedTuple):
    """The pairs of query i and key j that are turned by one rule."""

    pairs: str  # "1024 <= i - j"
    query: str  # the position that turns the query: "i", "1024", "nothing"
    key: str  # "j", "floor(j / 8)"


class Layers(NamedTuple):
    """Layers that have the same bands."""

    layers: builtins.list[int]
    bands: builtins.list[Band]


class Description(NamedTuple):
    """A scheme as it runs at a length."""

    spelling: str  # every parameter given; "auto" as the scheme it becomes
    length: int
    layers: builtins.list[Layers]
    changed_layers: str  # in words, where they are not all; else empty
    known_to_fail: str | None  # why it gives noise at this length, if it does

    def __str__(self) -> str:
        lines = [f"{self.spelling}, at {self.length} tokens"]
        if self.changed_layers:
            lines.append(self.changed_layers)
        for layers, bands in self.layers:
            if len(self.layers) > 1:
                lines.append("layers " + ", ".join(map(str, layers)))
            for band in bands:
                lines.append(f"  {band.pairs}: query turned by {band.query}, key by {band.key}")
        if self.known_to_fail:
            lines.append(f"known to fail: {self.known_to_fail}")
        return "\n".join(lines)


class Advice(NamedTuple):
    """Which scheme to read a length with, and why."""

    spelling: str | None  # None where no scheme that we advise holds
    reasons: builtins.list[str]


def list() -> builtins.list[Info]:
    """Every scheme there is, "auto" and files of layers apart."""
    return [
        Info(name, summary, source, dict(parameters))
        for name, summary, source, parameters in _engine.list_schemes()
    ]


def parse(spelling: str) -> str:
    """The canonical spelling. Raises ValueError, with the reason, for an
    unknown name or key and a value that the key does not allow."""
    return _engine.parse_scheme(spelling)


def describe(
    spelling: str,
    model: Model | None = None,
    *,
    length: int | str | None = None,
    train_length: int | str | None = None,
) -> Description:
    """What a scheme comes to: its bands, layer by layer.

    model: of whose layers; None: a model of one layer that was trained to
        `train_length` tokens (2048).
    length: tokens of the text; None: twice the trained length.

    Raises ValueError for a spelling that is none, and where the scheme is not
    defined for the model. Draws no figure and reads no weights.
    """
    if model is None:
        trained = _arguments.length(2048 if train_length is None else train_length, "train_length")
        at = 2 * trained if length is None else _arguments.length(length, "length")
        found = _engine.describe_alone(spelling, trained, at)
    else:
        if train_length is not None:
            raise ValueError("a model has its own train_length: give Model.load another one")
        at = 2 * model.train_length if length is None else _arguments.length(length, "length")
        found = _engine.describe_in(model._model, spelling, at)
    return Description(
        found.spelling,
        at,
        [Layers(layers, [Band(*band) for band in bands]) for layers, bands in found.layers],
        found.changed_layers,
        found.known_to_fail,
    )


def recommend(model: Model, length: int | str) -> Advice:
    """What "auto" picks for a length, with the reasons from the model's file."""
    return Advice(*_engine.recommend(model._model, _arguments.length(length, "length")))
