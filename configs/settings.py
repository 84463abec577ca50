"""Settings: `base.yaml`, a profile's overlay and `TRADEHITS__…` variables, in rising precedence.

This module is the only reader of configuration files and of the environment. `load_settings` is called at the edges
(command line, flows, service, Feast's definitions) and the result is passed down.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from configs.alerts import AlertSettings
from configs.audit import AuditSettings
from configs.backtest import BacktestSettings
from configs.calibration import CalibrationSettings, ThresholdChoice
from configs.calibration import ThresholdSettings as ThresholdSettings
from configs.checks import CheckSettings
from configs.detectors import DetectorSettings
from configs.drift import DriftSettings
from configs.ensemble import EnsembleSettings, GeminiSettings
from configs.inference import InferenceSettings
from configs.mlflow_store import MlflowSettings
from configs.monitoring import MonitoringSettings
from configs.observability import ObservabilitySettings
from configs.promotion import PromotionSettings
from configs.reports import ReportSettings
from configs.serving import ServingSettings
from configs.sources import SourceSettings
from configs.training import TrainingSettings
from configs.up import UpSettings
from market.assets import AssetType
from market.errors import ConfigError

CONFIG_DIR = Path(__file__).resolve().parent
REPO_DIR = CONFIG_DIR.parent
DEFAULT_PROFILE = "sample"
ENV_PREFIX = "TRADEHITS__"

T = TypeVar("T")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PerAsset(_Section, Generic[T]):
    """One value for each asset class."""

    stocks: T
    etf: T
    crypto: T

    def of(self, asset_type: AssetType) -> T:
        """The value of one asset class."""
        return getattr(self, asset_type)  # type: ignore[no-any-return]


class DatasetNames(_Section):
    """The contract's dataset names and the names used on this warehouse."""

    crypto_trading_data: str
    ml_models: str
    tradehits: str


class BigQuerySettings(_Section):
    """What only the BigQuery engine needs; bytes as BigQuery counts them.

    Attributes:
        location: Of every dataset and job.
        staging_dataset: Where rows wait on their way into a table; its tables expire after `staging_hours`.
        maximum_bytes_billed: A statement that would bill more fails and costs nothing; None for no cap.
        show_cost_above_bytes: A statement that would read more says so before it runs; None asks for no estimate.
        usd_per_tib: On-demand price behind the shown cost.
        retry_seconds: For so long a request is sent again after an error that may pass (no connection, server busy).
        use_storage_api: Read results through the Storage API (else over REST, which is slow for large results).
        emulator_host: `http://host:port` of an emulator, which needs no credentials; None for Google's BigQuery.
        storage_emulator_host: `host:port` of the emulator's Storage API (gRPC); without one it is read over REST.
    """

    location: str
    staging_dataset: str
    staging_hours: int = Field(ge=1)
    maximum_bytes_billed: int | None = Field(gt=0)
    show_cost_above_bytes: int | None = Field(ge=0)
    usd_per_tib: float = Field(ge=0)
    retry_seconds: float = Field(gt=0)
    use_storage_api: bool
    emulator_host: str | None = Field(default_factory=lambda: _address("BIGQUERY_EMULATOR_HOST"))
    storage_emulator_host: str | None = Field(default_factory=lambda: os.environ.get("BIGQUERY_STORAGE_EMULATOR_HOST"))


def _address(variable: str) -> str | None:
    """An address with its scheme, as Google's client wants it."""
    given = os.environ.get(variable)
    return given if given is None or "://" in given else f"http://{given}"


class WarehouseSettings(_Section):
    """Engine, names and limits of the warehouse."""

    engine: Literal["duckdb", "bigquery"]
    project: str
    datasets: DatasetNames
    lock_timeout_seconds: float = Field(gt=0)
    memory_limit: str
    threads: int = Field(ge=1)
    bigquery: BigQuerySettings


class VersionSettings(_Section):
    """How long a superseded version of a bar is kept; None: for ever."""

    keep_days: int | None = Field(ge=1)


class CalendarNames(_Section):
    """`exchange_calendars` names of the classes that trade in sessions."""

    stocks: str
    etf: str

    def by_asset_type(self) -> dict[AssetType, str]:
        """Calendar name of each class that has one."""
        return {"stocks": self.stocks, "etf": self.etf}


class SessionSettings(_Section):
    """When a daily bar is known."""

    calendars: CalendarNames
    publication_delay_minutes: int = Field(ge=0)


class RenameSettings(_Section):
    """A symbol that trades as `new` since `first_session`; bars of `old` before that belong to `new`."""

    asset_type: AssetType
    old: str
    new: str
    first_session: date


