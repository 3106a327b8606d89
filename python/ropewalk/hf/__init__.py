"""Models of transformers under any position scheme of Ropewalk.

ropewalk.hf.apply(model, "rerope:window=1024+logn-clip")
model.generate(...)
ropewalk.hf.remove(model)
"""

from ..plans import Plan, parse_plan
from .apply import Applied, applied, apply, remove
from .banded import Setting, banded_attention
from .facts import NotSupported
from .rotation import Layout

__all__ = [
    "Applied",
    "Layout",
    "NotSupported",
    "Plan",
    "Setting",
    "applied",
    "apply",
    "banded_attention",
    "parse_plan",
    "remove",
]
