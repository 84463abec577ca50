"""The rules of promotion: literal records in, decisions and sentences out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.promotion import PromotionSettings
from training.checks import CheckResult
from training.gate import Decision, decide
from training.paired import Comparison, compare_records

RULES = PromotionSettings(
    automatic=True,
    min_rows=100,
    min_dates=20,
    min_common_share=0.8,
    brier_tolerance=0.0002,
    brier_margin=0.001,
    accuracy_margin_points=1.0,
    max_ece=0.03,
    ece_tolerance=0.005,
    level=0.95,
    bootstrap_samples=300,
    bootstrap_block_days=5,
    seed=1,
    contribution_rows=10,
)
EARLY, LATE = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
PASSED = [CheckResult("labels", "passed", "stocks", "as they should be")]


def record(
    probability: np.ndarray | float, actual: np.ndarray, *, symbols: int = 4, first: datetime = EARLY
) -> pl.DataFrame:
    """`symbols` bars a day."""
    days = [first + timedelta(days=i // symbols) for i in range(len(actual))]
    return pl.DataFrame(
        {
            "asset_type": "stocks",
            "symbol": [f"S{i % symbols}" for i in range(len(actual))],
            "datetime": pl.Series(days, dtype=pl.Datetime("us", "UTC")),
            "up_probability": np.broadcast_to(np.asarray(probability, dtype=float), len(actual)),
            "target_direction": pl.Series(actual, dtype=pl.Int64, nan_to_null=True),
        }
    )


def outcomes(rows: int = 800, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, rows).astype(float)


def leaning(actual: np.ndarray, skill: float, seed: int = 5) -> np.ndarray:
    """Probabilities that lean to the outcome by `skill`, under noise."""
    noise = np.random.default_rng(seed).normal(0, 0.03, len(actual))
    return np.clip(0.5 + np.where(np.nan_to_num(actual) == 1, skill, -skill) + noise, 0.01, 0.99)


def judged(
    challenger: pl.DataFrame,
    champion: pl.DataFrame,
    *,
    checks: list[CheckResult] = PASSED,
    challenger_through: datetime = LATE,
    champion_through: datetime = EARLY,
    rules: PromotionSettings = RULES,
) -> Decision:
    return decide(
        "walk_forward_stocks/2",
        "walk_forward_stocks/1",
        checks,
        compare_records(challenger, champion, rules),
        rules,
        challenger_through=challenger_through,
        champion_through=champion_through,
    )


def rule(decision: Decision, name: str):
    return next(one for one in decision.rules if one.name == name)


def failing(decision: Decision) -> list[str]:
    return [one.name for one in decision.rules if not one.passed]


def test_the_figures_of_a_comparison_are_those_of_the_common_known_bars() -> None:
    stamps = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 1, 2, 2, 3)]
    keys = {"asset_type": "stocks", "symbol": ["A", "B", "A", "B", "A"], "datetime": stamps}
    old = pl.DataFrame(
        {**keys, "up_probability": [0.6, 0.6, 0.4, 0.5, 0.9], "target_direction": [1, 0, 0, 1, None]},
        schema_overrides={"target_direction": pl.Int64},
    )
    new = pl.DataFrame(
        {**keys, "up_probability": [0.8, 0.4, 0.6, 0.5, 0.9], "target_direction": [1, 0, 0, 1, None]},
        schema_overrides={"target_direction": pl.Int64},
    ).head(4)
    found = compare_records(new, old, RULES)
    assert (found.rows, found.dates, found.common_share, found.base_rate) == (4, 2, 1.0, 50.0)
    assert found.challenger is not None
    assert found.champion is not None
    # champion: 0.16, 0.36, 0.16, 0.25; challenger: 0.04, 0.16, 0.36, 0.25
    assert found.champion.brier == pytest.approx(0.2325)
    assert found.challenger.brier == pytest.approx(0.2025)
    assert found.brier_gain == pytest.approx(0.03)
    assert (found.champion.accuracy, found.challenger.accuracy) == (75.0, 75.0)
    assert found.accuracy_gain_points == 0.0


def test_a_bar_whose_outcome_only_the_challenger_knows_counts_too() -> None:
    actual = outcomes(200)
    champion = record(0.5, np.where(np.arange(200) < 150, actual, np.nan))
    assert compare_records(record(0.5, actual), champion, RULES).rows == 200
    assert compare_records(champion, champion, RULES).rows == 150


def test_a_better_model_that_knows_more_is_promoted_automatically() -> None:
    random = np.random.default_rng(4)
    known = np.clip(random.normal(0.5, 0.15, 800), 0.02, 0.98)
    actual = (random.random(800) < known).astype(float)
    decision = judged(record(known, actual), record(0.5, actual))
    assert failing(decision) == []
    assert decision.promote_automatically
    assert "significantly better" in rule(decision, "gain").detail
    assert decision.reasons == ()


def test_the_same_model_again_may_be_promoted_by_a_person_and_not_by_itself() -> None:
    actual = outcomes()
    same = record(leaning(actual, 0.02), actual)
    decision = judged(same, same, challenger_through=EARLY)
    assert decision.promote
    assert not decision.promote_automatically
    assert failing(decision) == ["news"]
    assert "it knows no more and is not significantly better" in decision.reasons[0]
    assert judged(same, same, challenger_through=LATE).promote_automatically


def test_a_worse_model_fails_and_the_sentences_carry_the_figures() -> None:
    actual = outcomes()
    decision = judged(record(leaning(actual, -0.05), actual), record(leaning(actual, 0.05), actual))
    assert not decision.promote
    assert {"brier", "gain"} <= set(failing(decision))
    assert "neither better nor non-inferior" in rule(decision, "gain").detail
    assert "against the champion's" in rule(decision, "brier").detail


@pytest.mark.parametrize(
    ("rows", "symbols", "share", "passed"),
    [(100, 5, 1.0, True), (96, 4, 1.0, False), (152, 8, 1.0, False), (160, 8, 1.0, True), (400, 4, 0.7, False)],
)
def test_rows_dates_and_the_share_of_the_champions_bars_are_bounds(
    rows: int, symbols: int, share: float, passed: bool
) -> None:
    actual = outcomes(rows)
    champion = record(0.5, actual, symbols=symbols)
    decision = judged(champion.head(int(rows * share)), champion)
    assert rule(decision, "rows").passed is passed
    assert decision.promote is passed


def test_a_challenger_that_left_the_hard_bars_out_is_refused() -> None:
    actual = outcomes()
    champion = record(leaning(actual, 0.0), actual)
    easy = champion.filter(pl.Series(actual) == (champion["up_probability"] >= 0.5))
    assert easy.height > 300
    assert failing(judged(easy, champion)) == ["rows"]


def test_probabilities_far_from_what_happens_break_the_calibration_bound() -> None:
    actual = outcomes()
    champion = record(0.5, actual)
    wild = np.where(leaning(actual, 0.02) >= 0.5, 0.95, 0.05)
    decision = judged(record(wild, actual), champion)
    assert "calibration" in failing(decision)
    # the same probabilities against a champion that is as wild are no reason to refuse
    assert rule(judged(record(wild, actual), record(wild, actual)), "calibration").passed


def test_few_rows_do_not_break_the_calibration_bound_by_chance() -> None:
    """Honest probabilities on 200 rows scatter by several points: the bound lies above what chance alone gives."""
    refused = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        known = random.normal(0.5, 0.03, 200)
        decision = judged(record(known, random.random(200) < known), record(0.5, outcomes(200)))
        refused += not rule(decision, "calibration").passed
    assert refused <= 4


@pytest.mark.parametrize(
    ("checks", "passed", "words"),
    [
        ([], False, "kept no audit"),
        (PASSED, True, "1 checks"),
        ([*PASSED, CheckResult("canary", "failed", "stocks", "beats noise")], False, "canary of stocks"),
        ([*PASSED, CheckResult("canary", "waived", "stocks", "by me")], True, "1 of them waived"),
        ([*PASSED, CheckResult("too good", "warning", "stocks", "hm")], True, "2 checks"),
    ],
)
def test_a_failed_check_stands_in_the_way_and_a_waived_one_does_not(
    checks: list[CheckResult], passed: bool, words: str
) -> None:
    decision = decide(
        "walk_forward_stocks/1", None, checks, None, RULES, challenger_through=LATE, champion_through=None
    )
    assert (decision.passes_audit, decision.promote, decision.promote_automatically) == (passed, passed, passed)
    assert words in decision.rules[0].detail


def test_without_two_common_dates_nothing_is_judged_and_nothing_fails_to_be_said() -> None:
    actual = outcomes(8)
    decision = judged(record(0.5, actual), record(0.5, actual, first=LATE))
    assert failing(decision) == ["rows", "brier", "gain", "calibration"]
    assert decision.comparison == Comparison(rows=0, dates=0, common_share=0.0)
    assert decision.to_dict()["comparison"]["brier_gain"] is None


def test_a_decision_becomes_plain_json() -> None:
    import json

    actual = outcomes()
    text = json.dumps(judged(record(0.5, actual), record(leaning(actual, 0.02), actual)).to_dict(), allow_nan=False)
    assert json.loads(text)["rules"][0]["name"] == "audit"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), skill=st.floats(-0.05, 0.05))
def test_swapping_the_sides_mirrors_every_gain(seed: int, skill: float) -> None:
    actual = outcomes(200, seed)
    one, other = record(leaning(actual, skill, seed), actual), record(leaning(actual, 0.0, seed + 1), actual)
    there, back = compare_records(one, other, RULES), compare_records(other, one, RULES)
    assert there.brier_gain == pytest.approx(-back.brier_gain, abs=1e-15)
    assert there.accuracy_gain_points == pytest.approx(-back.accuracy_gain_points, abs=1e-12)
    assert there.brier_gain_ci.low == pytest.approx(-back.brier_gain_ci.high, abs=1e-12)
    assert there.diebold_mariano_p == pytest.approx(back.diebold_mariano_p, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_and_bars_of_one_side_only_change_nothing(seed: int) -> None:
    actual = outcomes(200, seed)
    one, other = record(leaning(actual, 0.01, seed), actual), record(leaning(actual, 0.0, seed + 1), actual)
    extra = record(0.9, outcomes(80, seed), first=LATE + timedelta(days=400))
    shuffled = pl.concat([one, extra]).sample(fraction=1.0, shuffle=True, seed=seed)
    mixed, plain = compare_records(shuffled, other, RULES), compare_records(one, other, RULES)
    assert (mixed.rows, mixed.common_share) == (plain.rows, plain.common_share) == (200, 1.0)
    assert mixed.brier_gain == pytest.approx(plain.brier_gain, abs=1e-14)
    assert mixed.brier_gain_ci.low == pytest.approx(plain.brier_gain_ci.low, abs=1e-14)
