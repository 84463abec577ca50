"""Where MLflow keeps runs and models: a SQLite file of the profile, a PostgreSQL database, or an MLflow server.

A password is never part of a setting: it comes from `TRADEHITS_MLFLOW_PASSWORD` alone, so addresses can be shown,
logged and stored as they are. `Settings.mlflow_uri` joins both, for MLflow's client and nobody else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

PASSWORD_VARIABLE: Final = "TRADEHITS_MLFLOW_PASSWORD"
PREFECT_DATABASE: Final = ("PREFECT_API_DATABASE_", "PREFECT_SERVER_DATABASE_")
"""Environment variables that begin so are of the database behind Prefect's server; they may hold its password."""
REMOTE_ARTIFACTS: Final = ("gs", "s3", "mlflow-artifacts")

_KINDS: Final[Mapping[str, Literal["postgresql", "server"]]] = {
    "postgresql": "postgresql",
    "postgresql+psycopg2": "postgresql",
    "http": "server",
    "https": "server",
}


class MlflowSettings(BaseModel):
    """The store of runs and models, and the root of their files.

    Attributes:
        tracking_uri: None for a SQLite file in the profile's own state; `postgresql://USER@HOST/DATABASE`; the
            `http://` or `https://` address of an MLflow server. One database or server belongs to one profile.
        artifact_root: None for a folder beside the SQLite file (with a server: its own artifacts); an absolute folder;
            `gs://BUCKET/…`, `s3://BUCKET/…`, `mlflow-artifacts:/…`.
        connect_seconds: For so long a connection to PostgreSQL is tried.
        password: Of the PostgreSQL user. A server's credentials are MLflow's own variables, `MLFLOW_TRACKING_…`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tracking_uri: str | None
    artifact_root: str | None
    connect_seconds: float = Field(gt=0)
    password: SecretStr | None = Field(
        default_factory=lambda: SecretStr(os.environ[PASSWORD_VARIABLE]) if os.environ.get(PASSWORD_VARIABLE) else None,
        exclude=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _no_password_in_files(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "password" in given:
            raise ValueError(f"a password is no setting: give it as {PASSWORD_VARIABLE}")
        return given

    @field_validator("tracking_uri")
    @classmethod
    def _is_an_address(cls, uri: str | None) -> str | None:
        """Messages never repeat the address, because somebody may have put a password into it."""
        if uri is None:
            return None
        try:
            parts = urlsplit(uri)
            secret = parts.password is not None or any("password" in name.lower() for name, _ in parse_qsl(parts.query))
        except ValueError:
            raise ValueError("this is no address") from None
        kind = _KINDS.get(parts.scheme)
        if kind is None:
            raise ValueError(f"it begins with one of {', '.join(f'{scheme}://' for scheme in _KINDS)}")
        if secret or (kind == "server" and parts.username is not None):
            where = PASSWORD_VARIABLE if kind == "postgresql" else "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD"
            raise ValueError(f"a password is no part of an address: give it as {where}")
        if kind == "postgresql" and not (parts.username and parts.path.strip("/")):
            raise ValueError("it names user and database, such as postgresql://tradehits@localhost/mlflow")
        if kind == "server" and not parts.hostname:
            raise ValueError("it names no host")
        return uri.rstrip("/")

    @field_validator("artifact_root")
    @classmethod
    def _is_a_root(cls, root: str | None) -> str | None:
        if root is None:
            return None
        parts = urlsplit(root)
        if parts.username is not None or parts.password is not None:
            raise ValueError("credentials are no part of an address: they come from the environment")
        if parts.scheme in REMOTE_ARTIFACTS:
            return root.rstrip("/")
        folder = Path(unquote(parts.path) if parts.scheme == "file" else root)
        if parts.scheme not in ("", "file") or not folder.is_absolute():
            schemes = ", ".join(f"{scheme}:" for scheme in REMOTE_ARTIFACTS)
            raise ValueError(f"'{root}' is neither an absolute folder nor one of {schemes}")
        return folder.as_uri()

    @property
    def kind(self) -> Literal["embedded", "postgresql", "server"]:
        """Where runs and models are."""
        return "embedded" if self.tracking_uri is None else _KINDS[urlsplit(self.tracking_uri).scheme]

    def secret_uri(self) -> str:
        """The address with the password in it. For MLflow's client alone: never show, log or store it.

        Raises:
            ValueError: The store is embedded; its address depends on the profile.
        """
        if self.tracking_uri is None:
            raise ValueError("the embedded store has no configured address")
        if self.kind != "postgresql" or self.password is None:
            return self.tracking_uri
        scheme, rest = self.tracking_uri.split("://", 1)
        user, at = rest.split("@", 1)
        return f"{scheme}://{user}:{quote(self.password.get_secret_value(), safe='')}@{at}"

    def without_secret(self, text: str) -> str:
        """A text of another library, such as a driver's error, without the password."""
        if self.password is None:
            return text
        secret = self.password.get_secret_value()
        for form in (quote(secret, safe=""), secret):
            text = text.replace(form, "***")
        return text

    def own_environment(self) -> dict[str, str]:
        """What a process needs beside the address without a password: libpq reads the password from `PGPASSWORD`."""
        if self.kind != "postgresql" or self.password is None:
            return {}
        return {"PGPASSWORD": self.password.get_secret_value()}


def prefect_database(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that name the database of Prefect's server (of this process by default); empty for its SQLite."""
    given = os.environ if environ is None else environ
    return {name: value for name, value in given.items() if name.startswith(PREFECT_DATABASE) and value}
