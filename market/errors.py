"""The errors of TradeHits.

Every error says what is wrong and what to do about it::

    TradeHitsError
    ├── ConfigError                an unknown key, a bad value, a missing secret
    ├── SourceError                a source cannot be read or does not exist
    │   └── BadBarsError           rows of a source break a rule: names file, row and column
    │       └── RejectedShareError more rows than allowed were rejected: counts them by rule
    ├── WarehouseError
    │   ├── QueryError             the engine refused a statement
    │   │   ├── UnsupportedSqlError    GoogleSQL that the engine would answer differently
    │   │   └── NotReadOnlyError       a write where only reads are allowed
    │   ├── SchemaError            rows and table disagree on columns or types
    │   │   └── NewerSchemaError       the file was written by a newer version of this software
    │   ├── DuplicateKeyError      a write would leave two rows with one key
    │   ├── KnowledgeTimeError     nobody can say what was known at the time asked for
    │   ├── WarehouseFileError     the file is damaged or forbidden, or its disk is full
    │   ├── WarehouseLockedError   another process holds the lock for longer than the timeout
    │   ├── WarehouseAccessError   credentials, project, dataset or a permission is missing
    │   ├── QuotaExceededError     the engine's quota is used up
    │   └── CostCapError           a statement would cost more than the configuration allows
    ├── FeatureError
    │   ├── MixedVariantError      two indicator variants in one place
    │   └── StaleFeaturesError     the newest features are older than allowed
    ├── SignalError                a probability, threshold or price from which no signal can be made
    ├── MetricError                values for which a metric or statistic is not defined
    ├── BacktestError              bars, signals or parameters that cannot be backtested: names field and row
    ├── UnknownSymbolError         a symbol nobody ingested
    ├── MarketDataError            a fact about a bar that is no fact: names the field
    ├── TrainingError
    │   └── NotEnoughDataError     too few rows, classes or dates to train or test on
    ├── IntegrityError             a check found hindsight, duplicates or a broken time rule
    │   └── SkewError              features or a probability differ between serving and the stored tables
    ├── RegistryError
    │   └── NoChampionError        nothing was promoted for this asset class yet
    ├── SnapshotError              the published snapshot is missing, damaged or of another format
    ├── GeminiStoreError           the file of Gemini's answers and budget cannot be used
    ├── AlertError                 an alert or channel that cannot be found or changed
    ├── ReportError                a monitoring report that cannot be made or written
    ├── ApiKeyError                an API key that cannot be made, found or read
    ├── ArchiveError               a backup that cannot be written, read or restored
    ├── CatchUpError               a missed day could not be done; the days after it wait
    └── ServiceError               a service or page did not start, or its port is taken
"""

from __future__ import annotations


class TradeHitsError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What is wrong, naming the field, file, row or table.
        remedy: What the reader can do about it; shown on its own line.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep message and remedy apart so that a command line or an API can show both."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Message, and the remedy on a second line when there is one."""
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message


class ConfigError(TradeHitsError):
    """An unknown key, a bad value or a missing secret."""


class SourceError(TradeHitsError):
    """A source cannot be read or does not exist."""


class BadBarsError(SourceError):
    """Rows of a source break a rule.

    Args:
        message: What is wrong.
        file: The file or source it was read from.
        row: The first offending row, counted from 1 in the source's own order (None when it is about the whole file).
        column: The offending column, if one.
        remedy: What to do.
    """

    def __init__(
        self, message: str, *, file: str = "", row: int | None = None, column: str = "", remedy: str = ""
    ) -> None:
        """Prefix the message with the place, so that every handler names it."""
        place = ", ".join(
            part
            for part in (file, f"row {row}" if row is not None else "", f"column '{column}'" if column else "")
            if part
        )
        super().__init__(f"{place}: {message}" if place else message, remedy=remedy)
        self.file = file
        self.row = row
        self.column = column


class RejectedShareError(BadBarsError):
    """More rows of a source than allowed were rejected; nothing is stored."""


class WarehouseError(TradeHitsError):
    """The warehouse could not do what was asked."""


class QueryError(WarehouseError):
    """The engine refused a statement."""