class ListingSettings(_Section):
    """The last session of a symbol that was delisted, or the first one of a symbol that came back."""

    asset_type: AssetType
    symbol: str
    session: date


class SymbolSettings(_Section):
    """What is known about symbols, and no bar says."""

    renamed: tuple[RenameSettings, ...] = ()
    delisted: tuple[ListingSettings, ...] = ()
    relisted: tuple[ListingSettings, ...] = ()


class IndicatorSettings(_Section):
    """Which indicator variant is computed; mixing them is an error."""

    variant: Literal["wilder", "vendor"]


class SimulationSettings(_Section):
    """The simulated market of the `simulated` source; `end` None means yesterday (UTC)."""

    seed: int
    start: date
    end: date | None
    planted_symbols: int = Field(ge=0)
    noise_symbols: int = Field(ge=0)


class SplitSettings(_Section):
    """Last dates (inclusive) of TRAIN and TEST."""

    train_end: date
    test_end: date

    @model_validator(mode="after")
    def _ordered(self) -> SplitSettings:
        if self.test_end <= self.train_end:
            raise ValueError(f"test_end {self.test_end} must lie after train_end {self.train_end}")
        return self


class EvaluationSettings(_Section):
    """Block bootstrap by date behind every accuracy interval."""

    bootstrap_samples: int = Field(ge=100)
    bootstrap_block_days: int = Field(ge=1)
    bootstrap_seed: int


