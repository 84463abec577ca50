"""`tradehits serve`: BentoML's server with the profile's settings."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

from configs.settings import ENV_PREFIX, load_settings
from market.errors import ConfigError

if TYPE_CHECKING:
    from _bentoml_sdk.service.factory import Service

    from configs.settings import Settings


def serve(profile: str | None, *, host: str | None, port: int | None, workers: int | None) -> None:
    """Answer requests until interrupted.

    Workers are processes of their own and read their settings from the environment, so what the command line says is
    put there.

    Raises:
        ConfigError: A setting is not valid, or the service would be open to other machines without keys.
    """
    given = {"HOST": host, "PORT": port, "WORKERS": workers}
    os.environ.update(
        {f"{ENV_PREFIX}SERVING__{name}": str(value) for name, value in given.items() if value is not None}
    )
    if profile is not None:
        os.environ["TRADEHITS_PROFILE"] = profile
    settings = load_settings()
    prepare_environment(settings)
    from serving.security import check_exposure
    from serving.security_keys import KeyStore
    from serving.service import TradeHits

    check_exposure(settings.serving, KeyStore(settings.paths.api_keys_file))
    service = cast("Service[Any]", TradeHits)
    service.config["workers"] = settings.serving.workers
    service.serve_http(host=_address(settings.serving.host), port=settings.serving.port)


def prepare_environment(settings: Settings) -> None:
    """What BentoML reads when it is imported: no telemetry, and a folder of this service alone.

    Its folder holds the workers' counters, and starting a service empties it: two services must not share one.
    """
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    os.environ.setdefault("BENTOML_HOME", str(settings.paths.cache / "bentoml" / str(settings.serving.port)))


def _address(host: str) -> str:
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise ConfigError(f"serving.host '{host}' is no address", remedy="such as 127.0.0.1, 0.0.0.0 or ::1") from error
