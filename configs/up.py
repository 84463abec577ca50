"""Settings of `tradehits up`: where its pages are, how its processes live, and how patient scheduled flows are."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict, Field, field_validator


class UpSettings(BaseModel):
    """What `tradehits up` starts beside the HTTP service, whose address stands under `serving`.

    Attributes:
        host: Address of MLflow, Prefect and the reports; they know no login, so it is a loopback address.
        mlflow_port: Of the MLflow UI.
        prefect_port: Of Prefect's server and dashboard.
        reports_port: Of the report index.
        work_pool: Prefect's process pool; `prefect.yaml` names the same one.
        start_seconds: So long a process may take until it answers.
        stop_seconds: So long it may take to end before it is killed.
        restarts: A process that ended is started again so often within `restart_window_seconds`; then it is given up.
        restart_window_seconds: See above.
        log_bytes: Size at which a process's log is set aside.
        log_files: Logs set aside that are kept for each process.
        turn_seconds: So long a scheduled flow waits for its turn in the pipeline, and for the flows it depends on.
        stale_share: From this share of symbols without a prediction on, `ml-daily-inference` ends as `Partial`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    mlflow_port: int = Field(ge=1, le=65535)
    prefect_port: int = Field(ge=1, le=65535)
    reports_port: int = Field(ge=1, le=65535)
    work_pool: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    start_seconds: float = Field(gt=0)
    stop_seconds: float = Field(gt=0)
    restarts: int = Field(ge=0)
    restart_window_seconds: float = Field(gt=0)
    log_bytes: int = Field(ge=4096)
    log_files: int = Field(ge=1)
    turn_seconds: float = Field(gt=0)
    stale_share: float = Field(gt=0, le=1)

    @field_validator("host")
    @classmethod
    def _is_loopback(cls, host: str) -> str:
        address = "127.0.0.1" if host.lower() == "localhost" else host
        if not ip_address(address).is_loopback:
            raise ValueError(
                f"'{host}' is open to other machines, and these pages know no login: use 127.0.0.1 and an SSH tunnel"
            )
        return address

    def url(self, port: int) -> str:
        """Address of a page, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}"

    @property
    def mlflow_url(self) -> str:
        """Of the MLflow UI."""
        return self.url(self.mlflow_port)

    @property
    def prefect_url(self) -> str:
        """Of Prefect's dashboard; its API lies below `/api`."""
        return self.url(self.prefect_port)

    @property
    def reports_url(self) -> str:
        """Of the report index."""
        return self.url(self.reports_port)
