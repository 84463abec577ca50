"""Every planted fault, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.planted_faults.fault import Fault
from tests.planted_faults.features import FEATURE_FAULTS
from tests.planted_faults.fits import FIT_FAULTS
from tests.planted_faults.rows import ROW_FAULTS

FAULTS = {fault.name: fault for fault in (*FEATURE_FAULTS, *ROW_FAULTS, *FIT_FAULTS)}


def parameters(faults: Iterable[Fault]) -> list[Any]:
    """Names for `pytest.mark.parametrize`; variants are studied with the slow tests."""
    return [pytest.param(fault.name, marks=pytest.mark.slow if fault.is_variant else ()) for fault in faults]
