"""`tradehits report ensemble`: has Gemini's opinion helped so far, and do the weights need another look?"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl
from rich.console import Console
from rich.table import Table

from market.assets import ASSET_TYPES
from market.errors import ConfigError
from serving.ensemble_evidence import ClassEvidence, Estimate, Verdict, measure
from warehouse.engines import open_warehouse

if TYPE_CHECKING:
    from configs.settings import Settings
    from warehouse.warehouse import Warehouse

WIDTH: Final = 132

WEIGHTS_STAY: Final = (
    "Weights stay as configured (ensemble.xgboost_weight): this report measures, and never changes them."
)

_MATURED = """
SELECT
  r.asset_type, r.datetime, r.xgb_up_probability, r.ensemble_up_probability, r.gemini_status, r.gemini_prediction,
  r.gemini_confidence, r.actual_direction = 'UP' AS is_up,
  IFNULL(r.created_at < f.label_known_at, FALSE) AS is_live
FROM `ml_models.realtime_predictions` AS r
LEFT JOIN `ml_models.walk_forward_features_v2` AS f
  ON f.asset_type = r.asset_type AND f.symbol = r.symbol AND f.datetime = r.datetime
WHERE r.actual_direction IS NOT NULL
ORDER BY r.asset_type, r.datetime, r.symbol
"""

_SAID: Final[dict[Verdict, str]] = {
    "no_evidence": "no evidence yet",
    "no_difference": "no difference shown",
    "ensemble_better": "the ensemble is better",
    "xgboost_better": "XGBoost alone is better",
}


def report_ensemble(settings: Settings, output: str) -> str:
    """The report of a profile, as text.

    Args:
        settings: Names the warehouse; weights and what counts as evidence.
        output: `table` or `json`.

    Raises:
        ConfigError: For another output.
    """
    if output not in ("table", "json"):
        raise ConfigError(f"report ensemble has no output '{output}'", remedy="table or json")
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    evidence = measured(warehouse, settings)
    return _as_json(settings, evidence) if output == "json" else _as_table(settings, evidence)


def measured(warehouse: Warehouse, settings: Settings) -> list[ClassEvidence]:
    """The evidence in each asset class, from stored predictions whose outcome is known."""
    matured = cast(pl.DataFrame, pl.from_arrow(warehouse.query(_MATURED)))
    return [
        measure(name, matured.filter(pl.col("asset_type") == name), settings.ensemble, settings.evaluation)
        for name in ASSET_TYPES
    ]


def conclusion(evidence: ClassEvidence, settings: Settings) -> str:
    """What follows for one class, in one or two sentences."""
    needed = settings.ensemble
    if evidence.verdict == "no_evidence":
        return (
            f"No evidence: {evidence.rows} live predictions with an opinion, on {evidence.dates} dates, have a known "
            f"outcome; {needed.min_rows} on {needed.min_dates} are needed."
        )
    if evidence.verdict == "no_difference":
        return "No difference shown: the interval of the Brier gain holds 0. No reason to change the weight."
    better = "The ensemble has" if evidence.verdict == "ensemble_better" else "XGBoost alone has"
    return f"{better} the smaller Brier score, and the interval excludes 0. {_about_weight(evidence)}"


def _about_weight(evidence: ClassEvidence) -> str:
    interval = evidence.measured_weight.interval
    if interval is None or interval[0] <= evidence.configured_weight <= interval[1]:
        return f"The configured weight {evidence.configured_weight:g} agrees with what was measured."
    return (
        f"The configured weight {evidence.configured_weight:g} lies outside the measured {interval[0]:.2f} to "
        f"{interval[1]:.2f}: consider ensemble.xgboost_weight.{evidence.asset_type}."
    )


def _as_json(settings: Settings, evidence: Sequence[ClassEvidence]) -> str:
    classes = {found.asset_type: {**_entries(found), "conclusion": conclusion(found, settings)} for found in evidence}
    facts = {"profile": settings.profile, "level": settings.ensemble.level, "weights": WEIGHTS_STAY, "classes": classes}
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)


def _entries(found: ClassEvidence) -> dict[str, Any]:
    return {name: value for name, value in asdict(found).items() if name != "asset_type"}


def _as_table(settings: Settings, evidence: Sequence[ClassEvidence]) -> str:
    table = Table(box=None, pad_edge=False)
    for name in (
        "class",
        "rows",
        "dates",
        "measure",
        "XGBoost",
        "ensemble",
        f"gain ({settings.ensemble.level:.0%})",
        "",
    ):
        table.add_column(name, justify="left" if name in ("class", "measure", "") else "right")
    for found in evidence:
        table.add_row(
            found.asset_type,
            f"{found.rows:,}",
            f"{found.dates:,}",
            "accuracy, %",
            _number(found.xgboost_accuracy_pct, ".1f"),
            _number(found.ensemble_accuracy_pct, ".1f"),
            _estimate(found.accuracy_gain_points, "+.1f"),
            f"base rate {_number(found.base_rate_pct, '.1f')}",
        )
        table.add_row(
            "",
            "",
            "",
            "Brier score x 1000",
            _number(found.xgboost_brier, ".1f", scale=1000),
            _number(found.ensemble_brier, ".1f", scale=1000),
            _estimate(found.brier_gain, "+.1f", scale=1000),
            _SAID[found.verdict],
        )
        measured_weight = _estimate(found.measured_weight, ".2f")
        table.add_row(
            "", "", "", "XGBoost's weight", "", f"{found.configured_weight:g}", "", f"measured {measured_weight}"
        )
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    left_out = [
        f"{found.asset_type}: of {found.matured:,} matured predictions {found.without_opinion:,} have no opinion and "
        f"{found.back_filled:,} are back-fills, which are left out. {conclusion(found, settings)}"
        for found in evidence
    ]
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([*lines, "", *left_out, "", WEIGHTS_STAY])


def _number(value: float | None, style: str, *, scale: float = 1.0) -> str:
    return "-" if value is None else format(scale * value, style)


def _estimate(estimate: Estimate, style: str, *, scale: float = 1.0) -> str:
    if estimate.value is None:
        return "-"
    value = format(scale * estimate.value, style)
    if estimate.interval is None:
        return value
    return f"{value} ({' to '.join(format(scale * end, style) for end in estimate.interval)})"
