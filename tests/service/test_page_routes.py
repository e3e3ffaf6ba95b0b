"""The page and the documentation as files over HTTP: what is there, who may have it, and how it is kept."""

import re
from pathlib import Path

import pytest

from service.api_keys import new_key
from service.page_routes import FOLDER, read_page
from service.static_files import MEDIA_TYPES
from tests.service.conftest import RunningServer, StartServer
from tests.service.test_http_problems import check_problem

PICTURES = Path(__file__).parents[1] / "pictures"
ADDRESSES = ["/", *(f"/page/{name}" for name in read_page() if name != "index.html")]


@pytest.mark.parametrize("address", ["/", "/page/app.js", "/page/pictures/mouse.png", "/docs", "/docs/swagger-ui.css"])
def test_a_file_is_sent_once_and_then_confirmed(server: RunningServer, address: str) -> None:
    first = server.client.get(address)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-cache"
    for tags in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = server.client.get(address, headers={"If-None-Match": tags})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert server.client.get(address, headers={"If-None-Match": '"other"'}).content == first.content
    head = server.client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(first.content))


def test_every_file_is_there_as_what_it_is_and_may_load_nothing_from_elsewhere(server: RunningServer) -> None:
    for address in ADDRESSES:
        answer = server.client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["content-type"] == MEDIA_TYPES[Path(address).suffix or ".html"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} < {*policy}
    assert "script-src 'self';" in server.client.get("/docs").headers["content-security-policy"]


def test_the_page_names_every_script_so_that_none_waits_for_another() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="page/(\w+\.js)"', page)
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js"))
    imported = re.findall(r'^import .*"\./(\w+\.js)"', scripts, re.MULTILINE)
    assert sorted(named) == sorted({*imported, "app.js", "theme.js"})


def test_the_examples_are_the_pictures_that_may_be_shown() -> None:
    for name, original in {"portrait.jpg": "astronaut.jpg", "mouse.png": "mouse.png"}.items():
        assert (FOLDER / "pictures" / name).read_bytes() == (PICTURES / original).read_bytes()


@pytest.mark.parametrize(
    "address", ["/page/", "/page/index.html", "/page/../app.py", "/page/..%2fapp.py", "/docs/x.js"]
)
def test_nothing_else_is_found(server: RunningServer, address: str) -> None:
    check_problem(server.client.get(address), "not-found", "there is no /")


def test_with_keys_the_page_is_open_and_all_that_it_asks_for_is_not(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[[key]]\nname = "one"\nsha256 = "{new_key()[1]}"\n', encoding="utf-8")
    running = start_server(api_keys=file)
    assert {running.client.get(address).status_code for address in ADDRESSES} == {200}
    for address in ("/v1/models", "/docs", "/openapi.json", "/metrics", "/page/nothing.js", "/page"):
        assert running.client.get(address).status_code == 401, address


def test_it_can_be_turned_off(start_server: StartServer, tmp_path: Path) -> None:
    running = start_server(page=False)
    for address in ADDRESSES:
        check_problem(running.client.get(address), "not-found", address)
    file = tmp_path / "keys.toml"
    file.write_text(f'[[key]]\nname = "one"\nsha256 = "{new_key()[1]}"\n', encoding="utf-8")
    assert start_server(page=False, api_keys=file).client.get("/").status_code == 401


def test_the_interface_is_shown_from_files_of_its_own(server: RunningServer) -> None:
    page = server.client.get("/docs").text
    for address in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page):
        assert server.client.get(f"/{address}").status_code == 200
    assert "//" not in page.replace("<!doctype", "")
    assert b"SwaggerUIBundle" in server.client.get("/docs/swagger-ui-bundle.js").content
