"""torch.ops.ropewalk: the operators of Ropewalk in PyTorch.

    import ropewalk.torch_ops
    ropewalk.torch_ops.load()          # after `python -m ropewalk.torch_ops.build`
    out = torch.ops.ropewalk.attention(q, k, v, plan)

docs/python-torch.md tells what they take and give.
"""

from __future__ import annotations

import os
import pathlib

import torch

_state = {"loaded": None, "tried": False}


def load(path: str | os.PathLike | None = None, build: bool = False) -> pathlib.Path:
    """Loads the operators, once in a process, and tells their file.

    path: a library of `make lab` or of the builder; None: `$ROPEWALK_TORCH_LIBRARY`
        or the one that was built for this PyTorch
    build: builds it first where it is not there
    """
    if _state["loaded"] is not None:
        return _state["loaded"]
    # Not at the top: `python -m ropewalk.torch_ops.build` comes through here.
    from . import build as builder

    given = path or os.environ.get("ROPEWALK_TORCH_LIBRARY")
    if given:
        found = pathlib.Path(given)
    else:
        found = builder.find(builder.source_folder())
        if found is None and build:
            found = builder.build(quiet=True)
    if found is None or not found.is_file():
        raise FileNotFoundError(
            f"no operators for PyTorch {torch.__version__}"
            + (f" at '{given}'" if given else "")
            + ": run python -m ropewalk.torch_ops.build"
        )
    torch.ops.load_library(str(found))
    _register_fakes()
    _state["loaded"] = found
    return found


def available() -> bool:
    """True where the operators are loaded, or could be. Never raises: whoever
    asks has another way."""
    if _state["loaded"] is None and not _state["tried"]:
        _state["tried"] = True
        try:
            load()
        except (OSError, RuntimeError):
            pass
    return _state["loaded"] is not None


def _attention(q, k, v, plan, mask="causal", prefix=None, keys=None, head_scale=None,
               scale=None):  # fmt: skip
    return q.new_empty((*q.shape[:3], v.shape[3]))


def _attention_forward(q, k, v, plan, mask, prefix, keys, head_scale, scale):
    B, T, H, _ = q.shape
    return q.new_empty((B, T, H, v.shape[3])), q.new_empty((B, H, T))


def _attention_backward(d_out, q, k, v, out, lse, plan, mask, prefix, keys, head_scale,
                        scale):  # fmt: skip
    d_scale = q.new_empty((0,) if head_scale is None else tuple(head_scale.shape))
    return (q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape), d_scale)


def _register_fakes() -> None:
    """Shapes without numbers, for torch.compile and torch.export."""
    fakes = {
        "attention": _attention,
        "attention_forward": _attention_forward,
        "attention_backward": _attention_backward,
    }
    if hasattr(torch.library, "register_fake"):
        for name, fake in fakes.items():
            torch.library.register_fake(f"ropewalk::{name}")(fake)
        return
    library = torch.library.Library("ropewalk", "IMPL")
    for name, fake in fakes.items():
        library.impl(name, fake, "Meta")
    _state["library"] = library
