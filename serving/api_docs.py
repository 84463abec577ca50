"""`/docs` without the internet, and the one OpenAPI document behind it.

Swagger UI's files are those that BentoML serves under `/static_content`. BentoML's own index page loads a tag manager
from the internet, and its `/docs.json` knows nothing of our errors: both addresses are answered here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.responses import HTMLResponse, RedirectResponse, Response

from serving.openapi import openapi_document

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TradeHits API</title>
<link rel="stylesheet" href="static_content/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="static_content/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  defaultModelsExpandDepth: 0, docExpansion: "list", tryItOutEnabled: true});
</script>
</body>
</html>
"""


def add_docs(api: FastAPI) -> None:
    """Add the page, the document and their old addresses."""

    @api.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(PAGE)

    @api.get("/", include_in_schema=False)
    async def index() -> Response:
        return RedirectResponse("docs")

    @cache
    def document() -> bytes:
        return orjson.dumps(_published_document(api))

    @api.get("/openapi.json", include_in_schema=False)
    @api.get("/docs.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response(document(), media_type="application/json")


def _published_document(api: FastAPI) -> dict[str, Any]:
    return openapi_document(api.routes)
