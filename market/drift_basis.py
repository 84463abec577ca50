"""The columns that tell what a feature should be: normal scores of features and companions, bent and scaled.

A relation between indicators is straight within a quiet or a wild time, but not across them. So beside each score x
stand its square and its product with the score of the bars' own volatility, and beside each feature its score on the
symbol's last bar before the week, from which a smoothed one goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from market.drift import Floats
from market.drift_bars import VOLATILITY
from market.drift_grid import MISSING, Ruler, ruler

_FURTHEST = 3.0
"""Scores are cut there: a square of more would rule a week's mean."""


@dataclass(frozen=True)
class Basis:
    """Columns for q features that are measurements and m companions.

    In order: scores of the features (q), their squares (q), their products with the volatility (q), their scores before
    the week (q), then of the companions scores, squares and products (m each).

    Attributes:
        features: Positions of the q features among all, ascending.
        companions: Ruler of each companion; none where too few bars lie one behind the other.
    """

    features: npt.NDArray[np.intp]
    companions: tuple[Ruler, ...]

    @property
    def width(self) -> int:
        """Number of columns."""
        return 4 * self.features.size + 3 * len(self.companions)

    def columns(self, active: npt.NDArray[np.bool_], *, with_before: bool) -> npt.NDArray[np.intp]:
        """Those computed from active features or companions, the features' own scores first.

        Args:
            active: Of the q features.
            with_before: Scores before the week count, too.
        """
        q, chosen = self.features.size, np.flatnonzero(active)
        groups = (0, 1, 2, 3) if with_before else (0, 1, 2)
        return np.concatenate([*(group * q + chosen for group in groups), np.arange(4 * q, self.width)])

    def own(self, active: npt.NDArray[np.bool_], *, with_before: bool) -> npt.NDArray[np.bool_]:
        """Which of these columns are made of a feature's own bars of the week, and so predict it too well.

        Returns:
            Shape (active features, columns); the feature's score itself is not among them.
        """
        count = int(active.sum())
        found = np.zeros((count, self.columns(active, with_before=with_before).size), bool)
        of_feature = np.arange(count)
        found[of_feature, count + of_feature] = found[of_feature, 2 * count + of_feature] = True
        return found

    def values(
        self,
        codes: npt.NDArray[np.uint16],
        earlier: npt.NDArray[np.uint16],
        beside: Floats,
        tables: Sequence[Floats],
    ) -> Floats:
        """All columns of n rows.

        Args:
            codes: Of all p features, shape (n, p).
            earlier: The same on the bar before the week, shape (n, p).
            beside: Companions, shape (n, m), not NaN.
            tables: Normal score of each code of each of the p features.
        """
        now, before = (self._scored(given, tables) for given in (codes, earlier))
        rulers = zip(self.companions, self._said, strict=True)
        said = np.column_stack([table[one.codes(beside[:, i])] for i, (one, table) in enumerate(rulers)])
        wild = said[:, [VOLATILITY]]
        return np.concatenate([now, _bent(now), wild * now, before, said, _bent(said), wild * said], axis=1)

    @cached_property
    def _said(self) -> tuple[Floats, ...]:
        """Scores of each companion's codes: every week looks them up."""
        return tuple(cut_scores(one) for one in self.companions)

    def _scored(self, codes: npt.NDArray[np.uint16], tables: Sequence[Floats]) -> Floats:
        found = np.zeros((len(codes), self.features.size))
        for column, feature in enumerate(self.features):
            known, table = codes[:, feature] != MISSING, _cut(tables[feature])
            found[known, column] = table[np.minimum(codes[known, feature], table.size - 1)]
        return found


def basis_of(features: npt.NDArray[np.intp], beside: Floats) -> Basis:
    """A basis whose companions are ranked among given rows; without such rows, one of no use.

    Args:
        features: Positions of the measurements.
        beside: Companions of training rows, shape (n, m), NaN rows are left out.
    """
    known = beside[~np.isnan(beside[:, 0])]
    return Basis(features, tuple(ruler(np.sort(column)) for column in known.T) if len(known) else ())


def cut_scores(one: Ruler) -> Floats:
    """Normal scores of a ruler's codes as the basis has them."""
    return _cut(one.scores())


def _cut(scores: Floats) -> Floats:
    cut: Floats = np.clip(scores, -_FURTHEST, _FURTHEST)
    return cut


def _bent(scores: Floats) -> Floats:
    """Squares with mean 0 and deviation 1 where scores are normal."""
    bent: Floats = (np.square(scores) - 1) / np.sqrt(2)
    return bent
