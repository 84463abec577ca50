"""Platt's line and the isotonic map against scikit-learn, and the laws every calibration keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from market.calibration_maps import Isotonic, Platt, fit_isotonic, fit_platt, fit_slope
from market.errors import MetricError
from market.metrics import brier_score, log_loss

GRID = np.linspace(0, 1, 201)
FITS = {
    "platt": fit_platt,
    "isotonic": fit_isotonic,
    "slope": lambda actual, probability: fit_slope(actual, probability, days=len(actual), deviation=0.5),
}


def scored(seed: int, count: int = 2000, slope: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """A model that is too sure: its log-odds are 1 / slope times the true ones."""
    generator = np.random.default_rng(seed)
    probability = expit(generator.normal(0.1, 0.8, count))
    return (generator.random(count) < expit(slope * logit(probability) - 0.1)).astype(int), probability


@pytest.mark.parametrize("seed", range(5))
def test_platts_line_is_the_unpenalised_logistic_regression_of_his_targets(seed):
    actual, probability = scored(seed)
    ups, downs = actual.sum(), (1 - actual).sum()
    target = np.where(actual == 1, (ups + 1) / (ups + 2), 1 / (downs + 2))
    scores = logit(probability)[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-13, max_iter=1000, solver="newton-cholesky").fit(
        np.concatenate((scores, scores)), np.repeat([1, 0], len(actual)), np.concatenate((target, 1 - target))
    )

    ours = fit_platt(actual, probability)

    assert ours.slope == pytest.approx(theirs.coef_[0, 0], abs=1e-6)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-6)
    assert ours.slope == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_platts_line_gives_what_scikit_learns_own_sigmoid_calibration_gives(seed):
    actual, probability = scored(seed)
    theirs = _SigmoidCalibration().fit(logit(probability), actual)

    ours = fit_platt(actual, probability)

    assert ours.apply(GRID[1:-1]) == pytest.approx(theirs.predict(logit(GRID[1:-1])), abs=2e-5)


@pytest.mark.parametrize("decimals", [1, 2, 16])
@pytest.mark.parametrize("seed", range(5))
def test_the_isotonic_map_is_scikit_learns(seed, decimals):
    actual, probability = scored(seed, count=400)
    probability = probability.round(decimals)  # few decimals: many ties
    theirs = IsotonicRegression(out_of_bounds="clip").fit(probability, actual)

    ours = fit_isotonic(actual, probability)

    assert ours.apply(GRID) == pytest.approx(theirs.predict(GRID), abs=1e-6)
    assert ours.apply(probability) == pytest.approx(theirs.predict(probability), abs=1e-9)
    assert len(ours.x) <= len(np.unique(probability))


def test_pooling_by_hand():
    # 0.2 and 0.3 violate the order (1 before 0): pooled to 1/2
    ours = fit_isotonic(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4]))

    assert ours == Isotonic((0.1, 0.2, 0.3, 0.4), (0.0, 0.5, 0.5, 1.0))
    assert ours.apply(np.array([0.0, 0.15, 0.25, 0.35, 0.9])) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


def test_a_line_of_slope_one_changes_nothing_and_slope_zero_says_the_same_everywhere():
    assert Platt(1.0, 0.0).apply(GRID[1:-1]) == pytest.approx(GRID[1:-1], abs=1e-12)
    assert np.ptp(Platt(0.0, 0.2).apply(GRID)) == 0
    assert Platt(2.0, 0.0).apply(np.array([0.0, 1.0])) == pytest.approx([0.0, 1.0], abs=1e-11)


def test_a_model_whose_order_is_wrong_is_not_turned_around():
    actual, probability = scored(1)

    turned = fit_platt(1 - actual, probability)

    assert turned.slope == 0.0
    assert turned.apply(np.array([0.3])) == pytest.approx((1 - actual).mean(), abs=1e-3)


def test_separable_rows_one_class_and_one_probability_have_a_finite_line():
    separable = fit_platt(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    one_class = fit_platt(np.ones(50), np.linspace(0.4, 0.6, 50))
    constant = fit_platt(np.array([1, 0, 1, 1]), np.full(4, 0.52))

    assert 0 < separable.slope < 50
    assert one_class.apply(np.array([0.5])) == pytest.approx([51 / 52], abs=1e-6)
    assert constant.slope == 0.0
    assert constant.apply(np.array([0.52, 0.9])) == pytest.approx([(3 * 0.8 + 1 / 3) / 4] * 2)


@pytest.mark.parametrize("method", FITS)
def test_a_too_sure_model_gets_better_on_rows_it_never_saw(method):
    actual, probability = scored(3, count=20_000)
    fitted = FITS[method](actual[:10_000], probability[:10_000])

    after, before = fitted.apply(probability[10_000:]), probability[10_000:]

    assert brier_score(actual[10_000:], after) < brier_score(actual[10_000:], before) - 0.003
    assert log_loss(actual[10_000:], after) < log_loss(actual[10_000:], before) - 0.005


@settings(max_examples=60, deadline=None)
@given(data=st.data(), method=st.sampled_from(sorted(FITS)), count=st.integers(1, 60))
def test_every_calibration_is_non_decreasing_and_stays_a_probability(data, method, count):
    probability = np.array(data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    actual = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))

    fitted = FITS[method](actual, probability)

    after = fitted.apply(GRID)
    assert ((after >= 0) & (after <= 1)).all()
    assert (np.diff(after) >= 0).all()
    assert fitted.apply(np.empty(0)).shape == (0,)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), method=st.sampled_from(sorted(FITS)))
def test_the_order_of_rows_does_not_matter(seed, method):
    actual, probability = scored(seed, count=200)
    shuffled = np.random.default_rng(seed).permutation(200)

    one, two = FITS[method](actual, probability), FITS[method](actual[shuffled], probability[shuffled])

    assert one.apply(GRID) == pytest.approx(two.apply(GRID), abs=1e-8)


def test_no_fitted_line_is_beaten_by_its_neighbours():
    actual, probability = scored(8, count=300)
    fitted = fit_platt(actual, probability)
    ups = actual.sum()
    target = np.where(actual == 1, (ups + 1) / (ups + 2), 1 / (300 - ups + 2))

    def loss(slope: float, intercept: float) -> float:
        p = Platt(slope, intercept).apply(probability)
        return float(-(target * np.log(p) + (1 - target) * np.log1p(-p)).sum())

    best = loss(fitted.slope, fitted.intercept)
    for step in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (0.01, 0.01), (-0.01, 0.01)):
        assert loss(fitted.slope + step[0], fitted.intercept + step[1]) > best


def test_the_slope_is_the_mode_of_its_posterior():
    """A grid over the posterior written out: rows of 25 to a date weigh one 25th, the slope is near 1 beforehand."""
    actual, probability = scored(2)
    scores = logit(probability)
    centre = scores.mean()
    grid = np.linspace(0, 2, 4001)

    def density(slope: float) -> float:
        p = expit(centre + slope * (scores - centre))
        return float((actual * np.log(p) + (1 - actual) * np.log(1 - p)).sum() / 25 - (slope - 1) ** 2 / (2 * 0.4**2))

    ours = fit_slope(actual, probability, days=80, deviation=0.4)

    assert ours.slope == pytest.approx(grid[np.argmax([density(slope) for slope in grid])], abs=5e-4)
    assert ours.apply(np.array([expit(centre)])) == pytest.approx([expit(centre)], abs=1e-12), "its level stays"


def test_without_doubt_beforehand_the_slope_is_the_regressions_and_with_little_data_it_stays_near_one():
    actual, probability = scored(4, count=40_000)
    scores = logit(probability)
    # the same line with a free slope through a fixed point, by scikit-learn: an offset moved into the labels' side
    # cannot be given, so a dense grid of the likelihood stands in
    grid = np.linspace(0.3, 0.7, 401)
    centre = scores.mean()
    losses = [log_loss(actual, expit(centre + slope * (scores - centre))) for slope in grid]

    free = fit_slope(actual, probability, days=40_000, deviation=1e6)
    few_days = fit_slope(actual, probability, days=30, deviation=0.25)

    assert free.slope == pytest.approx(grid[int(np.argmin(losses))], abs=1e-3)
    assert 0.85 < few_days.slope < 1
    assert fit_slope(actual, probability, days=40_000, deviation=0.25).slope == pytest.approx(free.slope, abs=0.01)


def test_a_slope_never_turns_predictions_around_and_leaves_a_constant_model_alone():
    actual, probability = scored(5, count=20_000)

    turned = fit_slope(1 - actual, probability, days=20_000, deviation=0.5)
    constant = fit_slope(np.array([1, 0, 1]), np.full(3, 0.52), days=3, deviation=0.5)

    assert turned.slope == 0.0
    assert constant.apply(np.array([0.52])) == pytest.approx([0.52], abs=1e-12)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Platt(-0.1, 0.0),
        lambda: Platt(float("nan"), 0.0),
        lambda: Platt(1.0, float("inf")),
        lambda: Isotonic((), ()),
        lambda: Isotonic((0.1, 0.1), (0.2, 0.3)),
        lambda: Isotonic((0.1, 0.2), (0.3, 0.2)),
        lambda: Isotonic((0.1, 0.2), (0.3,)),
        lambda: Isotonic((0.1, 0.2), (0.3, 1.1)),
        lambda: Isotonic((0.1, 0.2), (float("nan"), 0.5)),
        lambda: Platt(1.0, 0.0).apply(np.array([1.2])),
        lambda: Isotonic((0.1,), (0.2,)).apply(np.array([np.nan])),
        lambda: fit_platt(np.array([]), np.array([])),
        lambda: fit_isotonic(np.array([2]), np.array([0.5])),
        lambda: fit_slope(np.array([1]), np.array([0.5]), days=0, deviation=0.5),
        lambda: fit_slope(np.array([1]), np.array([0.5]), days=2, deviation=0.5),
        lambda: fit_slope(np.array([1]), np.array([0.5]), days=1, deviation=0.0),
    ],
)
def test_what_is_no_calibration_is_refused(build):
    with pytest.raises(MetricError):
        build()
