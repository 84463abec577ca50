"""Kernels are kept on disk where a folder can be written, and work where none can."""

from __future__ import annotations

import numba
import pytest
from numba.core import caching

from market.compiled import compiled


def double(value: float) -> float:
    return 2 * value


def test_a_kernel_works_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    # A read-only root and no home: no locator accepts the folder, and numba refuses the option `cache`.
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(double)
    assert compiled(double)(21.0) == 42.0