class UnsupportedSqlError(QueryError):
    """GoogleSQL that the embedded engine would answer differently; the construct is named."""


class NotReadOnlyError(QueryError):
    """A statement that writes, where only reads are allowed."""


class SchemaError(WarehouseError):
    """Rows and table disagree on columns or types."""


class NewerSchemaError(SchemaError):
    """The warehouse was brought to a schema version that this software does not know yet."""


class DuplicateKeyError(WarehouseError):
    """A write would leave two rows with one key."""


class KnowledgeTimeError(WarehouseError):
    """What was known at the time asked for cannot be said: not yet, not any more, or not at all without a zone."""


class WarehouseFileError(WarehouseError):
    """The warehouse's file or folder cannot be read or written: damaged, forbidden, or the disk is full."""


class WarehouseLockedError(WarehouseError):
    """Another process holds the warehouse for longer than the timeout."""


class WarehouseAccessError(WarehouseError):
    """Credentials, the project, a dataset or a permission is missing."""


class QuotaExceededError(WarehouseError):
    """The engine's quota is used up."""


class CostCapError(WarehouseError):
    """A statement would cost more than the configuration allows; it did not run."""


class FeatureError(TradeHitsError):
    """Features cannot be built or read."""


class MixedVariantError(FeatureError):
    """Two indicator variants would meet in one table, model or prediction."""


class StaleFeaturesError(FeatureError):
    """The newest features are older than allowed."""


class SignalError(TradeHitsError):
    """A probability, threshold or price from which no signal can be made."""


class MetricError(TradeHitsError):
    """Values for which a metric or statistic is not defined."""


class BacktestError(TradeHitsError):
    """Bars, signals or parameters that cannot be backtested.

    Args:
        message: What is wrong.
        field: The offending column or parameter, if one.
        row: The first offending row, counted from 1 in the order given (None when it is about the whole input).
        remedy: What to do.
    """

    def __init__(self, message: str, *, field: str = "", row: int | None = None, remedy: str = "") -> None:
        """Prefix the message with the place, so that every handler names it."""
        place = ", ".join(
            part for part in (f"row {row}" if row is not None else "", f"field '{field}'" if field else "") if part
        )
        super().__init__(f"{place}: {message}" if place else message, remedy=remedy)
        self.field = field
        self.row = row


class UnknownSymbolError(TradeHitsError):
    """A symbol nobody ingested."""


class MarketDataError(TradeHitsError):
    """A fact about a bar, given to ask Gemini about it, is no fact.

    Args:
        message: What is wrong.
        field: The offending field, such as `market_data.rsi`.
        remedy: What to do.
    """

    def __init__(self, message: str, *, field: str, remedy: str = "") -> None:
        """Keep the field apart, so that an API can name it."""
        super().__init__(message, remedy=remedy)
        self.field = field


class TrainingError(TradeHitsError):
    """Training cannot go on."""


class NotEnoughDataError(TrainingError):
    """Too few rows, classes or dates to train or test on."""


class IntegrityError(TradeHitsError):
    """A check found hindsight, duplicates or a broken time rule; nothing is published."""


class SkewError(IntegrityError):
    """What was served differs from what is stored: a feature read online, or a probability; nothing is written."""


class RegistryError(TradeHitsError):
    """The model registry could not do what was asked."""


class NoChampionError(RegistryError):
    """Nothing was promoted for this asset class yet."""


class SnapshotError(TradeHitsError):
    """The snapshot that the service answers from is missing, damaged or of another format."""


class GeminiStoreError(TradeHitsError):
    """The file of Gemini's answers and budget is damaged, forbidden, busy, or of a newer version."""


class AlertError(TradeHitsError):
    """An alert or a channel that cannot be found or changed."""


class ReportError(TradeHitsError):
    """A monitoring report that cannot be made or written."""


class ArchiveError(TradeHitsError):
    """A backup that cannot be written, read or restored."""


class ApiKeyError(TradeHitsError):
    """An API key, or the file that keeps their hashes, cannot be made, found or read."""


class CatchUpError(TradeHitsError):
    """A missed day could not be done; the days after it wait for it."""


class ServiceError(TradeHitsError):
    """A service or page did not start, does not answer, or its port is taken."""
