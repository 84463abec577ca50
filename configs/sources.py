"""Settings of the sources of bars: one class a source, so that an option of another source is an error.

A source without a class here is opened with `PlainOptions`: its name and paths.
"""

from __future__ import annotations

import codecs
import zoneinfo
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from market.assets import AssetType
from market.symbols import canonical_symbol

ColumnName = Literal[
    "asset_type", "symbol", "datetime", "open", "high", "low", "close", "volume", "interval", "adjusted_close"
]
Columns = dict[ColumnName, Annotated[str, Field(min_length=1)]]


BigQueryColumnName = Literal[
    "symbol", "datetime", "open", "high", "low", "close", "volume", "arrived_at", "percent_change",
    "rsi", "macd", "macd_signal", "macd_histogram", "sma_20", "sma_50", "sma_200", "ema_12", "ema_20", "ema_26",
    "ema_50", "ema_200", "bollinger_upper", "bollinger_middle", "bollinger_lower", "atr", "adx", "plus_di", "minus_di",
    "mfi", "cmf", "stoch_k", "stoch_d", "cci", "williams_r", "momentum", "roc", "obv", "awesome_osc", "volume_ratio",
    "vwap_daily",
]  # fmt: skip


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlainOptions(_Options):
    """A source that is a module in `warehouse/sources` and has no class here."""

    source: str
    paths: tuple[Path, ...] = ()


class SampleOptions(_Options):
    """Real bars that come with the installation."""

    source: Literal["sample"] = "sample"


class SimulatedOptions(_Options):
    """The simulated market; its own settings are the section `simulation`."""

    source: Literal["simulated"] = "simulated"


class ParquetOptions(_Options):
    """Parquet files, and folders of them."""

    source: Literal["parquet"] = "parquet"
    paths: tuple[Path, ...] = ()


class CsvOptions(_Options):
    """Text files, and folders of them; what is left out is recognised or an error, never guessed.

    Attributes:
        columns: Our name of a column → its name in the file; others are found by the usual names.
        header: Names of the columns of files that have no header line.
        skip_lines: Lines before the header.
        delimiter: None: the one of , ; tab | that splits the header into known columns.
        decimal_comma: Numbers are written 1,5.
        time_zone: Of stamps written without one, such as America/New_York.
        datetime_format: `strptime` format of stamps that are not ISO 8601, such as %d.%m.%Y.
        epoch_unit: Of stamps written as numbers; None: by their size.
        encoding: None: UTF-8, with or without byte-order mark.
        adjust: Multiply open, high, low and close by adjusted close / close.
        newest_first: Files run from the newest bar to the oldest.
    """

    source: Literal["csv"] = "csv"
    paths: tuple[Path, ...] = ()
    columns: Columns = Field(default_factory=dict)
    header: tuple[str, ...] = ()
    skip_lines: int = Field(default=0, ge=0)
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    decimal_comma: bool = False
    time_zone: str | None = None
    datetime_format: str | None = None
    epoch_unit: Literal["s", "ms", "us", "ns"] | None = None
    encoding: str | None = None
    adjust: bool = False
    newest_first: bool = False

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in zoneinfo.available_timezones():
            raise ValueError(f"unknown time zone {zone!r}: a name such as America/New_York or UTC")
        return zone

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        try:
            return encoding and codecs.lookup(encoding).name
        except LookupError as error:
            raise ValueError(f"unknown encoding {encoding!r}: a name such as latin-1, cp1252 or utf-16") from error

    @model_validator(mode="after")
    def _no_contradiction(self) -> CsvOptions:
        if self.decimal_comma and self.delimiter == ",":
            raise ValueError("delimiter ',' and decimal_comma exclude each other")
        if self.epoch_unit and (self.datetime_format or self.time_zone):
            raise ValueError("epoch_unit excludes datetime_format and time_zone")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError("columns: one column of the file cannot be two of ours")
        return self


class _NetworkOptions(_Options):
    """What sources on the network have in common.

    Attributes:
        symbols: Any spelling; they become canonical.
        start: First bar wanted.
        base_url: Another host that speaks the same protocol: a proxy, a mirror, a stand-in.
        timeout_seconds: Of one request.
        deadline_seconds: Of one whole read, waits and retries included.
        attempts: Of one request, when it meets 429, 5xx or a timeout.
    """

    symbols: tuple[str, ...] = Field(min_length=1)
    start: date = date(2015, 1, 1)
    base_url: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    timeout_seconds: float = Field(default=20, gt=0)
    deadline_seconds: float = Field(default=1800, gt=0)
    attempts: int = Field(default=5, ge=1)

    def canonical_symbols(self, asset_type: AssetType) -> tuple[str, ...]:
        """Each symbol once, in the order given."""
        return tuple(dict.fromkeys(canonical_symbol(asset_type, symbol) for symbol in self.symbols))


class YFinanceOptions(_NetworkOptions):
    """Daily bars of Yahoo Finance; `pause_seconds` lies between two requests."""

    source: Literal["yfinance"] = "yfinance"
    pause_seconds: float = Field(default=0.5, ge=0)


class CcxtOptions(_NetworkOptions):
    """Daily candles of a crypto exchange, by its ccxt name; ccxt keeps the exchange's rate limit."""

    source: Literal["ccxt"] = "ccxt"
    exchange: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class BigQueryOptions(_Options):
    """Tables of your own in BigQuery, read where they are and never written.

    Attributes:
        project: None: the warehouse's.
        dataset: Where the table lies.
        table: None: stocks_daily_clean, etfs_daily_clean or crypto_daily_clean, by the asset class.
        columns: Our name of a column → its name in the table; others are found by our own name, then by the usual
            ones (macd_hist, bb_upper, created_at, ...). `arrived_at` says which of two copies of a bar is the newer.
        recompute_indicators: Compute the indicators from the bars; false: take the table's own, inside BigQuery, which
            needs them in the configured variant and leaves every bar where it is.
    """

    source: Literal["bigquery"] = "bigquery"
    project: Annotated[str, Field(pattern=r"^[a-z][a-z0-9:.-]*$")] | None = None
    dataset: Annotated[str, Field(pattern=r"^\w+$")] = "crypto_trading_data"
    table: Annotated[str, Field(pattern=r"^[\w-]+$")] | None = None
    columns: dict[BigQueryColumnName, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    recompute_indicators: bool = True

    @model_validator(mode="after")
    def _each_column_once(self) -> BigQueryOptions:
        if len({name.lower() for name in self.columns.values()}) < len(self.columns):
            raise ValueError("columns: one column of the table cannot be two of ours")
        return self


SourceSettings = Annotated[
    SampleOptions | SimulatedOptions | ParquetOptions | CsvOptions | YFinanceOptions | CcxtOptions | BigQueryOptions,
    Field(discriminator="source"),
]
SourceOptions = (
    SampleOptions
    | SimulatedOptions
    | ParquetOptions
    | CsvOptions
    | YFinanceOptions
    | CcxtOptions
    | BigQueryOptions
    | PlainOptions
)
OPTIONS_BY_SOURCE: dict[str, type[SourceOptions]] = {
    "sample": SampleOptions,
    "simulated": SimulatedOptions,
    "parquet": ParquetOptions,
    "csv": CsvOptions,
    "yfinance": YFinanceOptions,
    "ccxt": CcxtOptions,
    "bigquery": BigQueryOptions,
}
