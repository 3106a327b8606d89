"""Keys and values of a text in progress. Keys are not rotated."""

from __future__ import annotations

import torch
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer


class UnrotatedLayer(DynamicLayer):
    """A `DynamicLayer` with room behind its tokens, so that a new token does not
    copy all that came before."""

    def __init__(self) -> None:
        super().__init__()
        self._room: tuple[torch.Tensor, torch.Tensor] | None = None
        # What `keys` was when the room was last written. Beams and crops put
        # other tensors there.
        self._seen: torch.Tensor | None = None

    def update(self, key_states, value_states, *args, **kwargs):
        if torch.is_grad_enabled() and (
            key_states.requires_grad or value_states.requires_grad
        ):
            self._room = self._seen = None
            return super().update(key_states, value_states, *args, **kwargs)
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        fits = (
            self._room is not None
            and self.keys is self._seen
            and self._room[0].shape[-2] >= after
            and self._room[0].dtype == key_states.dtype
        )
        if not fits:
            size = after + max(256, after // 8)
            room = []
            for new, old in ((key_states, self.keys), (value_states, self.values)):
                rows = new.new_empty((*new.shape[:-2], size, new.shape[-1]))
                if before > 0:
                    rows[..., :before, :] = old
                room.append(rows)
            self._room = tuple(room)
        for rows, new in zip(self._room, (key_states, value_states)):
            rows[..., before:after, :] = new
        self.keys, self.values = (rows[..., :after, :] for rows in self._room)
        self._seen = self.keys
        return self.keys, self.values

    def reset(self) -> None:
        self._room = self._seen = None
        super().reset()


def adopt(cache: Cache, index: int, window: int | None):
    """The layer of a cache, changed to ours where that is needed.

    window: the most keys that a query reads, or None for all.
    """
    layers = cache.layers
    replicates = getattr(cache, "layer_class_to_replicate", None)
    while replicates is DynamicLayer and len(layers) <= index:
        layers.append(UnrotatedLayer())
    if index >= len(layers):
        return None
    layer = layers[index]
    if type(layer) is DynamicLayer:
        own = UnrotatedLayer()
        if layer.is_initialized:
            own.lazy_initialization(layer.keys, layer.values)
            own.keys, own.values = layer.keys, layer.values
        layers[index] = layer = own
    elif type(layer) is DynamicSlidingWindowLayer and (
        window is None or window > layer.sliding_window
    ):
        # The scheme reads keys that this layer would drop.
        if layer.get_seq_length() > 0:
            raise ValueError(
                f"layer {index} of the cache keeps {layer.sliding_window} keys, and "
                "its scheme reads more; begin with an empty cache"
            )
        layers[index] = layer = UnrotatedLayer()
    return layer
