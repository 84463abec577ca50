"""Links of the OpenAPI document: which answer leads to which next request, for tools that follow them."""

from __future__ import annotations

from typing import Any

from serving import metrics as routes

_ROWS = {routes.PREDICTIONS: "predictions", routes.HIGH_CONFIDENCE: "signals", routes.ENSEMBLE_SIGNALS: "signals"}


def add_links(document: dict[str, Any]) -> None:
    """Add them to the answers of status 200; operations have their final ids already."""
    paths = document["paths"]
    symbol = paths[routes.SYMBOL]["get"]
    ensemble = paths[routes.ENSEMBLE]["post"]
    for path, rows in _ROWS.items():
        _link(paths[path]["get"], symbol, "What is known about the first symbol of the answer.", f"/{rows}/0")
    _link(ensemble, symbol, "XGBoost alone on this symbol, with its history.", "")
    body = {"symbol": "$response.body#/symbol", "asset_type": "$response.body#/asset_type"}
    symbol["responses"]["200"]["links"] = {
        "ensemble": {
            "operationId": ensemble["operationId"],
            "description": "The ensemble's opinion of this symbol.",
            "requestBody": body,
        }
    }


def _link(source: dict[str, Any], symbol: dict[str, Any], description: str, place: str) -> None:
    """From an answer that holds symbol and class at `place` to the route of one symbol."""
    told = f"$response.body#{place}"
    source["responses"]["200"]["links"] = {
        "symbol": {
            "operationId": symbol["operationId"],
            "description": description,
            "parameters": {"path.symbol": f"{told}/symbol", "query.asset_type": f"{told}/asset_type"},
        }
    }
