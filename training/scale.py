"""The scale proof: features of a scale-free service do not move when a symbol's prices are multiplied.

Prices that are adjusted for splits and dividends carry the future in their level: a share that will split ten times
shows a tenth of what was paid. A model that sees the level may recognise the winners. So either no feature depends on
it, or the user is warned which ones do.
"""

from __future__ import annotations

import polars as pl

from configs.settings import Settings
from feature_repo.services import INTERACTIONS, SCALE_FREE_SERVICES
from training.checks import CheckResult
from training.truncation import Recomputed
from training.truncation_compare import CUT_MARK, MATRIX_TOLERANCE, equal
from training.truncation_histories import RESCALED, WHOLE, is_copy

_NAMED = 8


def scale_check(settings: Settings, recomputed: Recomputed | None) -> list[CheckResult]:
    """Compare what models would see of whole histories and of the same with multiplied prices.

    Args:
        settings: Names the feature service and the factor.
        recomputed: From `training.truncation.recompute`; None when no symbol has enough bars.

    Returns:
        A failure per column that moves in a scale-free service; one warning naming them in a service with levels.
    """
    service = settings.training.feature_service
    if recomputed is None or not recomputed.computed_here:
        why = "no symbol has enough bars" if recomputed is None else "your table's indicators cannot be recomputed"
        return [CheckResult("scale", "passed", f"service {service}", f"not compared: {why}")]
    whole, rescaled = (_copy(recomputed.matrix, name) for name in (WHOLE, RESCALED))
    columns = [name for name in whole.columns if name not in ("symbol", "datetime")]
    joined = whole.join(
        rescaled.rename({name: f"stored_{name}" for name in columns}), on=["symbol", "datetime"], how="inner"
    )
    moved = {name: joined.filter(~equal(name, joined.schema[name], MATRIX_TOLERANCE)).height for name in columns}
    moving = [name for name, rows in moved.items() if rows and not any(map(moved.get, INTERACTIONS.get(name, ())))]
    factor = settings.audit.rescale_factor
    if not moving:
        told = f"{len(columns)} columns on {joined.height} bars do not move when prices are multiplied by {factor:g}"
        return [CheckResult("scale", "passed", f"service {service}", told)]
    if service in SCALE_FREE_SERVICES:
        return [
            CheckResult(
                "scale",
                "failed",
                f"feature {name}",
                f"moves on {moved[name]} of {joined.height} bars when prices are multiplied by {factor:g}: adjusted "
                "prices carry later splits and dividends in their level",
                f"divide {name} by a price, or leave it out of the service {service}",
            )
            for name in moving
        ]
    named = ", ".join(moving[:_NAMED]) + (f" and {len(moving) - _NAMED} more" if len(moving) > _NAMED else "")
    return [
        CheckResult(
            "scale",
            "warning",
            f"service {service}",
            f"{len(moving)} of {len(columns)} features depend on the price level: {named}; adjusted prices carry later "
            "splits and dividends in it",
            "compare with the service default before trusting a result",
        )
    ]


def _copy(matrix: pl.DataFrame, name: str) -> pl.DataFrame:
    return matrix.filter(is_copy(name)).with_columns(symbol=pl.col("symbol").str.split(CUT_MARK).list.first())
