"""The command line of the HTTP service: `tradehits serve`, and its keys."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_keys import keys_app
from flows.cli_options import ProfileOption

serve_app = typer.Typer(help="Answer requests over HTTP; keys of the service.", invoke_without_command=True)
serve_app.add_typer(keys_app, name="keys")


@serve_app.callback()
def serve(
    context: typer.Context,
    profile: ProfileOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to bind to. Default: serving.host.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port. Default: serving.port.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that answer. Default: serving.workers.")
    ] = None,
) -> None:
    """Answer requests over HTTP from the published snapshot, until interrupted."""
    if context.invoked_subcommand is not None:
        return
    from flows.serve import serve as run_service

    run_service(profile, host=host, port=port, workers=workers)
