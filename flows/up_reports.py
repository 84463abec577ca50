"""The report index of `tradehits up`: the files of the reports folder, read-only, on loopback."""

from __future__ import annotations

import argparse
import html
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from configs.settings import Settings

_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


class _Reports(StaticFiles):
    """Files whose reader gets today's version, and nobody else's scripts."""

    async def get_response(self, path: str, scope: dict) -> Response:  # type: ignore[override,type-arg]
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def make_app(folder: Path, host: str) -> Starlette:
    """The application: `/` is the folder's own index, or a list of its pages while there is none.

    Only GET and HEAD are answered, links out of the folder are not followed, and only this machine's names are accepted
    as Host, so that no page of the web can read reports through a name that resolves to loopback.
    """

    async def index(request: Request) -> Response:
        own = folder / "index.html"
        text = own.read_text(encoding="utf-8") if own.is_file() else _listed(folder)
        return HTMLResponse(text, headers=_HEADERS)

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok")

    files = _Reports(directory=folder, html=True, check_dir=False, follow_symlink=False)
    routes = [Route("/", index), Route("/healthz", health), Mount("/", files)]
    hosts = ["127.0.0.1", "localhost", "::1", host]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])


def _listed(folder: Path) -> str:
    pages = sorted(folder.rglob("*.html"), reverse=True) if folder.is_dir() else []
    names = [html.escape(page.relative_to(folder).as_posix(), quote=True) for page in pages]
    lines = "".join(f'<li><a href="{name}">{name}</a></li>' for name in names)
    said = (
        f"<ul>{lines}</ul>"
        if names
        else "<p>No report was written yet: <code>tradehits monitor</code> writes them.</p>"
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>TradeHits reports</title>"
        f"<body style='font-family:system-ui;margin:3rem auto;max-width:60rem'><h1>TradeHits reports</h1>{said}"
    )


def serve(settings: Settings, bind: str | None = None) -> None:
    """Answer until a signal comes.

    Args:
        settings: Port and folder.
        bind: Address in place of `up.host`: in a container, whose port is published on loopback alone, 0.0.0.0. The
            names that are accepted as Host stay those of this machine.
    """
    import uvicorn

    up, folder = settings.up, settings.paths.reports
    app = make_app(folder, up.host)
    uvicorn.run(app, host=bind or up.host, port=up.reports_port, log_level="info", server_header=False)


if __name__ == "__main__":
    from configs.settings import load_settings

    parser = argparse.ArgumentParser(description="The report index, read-only.")
    parser.add_argument("--bind", help="address to listen on; default: up.host")
    serve(load_settings(), parser.parse_args().bind)
