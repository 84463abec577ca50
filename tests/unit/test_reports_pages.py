"""The index, the head of a page, and what both say; without Evidently."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from configs.settings import load_settings
from feature_repo.services import SERVICES
from market.errors import ReportError
from monitoring.conditions import Condition, Severity
from monitoring.drift import DriftFound
from monitoring.drift_judge import FeatureVerdict
from monitoring.reports_data import DriftData, Measured, PerformanceData, TableVerdict, Window, plain_number
from monitoring.reports_index import Card, forget_old, write_card, write_index, write_whole
from monitoring.reports_names import CROSSES, FEATURE_TITLES, FLAGS, title_of
from monitoring.reports_page import Head, with_head
from monitoring.reports_sample import Sample
from monitoring.reports_words import drift_differences, performance_differences, told_verdict
from monitoring.rules import Judged

DAY = date(2024, 6, 28)
CARD = Card(
    date="2024-06-28",
    asset_type="stocks",
    level="calm",
    headline="No drift",
    lines=("No drift: all 30 features are as in training.",),
    differences=("Evidently and the tables agree on every one of 30 features.",),
    notes=(),
    model_version="walk_forward_stocks/3",
    prediction_source="live",
    page="stocks.html",
    made_at="2024-06-28T20:20:00+00:00",
)


def sample(rows: pl.DataFrame, total: int | None = None) -> Sample:
    return Sample(rows, total or rows.height, 7, "days", 23)


def drift_data(**tables: bool | None) -> DriftData:
    nothing = sample(pl.DataFrame({"datetime": []}))
    verdicts = {name: TableVerdict(drifted, 0.2, 0.31) for name, drifted in tables.items()}
    return DriftData(tuple(tables), nothing, nothing, Window.ending(DAY, 7), False, verdicts)


def condition(kind: str, metric: str, severity: Severity | None, message: str = "told") -> Condition:
    return Condition("stocks", kind, metric, severity, 1.0, 1.0, 1.0, message)  # type: ignore[arg-type]


def found(*conditions: Condition, kinds: dict[str, str] | None = None) -> DriftFound:
    features = tuple(FeatureVerdict(name, (kind,)) for name, kind in (kinds or {}).items())  # type: ignore[arg-type]
    return DriftFound(list(conditions), 30, (), features)


def accuracy(severity: Severity | None, rolling: float = 52.0) -> Judged:
    rule = condition("ACCURACY_DRIFT", "rolling_7d_accuracy", severity, "accuracy of the 7 days is 52.0%")
    return Judged("live", {"rolling_7d_accuracy": rolling, "date": DAY}, rule, "")


def test_every_feature_of_every_service_has_a_title_of_its_own() -> None:
    names = {name for service in SERVICES.values() for name in service}
    assert names == set(FEATURE_TITLES)
    assert len(set(FEATURE_TITLES.values())) == len(FEATURE_TITLES)
    assert names >= FLAGS | CROSSES
    assert title_of("something_new") == "something_new"


def test_no_drift_is_said_plainly() -> None:
    verdict = told_verdict(drift_data(rsi=False, adx=False), found(), accuracy(None))
    assert (verdict.level, verdict.headline) == ("calm", "No drift")
    assert verdict.lines == (
        "In 2024-06-22 to 2024-06-28 all 2 features are as in training.",
        "Accuracy of the 7 days is 52.0%.",
    )


def test_what_moved_is_named_for_people_with_the_gravest_alert_first() -> None:
    raised = [condition("FEATURE_DRIFT", "rsi", "WARNING"), condition("FEATURE_DRIFT", "adx", None)]
    verdict = told_verdict(
        drift_data(atr_pct=True, rsi=True, adx=False, mfi=None), found(*raised, kinds={"rsi": "shift"}), accuracy(None)
    )
    assert (verdict.level, verdict.headline) == ("warning", "Drift in 2 of 3 features")
    assert verdict.lines[0] == (
        "In 2024-06-22 to 2024-06-28 2 of 3 features are not as in training: RSI (shift), Range of a bar (ATR), "
        "% of price."
    )


def test_accuracy_market_and_relations_are_in_the_headline_too() -> None:
    raised = [
        condition("REGIME_CHANGE", "volatility_regime", "WARNING", "volatility is above"),
        condition("CONCEPT_DRIFT", "relation:rsi", "WARNING", "rsi says something else"),
    ]
    verdict = told_verdict(drift_data(rsi=False), found(*raised), accuracy("CRITICAL"))
    assert verdict.level == "critical"
    assert verdict.headline == "Accuracy fell, the market changed, what features tell changed"
    assert verdict.lines[1:3] == ("Volatility is above.", "Rsi says something else.")


def test_what_a_detector_of_decay_raises_is_not_called_fine() -> None:
    clear = condition("ACCURACY_DRIFT", "brier_sequential", None)
    worse = condition("ACCURACY_DRIFT", "accuracy_sequential", "CRITICAL", "accuracy has fallen since 2024-06-03")
    unsure = condition("ACCURACY_DRIFT", "estimated_accuracy", "WARNING", "50.4% accuracy is to be expected")
    features = drift_data(rsi=False)
    verdict = told_verdict(features, found(), accuracy(None), [clear, worse, unsure])
    assert (verdict.level, verdict.headline) == ("critical", "The model got worse, the model became unsure")
    assert verdict.lines[2:] == ("Accuracy has fallen since 2024-06-03.", "50.4% accuracy is to be expected.")
    assert told_verdict(features, found(), accuracy(None), [unsure]).headline == "The model became unsure"
    assert told_verdict(None, None, None, [clear]).level == "calm"


def test_what_was_not_judged_is_not_called_fine() -> None:
    verdict = told_verdict(None, None, None)
    assert (verdict.level, verdict.headline) == ("unknown", "Not judged")
    assert verdict.lines == ("Features were not judged.", "Accuracy was not judged.")
    why = told_verdict(None, DriftFound([], 0, ("crypto: there is no champion",)), None)
    assert why.lines[0] == "Features were not judged: crypto: there is no champion."


def test_differences_name_features_figures_and_the_reason() -> None:
    data = drift_data(rsi=False, adx=True, mfi=False, roc=None)
    measured = [
        Measured("value_drift", "rsi", 0.31, "wasserstein", 0.1, drifted=True),
        Measured("value_drift", "adx", 0.02, "wasserstein", 0.1, drifted=False),
        Measured("value_drift", "mfi", 0.01, "wasserstein", 0.1, drifted=False),
        Measured("value_drift", "roc", 0.9, "wasserstein", 0.1, drifted=True),
        Measured("drifted_columns_count", "all", 1.0),
    ]
    lines = drift_differences(data, measured, found(kinds={"adx": "stuck value"}))
    assert lines[0].startswith(
        "Evidently and the tables differ on 2 of 3 features. They answer two questions: Evidently asks"
    )
    assert lines[1] == "Only Evidently sees drift in RSI (distance 0.310, limit 0.1)."
    assert lines[2] == ("Only the tables see drift in Trend strength (ADX) (stuck value; distance 0.020, limit 0.1).")


def test_under_the_tables_own_limits_the_reason_is_another_one() -> None:
    measured = [Measured("value_drift", "rsi", 0.41, "ks_distance", 0.4, drifted=True)]
    limited = DriftFound([], 1, (), (FeatureVerdict("rsi", (), distance=0.39, distance_limit=0.4),))
    lines = drift_differences(drift_data(rsi=False), measured, limited)
    assert "differ on 1 of 1 features. Both use the limit that weeks of training reached." in lines[0]
    assert "They answer two questions" in drift_differences(drift_data(rsi=False), measured, None)[0]


def test_a_p_value_is_told_as_one() -> None:
    measured = [Measured("value_drift", "rsi", 0.0004, "ks", 0.05, drifted=True)]
    lines = drift_differences(drift_data(rsi=False), measured, None)
    assert lines[1] == "Only Evidently sees drift in RSI (p 0.0004, limit 0.05)."


def test_agreement_and_missing_verdicts_are_said() -> None:
    measured = [Measured("value_drift", "rsi", 0.01, "wasserstein", 0.1, drifted=False)]
    assert drift_differences(drift_data(rsi=False), measured, None) == [
        "Evidently and the tables agree on every one of 1 features."
    ]
    assert drift_differences(drift_data(), measured, None) == [
        "The tables have no verdict on features of this day to compare Evidently's with."
    ]


def test_a_sample_of_predictions_says_what_is_chance() -> None:
    settings = load_settings("test")
    rows = pl.DataFrame({"datetime": [datetime(2024, 6, 28, tzinfo=UTC)] * 400})
    data = PerformanceData("live", sample(rows, 9000), sample(rows), Window.ending(DAY, 7), Window.ending(DAY, 30))
    measured = [Measured("accuracy", "current", 0.5), Measured("accuracy", "reference", 0.52)]
    assert performance_differences(data, measured, accuracy(None), settings) == [
        "Evidently's accuracy of the newest days is 50.0%, the tables' 52.0%: Evidently sees 400 of 9,000 predictions, "
        "where 4.9 points up or down are chance.",
        "The rule about 7-day accuracy gives the same verdict on Evidently's sample.",
    ]
    same = [Measured("accuracy", "current", 0.52), Measured("accuracy", "reference", 0.7)]
    assert performance_differences(data, same, accuracy(None), settings) == [
        "Evidently's accuracy of the newest days, 52.0%, is the tables'.",
        "The rule about 7-day accuracy gives another verdict, which is the sample's chance: the tables' counts on "
        "Evidently's sample.",
    ]


def test_numbers_that_are_none_become_null() -> None:
    assert plain_number(pl.Series([0.25]).to_numpy()[0]) == 0.25
    assert plain_number(float("nan")) is None
    assert plain_number(float("inf")) is None


def test_the_index_shows_the_newest_day_first_with_links_and_escapes_everything(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    write_card(tmp_path, replace(CARD, asset_type="crypto", level="unknown", headline="Not judged", page=None))
    write_card(tmp_path, replace(CARD, date="2024-06-30", headline="Drift in <b>RSI</b>", level="critical"))
    text = write_index(tmp_path, "local").read_text(encoding="utf-8")
    assert text.index("<h2>2024-06-30</h2>") < text.index("<h2>2024-06-28</h2>")
    assert 'href="2024-06-28/stocks.html"' in text
    assert text.count("No page for this class.") == 1
    assert "Drift in &lt;b&gt;RSI&lt;/b&gt;" in text
    assert "No drift: all 30 features are as in training." in text
    assert "prefers-color-scheme: dark" in text
    assert "http://" not in text
    assert "https://" not in text
    assert len(text) < 20_000


def test_an_index_without_reports_says_how_to_make_one(tmp_path: Path) -> None:
    assert "tradehits monitor" in write_index(tmp_path / "reports", "local").read_text(encoding="utf-8")


def test_damaged_and_foreign_files_are_no_cards(tmp_path: Path) -> None:
    path = write_card(tmp_path, CARD)
    (tmp_path / "2024-06-29").mkdir()
    (tmp_path / "2024-06-29" / "stocks.json").write_text(path.read_text()[:-40])
    (tmp_path / "2024-06-29" / "etf.json").write_text(json.dumps({"level": "calm"}))
    (tmp_path / "2024-06-29" / "crypto.json").write_text(path.read_text().replace('"calm"', '"splendid"'))
    (tmp_path / "notes").mkdir()
    text = write_index(tmp_path, "local").read_text(encoding="utf-8")
    assert "2024-06-29" not in text
    assert "2024-06-28" in text


def test_killed_while_writing_the_old_page_is_still_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_card(tmp_path, CARD)
    index = write_index(tmp_path, "local")
    before = index.read_text(encoding="utf-8")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_whole(index, "<html>half a pa")
    assert index.read_text(encoding="utf-8") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2024-06-28", "index.html"]


def test_old_days_go_and_the_day_that_was_asked_for_stays(tmp_path: Path) -> None:
    for day in ("2024-01-01", "2024-05-29", "2024-05-28", "2024-06-28"):
        write_card(tmp_path, replace(CARD, date=day))
        (tmp_path / day / "stocks.html").write_text("page")
    assert forget_old(tmp_path, "stocks", date(2024, 6, 28), None) == []
    assert forget_old(tmp_path, "stocks", date(2024, 1, 1), 30) == [date(2024, 5, 28)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2024-01-01", "2024-05-29", "2024-06-28"]


def test_a_class_that_replays_the_past_keeps_its_pages_beside_one_of_the_present(tmp_path: Path) -> None:
    for day in ("2013-01-15", "2013-03-01"):
        write_card(tmp_path, replace(CARD, date=day))
    for day in ("2013-01-15", "2024-06-28"):
        write_card(tmp_path, replace(CARD, date=day, asset_type="crypto", page="crypto.html"))
    assert forget_old(tmp_path, "crypto", date(2024, 6, 28), 30) == [date(2013, 1, 15)]
    assert forget_old(tmp_path, "stocks", date(2013, 3, 1), 30) == [date(2013, 1, 15)]
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    assert left == ["2013-03-01/stocks.json", "2024-06-28/crypto.json"]
    assert not (tmp_path / "2013-01-15").exists()


def test_the_head_is_written_into_evidentlys_page_and_forbids_every_request() -> None:
    verdict = told_verdict(drift_data(rsi=False), None, None)
    head = Head("stocks · <1>", "model", verdict, ["all rows"], ["agree"], [], [("RSI", "rsi", "drift", "no", "0.1")])
    page = with_head('\n <html><head>x</head><body><div id="a"></div></body></html>', head)
    assert page.startswith("<html><head><title>stocks · &lt;1&gt;</title>")
    assert "default-src 'none'" in page
    assert "<h1>stocks · &lt;1&gt;<span" in page
    assert page.index("No drift") < page.index('<div id="a">')
    with pytest.raises(ReportError, match="no <head> or no <body>"):
        with_head("<html></html>", head)
