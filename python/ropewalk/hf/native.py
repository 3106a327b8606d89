"""The compiled part that this package uses."""

from __future__ import annotations

try:
    from .._engine import build_plans
except ImportError:
    from .._plans import build_plans

__all__ = ["build_plans"]
