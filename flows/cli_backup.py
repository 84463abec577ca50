"""The command line of backups: `tradehits backup` and `tradehits restore`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import ProfileOption, ReportChoice, profile_settings

if TYPE_CHECKING:
    from flows.backup import Backup
    from flows.restore import Restore

FormatOption = Annotated[ReportChoice, typer.Option("--format", help="table or json.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="The new archive, such as tradehits-2026-01-31.tar.zst.")],
    profile: ProfileOption = None,
    output: FormatOption = ReportChoice.TABLE,
) -> None:
    """Write the embedded state into one file: warehouse, feature store, MLflow, Gemini's answers, key hashes."""
    from flows.backup import backup as write_backup
    from flows.progress import RichReporter

    done = write_backup(profile_settings(profile), file, RichReporter())
    typer.echo(_json(done) if output is ReportChoice.JSON else _backed_up(done))


def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `tradehits backup` wrote.")],
    profile: ProfileOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="A state may be there already: it is moved aside, not deleted.")
    ] = False,
    output: FormatOption = ReportChoice.TABLE,
) -> None:
    """Put a backup in the state's place, after proving every file and table equal. Stop `up` and `serve` before."""
    from flows.progress import RichReporter
    from flows.restore import restore as put_back

    done = put_back(profile_settings(profile), file, RichReporter(), replace=replace)
    typer.echo(_json(done) if output is ReportChoice.JSON else _restored(done))


def _backed_up(done: Backup) -> str:
    return "\n".join(
        [
            f"{done.file}: {done.size_bytes / 2**20:,.1f} MiB, readable by you alone",
            f"{done.files} files of {done.state_bytes / 2**20:,.1f} MiB; {done.tables} tables with {done.rows:,} rows",
            *(f"NOT in it: {one}" for one in done.not_covered),
        ]
    )


def _restored(done: Restore) -> str:
    lines = [
        f"{done.file} of {done.created_at[:16].replace('T', ' ')} UTC is the state of profile '{done.profile}'",
        f"{done.files} files equal by SHA-256; {done.tables} tables with {done.rows:,} rows equal to the backup's",
        *(f"the state of before lies in {path}" for path in done.moved_aside),
    ]
    lines += [f"NOT restored: {one}" for one in done.not_covered]
    if done.snapshot is None:
        lines.append("no champion: there is no snapshot for the service yet")
    return "\n".join(lines)


def _json(done: Backup | Restore) -> str:
    return json.dumps(asdict(done), default=str, indent=2)
