"""Documents that are read once, for any text of the same model to attend to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _arguments, _engine

if TYPE_CHECKING:
    from .model import Model


class Memory:
    """Keys and values of a document, kept in a file. Immutable.

    The file stays mapped while the memory is in use and must not be changed;
    replacing it by another of the same name is safe.
    """

    def __init__(self, memory: _engine.Memory) -> None:
        self._memory = memory

    @staticmethod
    def remember(
        model: Model,
        document: _arguments.Text | os.PathLike[str] | Iterable[int],
        path: str | os.PathLike[str],
        *,
        name: str = "",
        source: str = "",
        part: int | str = 0,
        overlap: int | str = 128,
        kv_type: str = "f16",
        progress: Callable[[int, int], Any] | None = None,
    ) -> Memory:
        """Reads a document and writes its memory to `path`.

        document: a text, a pathlib.Path of one, or ids without a begin token.
        part: tokens that are read together, at most the trained length; 0:
            2048, or the trained length if that is less.
        overlap: tokens before a part that are read with it and left out.
        kv_type: f32, f16, bf16, q8_0 or q4_0; sessions that attend to it have
            the same.
        progress: called after each pass with the tokens read, overlaps
            included, and the tokens of the document.

        Raises ValueError for options out of range and an empty document,
        MemoryLimitError and OSError. Ctrl-C leaves an older file as it was.
        """
        text = _arguments.document(document)
        if isinstance(text, str):
            text = model.tokenizer.encode(text, bos=False, eos=False)
        target = _arguments.path(path)
        done = _engine.Memory.remember(
            model._model,
            text,
            target,
            name,
            source,
            _arguments.length(part, "part"),
            _arguments.length(overlap, "overlap"),
            kv_type,
            progress,
        )
        if not done:
            raise InterruptedError("progress returned False: no memory was written")
        return Memory.open(model, target)

    @staticmethod
    def open(model: Model, path: str | os.PathLike[str]) -> Memory:
        """Raises OSError, FormatError for a file that is damaged or no memory,
        and ValueError for one of another model."""
        return Memory(_engine.Memory.open(model._model, _arguments.existing(path)))

    def __repr__(self) -> str:
        return f"<ropewalk.Memory {self.name!r}, {self.size} tokens>"

    @property
    def name(self) -> str:
        return self._memory.name

    @property
    def source(self) -> str:
        """Where the document came from."""
        return self._memory.source

    @property
    def size(self) -> int:
        """Tokens of the document."""
        return self._memory.size

    @property
    def parts(self) -> int:
        """Parts that were read together."""
        return self._memory.parts

    @property
    def bytes(self) -> int:
        """Of keys and values in the file."""
        return self._memory.bytes

    @property
    def kv_type(self) -> str:
        return self._memory.kv_type
