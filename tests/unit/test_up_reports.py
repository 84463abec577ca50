"""The report index: files of one folder, read-only, for this machine alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flows.up_reports import make_app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "reports"
    (made / "2024-06-28").mkdir(parents=True)
    (made / "2024-06-28" / "stocks.html").write_text("<h1>stocks</h1>")
    (tmp_path / "secret.txt").write_text("key")
    (made / "link.txt").symlink_to(tmp_path / "secret.txt")
    return made


@pytest.fixture
def client(folder: Path) -> TestClient:
    return TestClient(make_app(folder, "127.0.0.1"), base_url="http://127.0.0.1:3010")


def test_without_an_index_every_page_is_listed(client: TestClient) -> None:
    assert '<a href="2024-06-28/stocks.html">' in client.get("/").text
    assert client.get("/2024-06-28/stocks.html").text == "<h1>stocks</h1>"


def test_the_folders_own_index_is_shown_as_soon_as_there_is_one(client: TestClient, folder: Path) -> None:
    (folder / "index.html").write_text("<h1>by date</h1>")
    assert client.get("/").text == "<h1>by date</h1>"
    assert client.head("/").status_code == 200


def test_before_the_first_report_the_page_says_what_writes_one(tmp_path: Path) -> None:
    answer = TestClient(make_app(tmp_path / "nothing", "127.0.0.1"), base_url="http://127.0.0.1").get("/")
    assert answer.status_code == 200
    assert "tradehits monitor" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(client: TestClient, method: str) -> None:
    for path in ("/", "/2024-06-28/stocks.html"):
        assert client.request(method, path, content=b"x").status_code == 405


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/link.txt", "/2024-06-28/..%2f..%2fsecret.txt"]
)
def test_nothing_outside_the_folder_is_shown(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_name_of_another_host_is_refused(folder: Path) -> None:
    foreign = TestClient(make_app(folder, "127.0.0.1"), base_url="http://rebound.example")
    assert foreign.get("/").status_code == 400
