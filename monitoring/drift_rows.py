"""Rows of `feature_distributions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from market.drift import KolmogorovSmirnov, Summary
from monitoring.conditions import Moment
from warehouse.clock import wall_clock
from warehouse.warehouse import Write

DISTRIBUTIONS_TABLE = "ml_models.feature_distributions"

_NUMBERS = (
    *("mean_value", "std_value", "min_value", "max_value", "percentile_25", "percentile_50", "percentile_75"),
    *("baseline_mean", "baseline_std", "ks_statistic", "ks_p_value", "psi"),
)


@dataclass(frozen=True)
class FeatureRow:
    """One feature on one date; None where there is no baseline or no value.

    Attributes:
        name: The feature.
        current: The newest 7 days.
        baseline: The training rows.
        distance: Of the two.
        psi: Of the two.
        drifted: The verdict; None when it was not judged.
    """

    name: str
    current: Summary
    baseline: Summary | None = None
    distance: KolmogorovSmirnov | None = None
    psi: float | None = None
    drifted: bool | None = None


def distributions_write(moment: Moment, rows: Sequence[FeatureRow]) -> Write:
    """The write that puts a class's rows of a date in the place of earlier ones."""
    schema = pa.schema(
        [("date", pa.date32()), ("asset_type", pa.string()), ("feature_name", pa.string())]
        + [(name, pa.float64()) for name in _NUMBERS]
        + [("null_count", pa.int64()), ("drift_detected", pa.bool_()), ("created_at", pa.timestamp("us", tz="UTC"))]
    )
    written_at = wall_clock()
    key = {"date": moment.date, "asset_type": moment.asset_type}
    values = [{**key, "created_at": written_at, **_values(row)} for row in rows]
    return Write(DISTRIBUTIONS_TABLE, rows=pa.Table.from_pylist(values, schema=schema), mode="replace", where=key)


def _values(row: FeatureRow) -> dict[str, object]:
    current, baseline, distance = row.current, row.baseline, row.distance
    quartiles = current.quartiles or (None, None, None)
    return {
        "feature_name": row.name,
        "mean_value": current.mean,
        "std_value": current.std,
        "min_value": current.low,
        "max_value": current.high,
        "percentile_25": quartiles[0],
        "percentile_50": quartiles[1],
        "percentile_75": quartiles[2],
        "null_count": current.missing,
        "baseline_mean": None if baseline is None else baseline.mean,
        "baseline_std": None if baseline is None else baseline.std,
        "ks_statistic": None if distance is None else distance.statistic,
        "ks_p_value": None if distance is None else distance.p_value,
        "psi": row.psi,
        "drift_detected": row.drifted,
    }
