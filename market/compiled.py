"""Compilation of kernels, kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def compiled(function: _Kernel) -> _Kernel:
    """Compile on first call, without the GIL, dividing by zero as numpy does.

    The machine code is kept beside the module or, where an installed package cannot be written to, in numba's folder of
    the user (`NUMBA_CACHE_DIR` moves it), and is renewed when the module's text changes. That is the text of one file:
    kernels that call each other therefore stand in one module. Where no folder can be written, as in a container with a
    read-only root, the kernel is compiled once per process.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(_Kernel, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # numba's "no locator available"
        return cast(_Kernel, numba.njit(**options)(function))


def inlined(function: _Kernel) -> _Kernel:
    """For a part of a kernel's innermost loop: compiled into each place that calls it.

    A call that passes arrays counts references to each of them, which takes longer than what such a part does.
    """
    return cast(_Kernel, numba.njit(inline="always", error_model="numpy")(function))
