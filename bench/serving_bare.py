"""The peer: FastAPI on uvicorn with the same booster and the same bytes, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from registry.bundle import Bundle

HOME = Path(os.environ["TRADEHITS_HOME"])
BYTES = (HOME / "answer.json").read_bytes() if (HOME / "answer.json").exists() else b"{}"
bundle = Bundle.load(HOME / "bundle", variant="wilder")
app = FastAPI()


class Rows(BaseModel):
    asset_type: str
    rows: list[list[float | None]]


@app.get("/livez")
async def livez() -> Response:
    return Response(b"")


@app.get("/api/ml/predictions")
async def predictions(request: Request) -> Response:
    return Response(BYTES, media_type="application/json")


@app.post("/predict")
async def predict(given: Rows) -> Response:
    scores = bundle.predict(np.array(given.rows, dtype=np.float64))
    body = {
        "status": "success",
        "asset_type": given.asset_type,
        "model_version": bundle.info.model_version,
        "features": bundle.info.features,
        "up_probability": scores.tolist(),
    }
    return Response(orjson.dumps(body), media_type="application/json")
