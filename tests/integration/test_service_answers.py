"""The service as a process: every endpoint's shape, filters, errors, headers and documents, by the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from serving import api_models, native_models
from serving.openapi_examples import ANSWERS, REQUESTS
from tests.bundles import FEATURES
from tests.served import RawAnswer, request, speak
from tests.service_world import ServiceWorld, scores, service_world

READS = "/api/ml"


class Running:
    """A service with version 1 of every class."""

    def __init__(self, world: ServiceWorld, base: str) -> None:
        self.world = world
        self.port = int(urlsplit(base).port or 0)

    def get(self, target: str, **headers: str) -> RawAnswer:
        return speak(self.port, request("GET", target, Connection="close", **headers))

    def post(self, target: str, content: Any) -> RawAnswer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        kind = {"Content_Type": "application/json", "Connection": "close"}
        return speak(self.port, request("POST", target, body=body, **kind))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        world = service_world(home)
        patch.setenv("TRADEHITS_HOME", str(home))
        with world.serve() as base:
            yield Running(world, base)


SHAPES: list[tuple[str, type[api_models.Shape]]] = [
    (f"{READS}/predictions", api_models.PredictionsAnswer),
    (f"{READS}/predictions?asset_type=Crypto&confidence=high&signal=buy&symbol=btcusdt&limit=5&offset=0"
     "&date_from=2024-06-01&date_to=2024-06-30", api_models.PredictionsAnswer),
    (f"{READS}/predictions?symbol=NOTHING", api_models.PredictionsAnswer),
    (f"{READS}/predictions?date_from=2030-01-01", api_models.PredictionsAnswer),
    (f"{READS}/high-confidence-signals?asset_type=crypto&signal_type=buy", api_models.HighConfidenceAnswer),
    (f"{READS}/high-confidence-signals?asset_type=ALL&signal_type=SELL&limit=1000", api_models.HighConfidenceAnswer),
    (f"{READS}/walk-forward-summary", api_models.SummaryAnswer),
    (f"{READS}/symbol-prediction/NVDA?asset_type=stocks", api_models.SymbolAnswer),
    (f"{READS}/symbol-prediction/nvda", api_models.SymbolAnswer),
    (f"{READS}/symbol-prediction/BTC/USDT?asset_type=crypto", api_models.SymbolAnswer),
    (f"{READS}/symbol-prediction/BTC%2FUSDT?asset_type=crypto", api_models.SymbolAnswer),
    (f"{READS}/symbol-prediction/btcusdt?asset_type=CRYPTO", api_models.SymbolAnswer),
    (f"{READS}/ensemble-signals", api_models.EnsembleSignalsAnswer),
    (f"{READS}/ensemble-signals?asset_type=crypto&signal_type=buy&limit=1", api_models.EnsembleSignalsAnswer),
]  # fmt: skip


@pytest.mark.parametrize(("target", "shape"), SHAPES, ids=[target for target, _ in SHAPES])
def test_every_read_has_the_documented_shape_and_names_its_models(
    service: Running, target: str, shape: type[api_models.Shape]
) -> None:
    answer = service.get(target)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    content = shape.model_validate_json(answer.body, strict=True)
    assert list(answer.json()) == list(shape.model_fields), "keys in the documented order"
    versions = answer.headers["x-model-version"].split(", ")
    assert all(re.fullmatch(r"walk_forward_(stocks|etf|crypto)/1", version) for version in versions)
    if shape is not api_models.SummaryAnswer:
        assert answer.headers["x-as-of"] == "2024-06-29T00:00:00Z"
    if isinstance(content, api_models.PredictionsAnswer):
        assert content.count == len(content.predictions)
    again = service.get(target, If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["x-model-version"] == answer.headers["x-model-version"]
    assert service.get(target, If_None_Match='"another"').status == 200
    assert service.get(target).body == answer.body, "kept or made anew, the answer is the same"


def test_predictions_are_newest_first_bounded_and_filtered(service: Running) -> None:
    everything = service.get(f"{READS}/predictions?limit=1000").json()
    assert everything["count"] == 14 * 8
    assert everything["model"] == "xgboost_walk_forward_v2"
    assert everything["model_versions"] == {name: f"walk_forward_{name}/1" for name in ("stocks", "etf", "crypto")}
    assert everything["as_of"] == "2024-06-29T00:00:00Z"
    rows = everything["predictions"]
    assert rows == sorted(rows, key=lambda row: row["datetime"], reverse=True)
    assert {row["datetime"] for row in rows[:8]} == {"2024-06-28 00:00"}
    assert service.get(f"{READS}/predictions").json()["predictions"] == rows[:50]
    assert service.get(f"{READS}/predictions?limit=3&offset=7").json()["predictions"] == rows[7:10]
    assert service.get(f"{READS}/predictions?asset_type=etf&limit=1000").json()["predictions"] == [
        row for row in rows if row["asset_type"] == "etf"
    ]
    for name, value in (("signal", "BUY"), ("confidence", "LOW"), ("confidence", "medium")):
        key = "confidence_level" if name == "confidence" else name
        found = service.get(f"{READS}/predictions?{name}={value}&limit=1000").json()["predictions"]
        assert found == [row for row in rows if row[key] == value.upper()]
    days = service.get(f"{READS}/predictions?date_from=2024-06-20&date_to=2024-06-21&limit=1000").json()["predictions"]
    assert days == [row for row in rows if row["datetime"][:10] in ("2024-06-20", "2024-06-21")]


def test_no_signal_is_said_with_the_range_of_probabilities(service: Running) -> None:
    told = service.get(f"{READS}/predictions?asset_type=stocks&limit=1000").json()
    newest = [row["up_probability_pct"] for row in told["predictions"] if row["datetime"] == "2024-06-28 00:00"]
    assert told["note"] == (
        "No BUY or SELL on the newest bars, which is a valid answer. stocks 2024-06-28: none in 4 symbols, up "
        f"probabilities {min(newest):.1f}% to {max(newest):.1f}%. BUY from 60%, SELL to 40%, HIGH from 65% or to 35%."
    )
    assert service.get(f"{READS}/predictions?asset_type=crypto").json()["note"] is None
    assert "no prediction of these dates" in service.get(f"{READS}/predictions?date_from=2030-01-01").json()["note"]
    sells = service.get(f"{READS}/predictions?asset_type=crypto&signal=sell").json()
    assert sells["count"] == 0
    assert sells["note"].startswith("No SELL on the newest bars, which is a valid answer. crypto 2024-06-28: none in 2")
    high = service.get(f"{READS}/predictions?asset_type=etf&confidence=high").json()
    assert (high["count"], high["note"][:41]) == (0, "No BUY or SELL of HIGH confidence on the ")
    past_the_end = service.get(f"{READS}/predictions?asset_type=crypto&offset=999").json()
    assert (past_the_end["count"], past_the_end["note"]) == (0, "No prediction matches these filters.")
    assert "near names: NVDA" in service.get(f"{READS}/predictions?asset_type=stocks&symbol=NVDIA").json()["note"]


def test_high_confidence_shows_its_record_beside_the_base_rate(service: Running) -> None:
    told = service.get(f"{READS}/high-confidence-signals?asset_type=crypto&signal_type=buy").json()
    assert [(row["symbol"], row["date"], row["up_pct"], row["signal"]) for row in told["signals"]] == [
        ("BTC/USDT", "2024-06-28", 70.0, "BUY")
    ]
    assert told["signals"][0]["pivot_low"] == ""
    assert told["accuracy_note"] == "crypto: no HIGH prediction of known outcome since training ended"


def test_a_symbols_history_is_its_ten_newest_rows(service: Running) -> None:
    told = service.get(f"{READS}/symbol-prediction/BTC/USDT?asset_type=crypto").json()
    assert [row["datetime"][:10] for row in told["history"]] == [f"2024-06-{day}" for day in range(28, 18, -1)]
    assert told["latest_prediction"] == {
        "datetime": "2024-06-28T00:00:00Z", "price": 1013.0, "direction": 1, "up_probability": 0.7,
        "confidence": "HIGH", "growth_score": 75, "trend_regime": "CONSOLIDATION",
        "signals": {"in_rise_cycle": 1, "rise_cycle_start": 0, "pivot_low": 0, "pivot_high": 0, "golden_cross": 0},
    }  # fmt: skip
    encoded = service.get(f"{READS}/symbol-prediction/BTC%2FUSDT?asset_type=crypto")
    assert encoded.json() == told


REFUSED: list[tuple[str, int, str | None, str]] = [
    ("predictions?asset_type=forex", 422, "asset_type", "should be 'all', 'stocks', 'etf' or 'crypto'"),
    ("predictions?confidence=sure", 422, "confidence", "should be 'all', 'HIGH'"),
    ("predictions?signal=KEEP", 422, "signal", "should be 'all', 'BUY'"),
    ("predictions?limit=0", 422, "limit", "greater than or equal to 1"),
    ("predictions?limit=1001", 422, "limit", "less than or equal to 1000"),
    ("predictions?limit=ten", 422, "limit", "valid integer"),
    ("predictions?offset=-1", 422, "offset", "greater than or equal to 0"),
    ("predictions?date_from=2024-13-01", 422, "date_from", "valid date"),
    ("predictions?date_from=2024-02-01&date_to=2024-01-01", 422, "date_to", "lies before date_from 2024-02-01"),
    ("predictions?symbol=", 422, "symbol", "at least 1 character"),
    ("predictions?assettype=crypto", 422, "assettype", "no such parameter"),
    ("high-confidence-signals?limit=1001", 422, "limit", "less than or equal to 1000"),
    ("high-confidence-signals?signal_type=up", 422, "signal_type", "should be 'all', 'BUY'"),
    ("walk-forward-summary?limit=1", 422, "limit", "no such parameter"),
    ("ensemble-signals?limit=1001", 422, "limit", "less than or equal to 1000"),
    ("symbol-prediction/NVDA?asset_type=all", 422, "asset_type", "should be 'stocks', 'etf' or 'crypto'"),
    ("symbol-prediction/NVDIA", 404, "symbol", "near names: NVDA, NVDS"),
    ("symbol-prediction/BTC/USDT", 404, "symbol", "known in crypto: give asset_type=crypto"),
    ("symbol-prediction/%00%27;--", 404, "symbol", "near names: AAPL"),
    ("nothing", 404, None, "Not Found"),
]


@pytest.mark.parametrize(("target", "status", "field", "words"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_is_not_valid_is_refused_in_one_shape(
    service: Running, target: str, status: int, field: str | None, words: str
) -> None:
    answer = service.get(f"{READS}/{target}")
    assert answer.status == status
    told = api_models.ErrorAnswer.model_validate_json(answer.body, strict=True)
    assert told.field == field
    if words != "Not Found":
        assert words in told.message


def test_predict_scores_as_the_champion_does(service: Running) -> None:
    rows = [[0.5, -1.25, None], [1.0, 2, 3.5]]
    answer = service.post("/predict", {"asset_type": "Stocks", "rows": rows})
    assert answer.status == 200, answer.body
    told = native_models.PredictAnswer.model_validate_json(answer.body, strict=True)
    assert told.model_version == answer.headers["x-model-version"] == "walk_forward_stocks/1"
    assert told.features == list(FEATURES)
    assert told.up_probability == scores("stocks", 1, rows)
    many = service.post("/predict", {"asset_type": "etf", "rows": rows * 2000}).json()
    assert many["up_probability"] == scores("etf", 1, rows) * 2000


def test_the_ensemble_answers_without_gemini_and_says_why(service: Running) -> None:
    answer = service.post(f"{READS}/ensemble-prediction", {"symbol": "btcusdt", "asset_type": "crypto"})
    assert answer.status == 200, answer.body
    told = native_models.EnsembleAnswer.model_validate_json(answer.body)
    assert list(answer.json()) == list(native_models.EnsembleAnswer.model_fields)
    assert told.gemini_prediction.status == "disabled"
    assert told.xgb_prediction.up_probability == told.ensemble_prediction.xgb_probability == 0.7
    assert told.ensemble_prediction.weights_used.model_dump() == {"xgboost": 1.0, "gemini": 0.0}
    assert told.ensemble_prediction.ensemble_score == pytest.approx(0.4)
    assert answer.headers["x-model-version"] == "walk_forward_crypto/1"


NVDA = {"symbol": "NVDA", "asset_type": "stocks"}
WRONG_BODIES: list[tuple[str, Any, int, str | None]] = [
    ("/predict", {"asset_type": "forex", "rows": [[1, 2, 3]]}, 422, "asset_type"),
    ("/predict", {"asset_type": "stocks"}, 422, "rows"),
    ("/predict", {"asset_type": "stocks", "rows": []}, 422, "rows"),
    ("/predict", {"asset_type": "stocks", "rows": [[1, 2, 3], [1, 2]]}, 422, "rows.1"),
    ("/predict", {"asset_type": "stocks", "rows": [[1, "2", 3]]}, 422, "rows.0.1"),
    ("/predict", b'{"asset_type": "stocks", "rows": [[1, 2, 1e999]]}', 422, "rows.0.2"),
    ("/predict", b'{"asset_type": "stocks", "rows": [[1, 2, NaN]]}', 422, "rows.0.2"),
    ("/predict", {"asset_type": "stocks", "rows": [[1, 2, 3]], "more": 1}, 422, "more"),
    ("/predict", {"asset_type": "stocks", "rows": [[1, 2, 3]] * 10_001}, 422, "rows"),
    ("/predict", b'{"asset_type', 422, None),
    ("/predict", b"[]", 422, None),
    (f"{READS}/ensemble-prediction", {"symbol": "NVDIA", "asset_type": "stocks"}, 404, "symbol"),
    (f"{READS}/ensemble-prediction", {"symbol": "", "asset_type": "stocks"}, 422, "symbol"),
    (f"{READS}/ensemble-prediction", {"asset_type": "stocks"}, 422, "symbol"),
    (f"{READS}/ensemble-prediction", {**NVDA, "market_data": {"rsi": "x"}}, 422, "rsi"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "body", "status", "field"), WRONG_BODIES)
def test_bentomls_own_endpoints_refuse_in_the_same_shape(
    service: Running, target: str, body: Any, status: int, field: str | None
) -> None:
    answer = service.post(target, body)
    assert answer.status == status, answer.body
    told = api_models.ErrorAnswer.model_validate_json(answer.body, strict=True)
    assert (told.field or "").endswith(field or "")
    assert bool(told.field) == bool(field)


def test_the_documents_work_without_the_internet_and_show_every_route(service: Running) -> None:
    page = service.get("/docs").body.decode()
    assert "//" not in re.sub(r"<!doctype.*?>", "", page), "nothing is loaded from elsewhere"
    for path in re.findall(r'(?:src|href)="([^"]+)"', page):
        if not path.startswith("data:"):
            asset = service.get(f"/{path}")
            assert (asset.status, len(asset.body) > 1000) == (200, True), path
    assert service.get("/").headers["location"] == "docs"
    document = service.get("/openapi.json").json()
    assert service.get("/docs.json").json() == document
    assert {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item} == {
        *ANSWERS, "GET /livez", "GET /readyz", "GET /metrics"
    }  # fmt: skip


EXAMPLES: dict[str, Callable[[str], object]] = {
    "GET /api/ml/predictions": api_models.PredictionsAnswer.model_validate_json,
    "GET /api/ml/high-confidence-signals": api_models.HighConfidenceAnswer.model_validate_json,
    "GET /api/ml/walk-forward-summary": api_models.SummaryAnswer.model_validate_json,
    "GET /api/ml/symbol-prediction/{symbol}": api_models.SymbolAnswer.model_validate_json,
    "GET /api/ml/ensemble-signals": api_models.EnsembleSignalsAnswer.model_validate_json,
    "POST /api/ml/ensemble-prediction": native_models.EnsembleAnswer.model_validate_json,
    "POST /predict": native_models.PredictAnswer.model_validate_json,
}


def test_every_example_is_what_its_type_says() -> None:
    assert set(EXAMPLES) == set(ANSWERS)
    for name, validate in EXAMPLES.items():
        validate(json.dumps(ANSWERS[name]))
    native_models.PredictRequest.model_validate(REQUESTS["POST /predict"])
    native_models.EnsembleRequest.model_validate(REQUESTS["POST /api/ml/ensemble-prediction"])
    assert len(REQUESTS["POST /predict"]["rows"][0]) == len(ANSWERS["POST /predict"]["features"]) == 30


def test_metrics_count_by_route_template_and_by_signal(service: Running) -> None:
    for symbol in ("NVDA", "AAPL", "NOTHING"):
        service.get(f"{READS}/symbol-prediction/{symbol}")
    service.post("/predict", {"asset_type": "crypto", "rows": [[0.5, -1.25, None]]})
    text = service.get("/metrics").body.decode()
    routes = set(re.findall(r'route="([^"]+)"', text))
    assert f"{READS}/symbol-prediction/{{symbol}}" in routes
    assert not any("NVDA" in route or "NOTHING" in route for route in routes)
    assert re.search(r'tradehits_predictions_total\{asset_type="crypto",route="/predict",signal="\w+"\} [1-9]', text)
    assert 'tradehits_signals{asset_type="crypto",signal="BUY"} 1.0' in text
    assert 'tradehits_model{asset_type="etf",model_version="walk_forward_etf/1"} 1.0' in text
    assert float(re.search(r"tradehits_snapshot_age_seconds ([\d.e+]+)", text).group(1)) > 0  # type: ignore[union-attr]
    assert service.get("/livez").status == service.get("/readyz").status == 200
