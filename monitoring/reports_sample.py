"""A declared sample: proportional to its strata, drawn by a hash, and the same on every engine and on every day.

Rows of a stratum are put in the order of MD5(seed | symbol | bar), and the first of them are taken. So a row's place
does not depend on other rows, on the order of storage or on the engine, and anybody can draw the sample again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Final

import polars as pl

from warehouse.warehouse import ReadConnection

MONTHS: Final = "EXTRACT(YEAR FROM DATE(datetime)) * 100 + EXTRACT(MONTH FROM DATE(datetime))"
DAYS: Final = f"({MONTHS}) * 100 + EXTRACT(DAY FROM DATE(datetime))"

_COUNTS = "SELECT {stratum} AS stratum, COUNT(*) AS total FROM {source} WHERE {scope} GROUP BY stratum ORDER BY stratum"

_DRAW = """
WITH strata AS (
  SELECT stratum, quota, cut
  FROM UNNEST(@strata) AS stratum WITH OFFSET AS i
  INNER JOIN UNNEST(@quotas) AS quota WITH OFFSET AS j ON i = j
  INNER JOIN UNNEST(@cuts) AS cut WITH OFFSET AS k ON i = k
),

candidates AS (
  SELECT
    {columns},
    {stratum} AS stratum,
    TO_HEX(MD5(CONCAT(@seed, '|', symbol, '|', CAST(UNIX_SECONDS(datetime) AS STRING)))) AS draw
  FROM {source}
  WHERE {scope}
)

SELECT {columns}
FROM candidates
INNER JOIN strata ON candidates.stratum = strata.stratum
WHERE candidates.draw < strata.cut
QUALIFY ROW_NUMBER() OVER (PARTITION BY candidates.stratum ORDER BY candidates.draw, symbol) <= strata.quota
ORDER BY datetime, symbol
"""

_HEX_DIGITS: Final = 12
_ALL: Final = "g"  # sorts behind every hexadecimal text


@dataclass(frozen=True)
class Population:
    """The rows that a sample stands for.

    Attributes:
        source: A table or view in backticks, with columns `symbol` and `datetime`.
        columns: What is read of it; `symbol` and `datetime` among them.
        scope: Condition in GoogleSQL over `parameters`.
        stratum: GoogleSQL expression of INT64 that names a row's stratum.
        told: What the strata are, in words: "month".
        parameters: Bound parameters of `scope`.
    """

    source: str
    columns: Sequence[str]
    scope: str
    stratum: str
    told: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """Rows drawn from a population.

    Attributes:
        rows: In order of `datetime` and `symbol`.
        total: Rows of the population.
        strata: How many strata it has.
        told: What they are.
        seed: What decided which rows were drawn.
    """

    rows: pl.DataFrame
    total: int
    strata: int
    told: str
    seed: int

    @property
    def is_whole(self) -> bool:
        """Whether every row was taken."""
        return self.rows.height == self.total

    def words(self) -> str:
        """The declaration that a page prints."""
        if self.is_whole:
            return f"all {self.total:,} rows"
        return (
            f"{self.rows.height:,} of {self.total:,} rows, drawn in proportion from {self.strata:,} strata "
            f"({self.told}) with seed {self.seed}"
        )


def draw(read: ReadConnection, population: Population, rows: int, seed: int) -> Sample:
    """Draw a sample; a population that is no larger is taken whole.

    Args:
        read: One state of the warehouse.
        population: What it stands for.
        rows: Size of the sample.
        seed: Another seed draws other rows.
    """
    parts = {"stratum": population.stratum, "source": population.source, "scope": population.scope}
    counted = read.query(_COUNTS.format(**parts), population.parameters).to_pydict()
    strata, totals = counted["stratum"], counted["total"]
    columns = ", ".join(population.columns)
    if not strata:
        empty = f"SELECT {columns} FROM {population.source} WHERE FALSE"
        return Sample(pl.DataFrame(read.query(empty)), 0, 0, population.told, seed)
    quotas = allocate(totals, rows)
    drawn = read.query(
        _DRAW.format(columns=columns, **parts),
        {
            **population.parameters,
            "strata": strata,
            "quotas": quotas,
            "cuts": [_cut(quota, total) for quota, total in zip(quotas, totals, strict=True)],
            "seed": str(seed),
        },
    )
    return Sample(pl.DataFrame(drawn), sum(totals), len(strata), population.told, seed)


def allocate(totals: Sequence[int], rows: int) -> list[int]:
    """How many rows each stratum gives: its share, rounded by largest remainders (ties go to the earlier stratum).

    Args:
        totals: Rows of each stratum, at least one each.
        rows: Rows of the sample.

    Returns:
        One number a stratum, none above its total; their sum is the smaller of `rows` and the population.
    """
    population = sum(totals)
    if rows >= population:
        return list(totals)
    quotas = [rows * total // population for total in totals]
    remainders = [rows * total % population for total in totals]
    largest = sorted(range(len(totals)), key=lambda i: -remainders[i])
    for i in largest[: rows - sum(quotas)]:
        quotas[i] += 1
    return quotas


def _cut(quota: int, total: int) -> str:
    """Hashes below it are candidates: few enough to sort, and too few once in a thousand million times."""
    share = (quota + 6 * sqrt(quota) + 12) / total
    if share >= 1:
        return _ALL
    return f"{int(share * 16**_HEX_DIGITS):0{_HEX_DIGITS}x}"
