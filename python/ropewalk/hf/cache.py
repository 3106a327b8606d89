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
        # By rotation and shift of ids: [room, first token of it, tokens done].
        self._turned: dict = {}

    def update(self, key_states, value_states, *args, **kwargs):
        if torch.is_grad_enabled() and (
            key_states.requires_grad or value_states.requires_grad
        ):
            self._forget()
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
        if self.keys is not self._seen:
            self._turned.clear()
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

    def turned(self, turn, shift: int, k0: int, k1: int, rotate) -> torch.Tensor:
        """The keys of tokens [k0, k1) rotated, of which each token is rotated
        once; `rotate(keys, first, last)` does it for the ids [first, last).

        shift: the token whose id is 0
        """
        kept = self._turned.get((turn, shift))
        if kept is None or k0 < kept[1] or k0 > kept[2]:
            kept = self._turned[turn, shift] = [self.keys[..., :0, :], k0, k0]
        room, first, done = kept
        if k1 > first + room.shape[-2]:
            size = k1 - k0 + max(256, (k1 - k0) // 8)
            shape = (*self.keys.shape[:-2], size, self.keys.shape[-1])
            larger = self.keys.new_empty(shape)
            larger[..., : done - k0, :] = room[..., k0 - first : done - first, :]
            kept[0], kept[1] = room, first = larger, k0
        if k1 > done:
            room[..., done - first : k1 - first, :] = rotate(
                self.keys[..., done:k1, :], done - shift, k1 - shift
            )
            kept[2] = k1
        return room[..., k0 - first : k1 - first, :]

    def _forget(self) -> None:
        self._room = self._seen = None
        self._turned.clear()

    def reset(self) -> None:
        self._forget()
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
