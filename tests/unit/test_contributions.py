"""Contributions: they add up to the model's own log-odds, and equal Shapley's definition counted out by hand."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import xgboost as xgb

from registry.bundle import Bundle
from tests.bundles import FEATURES, info, rows, train
from training.contributions import average_contributions


def bundle(trees: int = 7) -> Bundle:
    return Bundle(train(trees=trees), info(trees=trees))


def test_the_parts_of_every_row_add_up_to_the_log_odds() -> None:
    model, matrix = bundle(), rows(50).astype(np.float32)
    for row in range(50):
        found = average_contributions(model, matrix[row : row + 1])
        data = xgb.DMatrix(matrix[row : row + 1], feature_names=list(FEATURES))
        parts = model.booster.predict(data, pred_contribs=True)
        log_odds = float(model.booster.predict(data, output_margin=True)[0])
        assert found.bias + parts[0, :-1].sum() == pytest.approx(log_odds, abs=1e-5)
        assert [one.mean_absolute for one in found.features] == sorted(np.abs(parts[0, :-1]), reverse=True)


def test_they_equal_shapleys_values_counted_out_over_every_subset() -> None:
    """Path-dependent expectations by the trees' own covers; the sum over subsets of Shapley's definition."""
    model, matrix = bundle(trees=3), rows(6).astype(np.float32)
    trees = [json.loads(text) for text in model.booster.get_dump(dump_format="json", with_stats=True)]
    names = list(FEATURES)
    for row in matrix:
        values = dict(zip(names, row, strict=True))
        found = average_contributions(model, row[None, :])
        by_name = {one.feature: one.mean_absolute for one in found.features}
        for name in names:
            others = [other for other in names if other != name]
            shapley = 0.0
            for size in range(len(others) + 1):
                weight = math.factorial(size) * math.factorial(len(names) - size - 1) / math.factorial(len(names))
                for subset in itertools.combinations(others, size):
                    gain = sum(
                        expected(tree, values, {*subset, name}) - expected(tree, values, set(subset)) for tree in trees
                    )
                    shapley += weight * gain
            assert by_name[name] == pytest.approx(abs(shapley), abs=2e-5)


def expected(node: dict, values: dict[str, float], known: set[str]) -> float:
    """Expectation of a tree's leaf when only some features are known; the others split by cover."""
    if "leaf" in node:
        return float(node["leaf"])
    children = {child["nodeid"]: child for child in node["children"]}
    yes, no = children[node["yes"]], children[node["no"]]
    if node["split"] not in known:
        total = yes["cover"] + no["cover"]
        return (yes["cover"] * expected(yes, values, known) + no["cover"] * expected(no, values, known)) / total
    value = values[node["split"]]
    chosen = node["missing"] if np.isnan(value) else node["yes"] if value < node["split_condition"] else node["no"]
    return expected(children[chosen], values, known)


def test_the_feature_that_made_the_labels_comes_first_and_speaks_for_up() -> None:
    found = average_contributions(bundle(), rows().astype(np.float32))
    first = found.features[0]
    assert (first.feature, found.rows) == ("rsi", 400)
    assert first.direction is not None
    assert first.direction > 0.8
    assert sum(one.share or 0 for one in found.features) == pytest.approx(1.0)


def test_a_feature_without_values_has_no_direction() -> None:
    matrix = rows().astype(np.float32)
    matrix[:, 1] = np.nan
    found = {one.feature: one for one in average_contributions(bundle(), matrix).features}
    assert found["adx"].direction is None
