"""Arguments as people write them, in the form that the engine takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, Union

from . import _engine

Text = Union[str, bytes]
Ids = Sequence[int]

_LENGTH = re.compile(r"([0-9]+)([kK]?)")
_SIZE = re.compile(r"([0-9]+)([kKmMgGtT]?)")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MOST = 1 << 62


def _number(value: int | str, name: str, form: re.Pattern[str], units: str) -> int:
    if isinstance(value, str):
        match = form.fullmatch(value)
        if match is None:
            raise ValueError(f"{name} must be a number such as {units}, got {value!r}")
        count = int(match[1]) * _UNITS[match[2].lower()]
    else:
        count = _integer(value, name)
    if not 0 <= count <= _MOST:
        raise ValueError(f"{name} must be from 0 to 2^62, got {value!r}")
    return count


def _integer(value: Any, name: str) -> int:
    try:
        return int(value.__index__())
    except AttributeError:
        raise TypeError(f"{name} must be an integer or a text, got {value!r}") from None


def length(value: int | str, name: str) -> int:
    """Tokens: 4096 or "4k"."""
    return _number(value, name, _LENGTH, "4096 or 4k")


def size(value: int | str, name: str) -> int:
    """Bytes: 4096 or "2G", of 1024 each."""
    return _number(value, name, _SIZE, "4096, 512M or 2G")


def ids(tokens: Iterable[int]) -> list[int]:
    """Any integers that can be counted through, NumPy arrays among them."""
    to_list = getattr(tokens, "tolist", None)
    items = list(to_list() if to_list is not None else tokens)
    for item in items:
        if not isinstance(item, int) or not -_MOST < item < _MOST:
            raise ValueError(f"a token id must be an integer, got {item!r}")
    return items


def text_or_ids(
    text: Text | Iterable[int], tokenizer: Any, *, begins: bool, special: bool = False
) -> list[int]:
    """The ids of a text, with the begin token where it begins one; or ids as they are."""
    if isinstance(text, (str, bytes)):
        encoded: list[int] = tokenizer().encode(
            text,
            bos=None if begins else False,
            eos=None if begins else False,
            special=special,
        )
        return encoded
    return ids(text)


def path(value: str | os.PathLike[str]) -> str:
    """A path as text; bytes that are no UTF-8 are refused."""
    return os.fsdecode(os.fspath(value))


def existing(value: str | os.PathLike[str]) -> str:
    """The same; raises FileNotFoundError, PermissionError and the like."""
    os.stat(value)
    return path(value)


def document(text: Any) -> str | list[int]:
    """A text, the text of a file (a pathlib.Path, may be .gz), or ids."""
    if isinstance(text, os.PathLike):
        return _engine.read_text(existing(text))
    if isinstance(text, bytes):
        return text.decode()
    if isinstance(text, str):
        return text
    return ids(text)