class RedisSettings(_Section):
    """A Redis server; its password comes from `TRADEHITS_REDIS_PASSWORD` alone."""

    host: str = Field(pattern=r"^[^\s,:]+$")
    port: int = Field(ge=1, le=65535)
    database: int = Field(ge=0)
    tls: bool
    password: SecretStr | None = Field(default_factory=lambda: _secret("TRADEHITS_REDIS_PASSWORD"), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _no_password_in_files(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "password" in given:
            raise ValueError("a password is no setting: give it as TRADEHITS_REDIS_PASSWORD")
        return given

    @model_validator(mode="after")
    def _password_can_be_passed_on(self) -> RedisSettings:
        if self.password is not None and "," in self.password.get_secret_value():
            raise ValueError("a password with a comma cannot be part of Feast's connection string")
        return self


def _secret(variable: str) -> SecretStr | None:
    given = os.environ.get(variable)
    return SecretStr(given) if given else None


class FeastSettings(_Section):
    """Feast's time to live of a feature row in point-in-time joins, and where the newest features are kept."""

    ttl_days: int = Field(ge=1)
    online_store: Literal["sqlite", "redis"]
    redis: RedisSettings


class Paths(_Section):
    """Everything generated lies here; `state` is precious, `cache` can be deleted, MLflow's store is state."""

    home: Path
    state: Path
    cache: Path
    reports: Path
    mlruns: Path

    @property
    def warehouse_file(self) -> Path:
        """The embedded warehouse."""
        return self.state / "warehouse.duckdb"

    @property
    def snapshot_file(self) -> Path:
        """What the service answers from; a command publishes it anew whenever it changes."""
        return self.cache / "serving.snapshot"

    @property
    def gemini_file(self) -> Path:
        """Gemini's answers and the day's budget, shared by flows and service."""
        return self.state / "gemini.db"

    @property
    def api_keys_file(self) -> Path:
        """Hashes of the service's API keys; written by `tradehits serve keys`."""
        return self.state / "api_keys.json"

    @property
    def prefect_home(self) -> Path:
        """Prefect's database, profiles and storage; never the user's own."""
        return self.state / "prefect"

    @property
    def logs(self) -> Path:
        """What the processes of `tradehits up` say, one file each."""
        return self.cache / "up"

    @property
    def event_log(self) -> Path:
        """What happened, one JSON line an event; older lines beside it."""
        return self.home / "logs" / "events.jsonl"

    @property
    def summary_file(self) -> Path:
        """The newest run's summary."""
        return self.home / "summary.json"

    @property
    def mlflow_file(self) -> Path:
        """MLflow's embedded store; see `Settings.mlflow_uri` for the one in use."""
        return self.mlruns / "mlflow.db"


class Settings(BaseSettings):
    """All settings of one profile; build it with `load_settings`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=False,
        hide_input_in_errors=True,
    )

    profile: str
    paths: Paths
    warehouse: WarehouseSettings
    versions: VersionSettings
    sources: PerAsset[SourceSettings | None]
    clock: PerAsset[Literal["wall", "end_of_data"] | AwareDatetime]
    sessions: SessionSettings
    checks: CheckSettings
    symbols: SymbolSettings
    indicators: IndicatorSettings
    simulation: SimulationSettings
    splits: PerAsset[SplitSettings]
    training: TrainingSettings
    evaluation: EvaluationSettings
    audit: AuditSettings
    calibration: CalibrationSettings
    thresholds: PerAsset[ThresholdChoice]
    promotion: PromotionSettings
    backtest: BacktestSettings
    inference: InferenceSettings
    gemini: GeminiSettings
    ensemble: EnsembleSettings
    monitoring: MonitoringSettings
    detectors: DetectorSettings
    drift: DriftSettings
    reports: ReportSettings
    alerts: AlertSettings
    mlflow: MlflowSettings
    feast: FeastSettings
    serving: ServingSettings
    up: UpSettings
    observability: ObservabilitySettings

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking and registry address, with a password in it: for MLflow's client alone."""
        return self.mlflow_shown if self.mlflow.tracking_uri is None else self.mlflow.secret_uri()

    @property
    def mlflow_shown(self) -> str:
        """The same address as people and logs may see it."""
        return self.mlflow.tracking_uri or f"sqlite:///{self.paths.mlflow_file}"

    @property
    def mlflow_page(self) -> str:
        """Address of MLflow's pages, without a slash at its end: the server, or the one of `tradehits up`."""
        return self.mlflow_shown if self.mlflow.kind == "server" else self.up.mlflow_url

    @property
    def mlflow_artifacts(self) -> str:
        """MLflow's artifact root, a URI."""
        if self.mlflow.artifact_root is None and self.mlflow.kind == "server":
            return f"mlflow-artifacts:/tradehits-{self.profile}"
        return self.mlflow.artifact_root or (self.paths.mlruns / "artifacts").as_uri()

    @field_validator("clock")
    @classmethod
    def _instants_are_utc(cls, clock: PerAsset[Any]) -> PerAsset[Any]:
        values = {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in iter(clock)}
        return clock.model_copy(update=values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over overlay over base; profile and paths come in as arguments."""
        profile = init_settings().get("profile", DEFAULT_PROFILE)
        overlay = YamlConfigSettingsSource(settings_cls, yaml_file=CONFIG_DIR / f"{profile}.yaml")
        base = YamlConfigSettingsSource(settings_cls, yaml_file=CONFIG_DIR / "base.yaml")
        return (init_settings, env_settings, overlay, base)


def load_settings(profile: str | None = None) -> Settings:
    """Read the settings of a profile.

    Args:
        profile: Name of a file in `configs/`; default `TRADEHITS_PROFILE`, else `sample`.

    Raises:
        ConfigError: For an unknown profile, an unknown key or a bad value; the key is named.
    """
    name = profile or os.environ.get("TRADEHITS_PROFILE") or DEFAULT_PROFILE
    known = sorted(path.stem for path in CONFIG_DIR.glob("*.yaml") if path.stem != "base")
    if name not in known:
        raise ConfigError(f"unknown profile '{name}'", remedy=f"one of {', '.join(known)}, or add configs/{name}.yaml")
    _refuse_unknown_variables(os.environ)
    try:
        return Settings(profile=name, paths=_paths(name, os.environ))  # type: ignore[call-arg]
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(
            f"settings of profile '{name}': {details}", remedy="mend configs/*.yaml or the TRADEHITS__… variable"
        ) from error


def prefect_may_be_configured() -> bool:
    """Whether anything names a Prefect server: the variable itself, or a file of Prefect's profiles."""
    profiles = os.environ.get("PREFECT_PROFILES_PATH", "~/.prefect/profiles.toml")
    return bool(os.environ.get("PREFECT_API_URL")) or Path(profiles).expanduser().exists()


def _paths(profile: str, environ: Mapping[str, str]) -> Paths:
    given = environ.get("TRADEHITS_HOME")
    root = Path(given).expanduser().resolve() if given else REPO_DIR / ".tradehits"
    home = root / profile
    return Paths(
        home=home,
        state=home / "state",
        cache=home / "cache",
        reports=home / "reports",
        mlruns=home / "state" / "mlruns" if given else REPO_DIR / "mlruns" / profile,
    )


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """pydantic-settings ignores variables that match no field; a typing error must not pass in silence."""
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX):
            continue
        models: list[type[BaseModel]] = [Settings]
        for part in variable[len(ENV_PREFIX) :].lower().split("__"):
            fields = {name: field for model in models for name, field in model.model_fields.items()}
            if part not in fields or (models == [Settings] and part in ("profile", "paths")):
                near = difflib.get_close_matches(part, list(fields), n=3)
                hint = f"did you mean {', '.join(near)}?" if near else f"known here: {', '.join(fields) or 'nothing'}"
                raise ConfigError(f"unknown setting {variable}: no key '{part}'", remedy=hint)
            models = _models_in(fields[part].annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this type may be: several where a source's options stand."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]
