"""The clients against the service itself: what goes in and what comes out."""

import asyncio
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.api_keys import new_key
from service.client import (
    AsyncClient,
    Client,
    RequestRefused,
    UnexpectedAnswer,
)
from tests.fakes import BOX_AROUND_CENTRES, CENTRES, draw_discs, encode
from tests.service.client.asking import Ask, both_clients
from tests.service.client.scripted_server import HANG, answer, scripted
from tests.service.conftest import RunningServer, StartServer


def client_of(server: RunningServer) -> Client:
    return Client(server.url, trust_env=False)


@both_clients
def test_bytes_a_path_and_an_array_have_one_answer(ask: Ask, server: RunningServer, tmp_path: Path) -> None:
    picture, file = draw_discs(), tmp_path / "discs.png"
    file.write_bytes(encode(picture))
    boxes = [BOX_AROUND_CENTRES, (0, 0, 160, 120)]
    answers = [ask(server.url, given, boxes) for given in (file.read_bytes(), file, str(file), picture)]
    answers.append(ask(server.url, picture[:, :, :], np.array(boxes, np.float32)))
    posted = server.client.post(
        "/v1/keypoints", params={"boxes": "35,25,71,71;0,0,160,120"}, content=encode(picture),
        headers={"Content-Type": "image/png"},
    )  # fmt: skip
    for found in answers:
        assert found.as_dict() == posted.json()
        assert (found.model, found.version, found.sha256) == ("discs", "1.2.3", "0" * 64)
        assert (found.width, found.height, found.tries) == (160, 120, 1)
        assert found.server_ms["total"] > found.server_ms["infer"] > 0
        assert found.seconds > found.server_ms["total"] / 1000
        tight, _ = found.instances
        assert np.abs(tight.keypoints - CENTRES).max() < 0.2
        assert tight.names == ("red", "green", "blue")
        assert tight.box.tolist() == list(BOX_AROUND_CENTRES)
        assert tight.by_name()["blue"] == (*tight.keypoints[2], tight.scores[2])
        assert tight.score == pytest.approx(tight.scores.mean(), abs=1e-4)
        with pytest.raises(ValueError, match="read-only"):
            tight.keypoints[0] = 0


def test_a_mirrored_array_is_the_picture_that_it_shows(server: RunningServer) -> None:
    with client_of(server) as client:
        found = client.keypoints(draw_discs()[:, ::-1], [(0, 0, 160, 120)])
    assert np.abs(found.instances[0].keypoints - (159 - CENTRES[:, 0])[:, None] * (1, 0) - CENTRES * (0, 1)).max() < 0.5


def test_the_drawing_is_the_services_own(server: RunningServer) -> None:
    picture = draw_discs()
    headers = {"Content-Type": "image/png", "Accept": "image/png"}
    png = server.client.post("/v1/keypoints", content=encode(picture), headers=headers).content
    drawn_there = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert drawn_there is not None
    with client_of(server) as client:
        found = client.keypoints(picture)
        drawn: NDArray[np.uint8] = client.draw(found, encode(picture))
        assert np.array_equal(drawn, client.draw(found, picture))
        with pytest.raises(ValueError, match=r"expected 160 x 120 pixels, .*, found 80 x 60"):
            client.draw(found, picture[::2, ::2])
        with pytest.raises(ValueError, match="the first bytes are of none of them"):
            client.draw(found, b"nothing")
    # The answer's numbers are rounded: 0 pixels differ as measured, a disc's rim of another shade is let pass.
    assert np.count_nonzero((drawn != drawn_there).any(axis=2)) <= 10
    assert not np.array_equal(drawn, picture)

    async def main() -> NDArray[np.uint8]:
        async with AsyncClient(server.url, trust_env=False) as client:
            return await client.draw(await client.keypoints(picture), picture)

    assert np.array_equal(asyncio.run(main()), drawn)


def test_heatmaps(server: RunningServer) -> None:
    with client_of(server) as client:
        [found] = client.keypoints(draw_discs(), [BOX_AROUND_CENTRES], heatmaps=True).instances
    assert found.heatmaps is not None
    assert found.heatmaps.values_KHW.dtype == np.float16
    assert found.heatmaps.values_KHW.shape == (3, 40, 48)
    row, column = np.unravel_index(found.heatmaps.values_KHW[1].argmax(), (40, 48))
    assert np.abs(found.heatmaps.to_image @ (column, row, 1) - CENTRES[1]).max() < 8  # within the disc


def test_models_and_readiness(start_server: StartServer) -> None:
    server = start_server()
    with client_of(server) as client:
        [listed] = client.models()
        assert (listed.name, listed.keypoint_names) == ("discs", ("red", "green", "blue"))
        assert client.model("discs").versions == ["1.2.3"]
        assert client.ready()
        server.app.state.readiness.stopping = True
        assert not client.ready()
        with pytest.raises(RequestRefused, match="there is no model 'cubes'") as caught:
            client.keypoints(draw_discs(), model="cubes")
        assert caught.value.status == 404
        with pytest.raises(RequestRefused, match=r"there is no model 'a b\?&'"):
            client.model("a b?&")

    async def main() -> tuple[int, list[str], bool]:
        async with AsyncClient(server.url, trust_env=False) as client:
            return len(await client.models()), (await client.model("discs", "1.2.3")).versions, await client.ready()

    assert asyncio.run(main()) == (1, ["1.2.3"], False)


def test_readiness_of_what_is_not_there_or_something_else() -> None:
    with scripted(HANG) as server, Client(server.url, trust_env=False) as client:
        assert not client.ready(deadline_ms=200)
    with Client(server.url, trust_env=False) as client:
        began = time.monotonic()
        assert not client.ready()
        assert time.monotonic() - began < 0.3  # asked once
    expected = "expected the text ready, found b'<html>'"
    with (
        scripted(answer(200, b"<html>")) as server,
        Client(server.url, trust_env=False) as client,
        pytest.raises(UnexpectedAnswer, match=expected),
    ):
        client.ready()


def test_the_api_key(start_server: StartServer, tmp_path: Path) -> None:
    key, sha256 = new_key()
    (tmp_path / "keys.toml").write_text(f'[[key]]\nname = "me"\nsha256 = "{sha256}"\n')
    server = start_server(api_keys=tmp_path / "keys.toml")
    with Client(server.url, api_key=key, trust_env=False) as client:
        assert client.keypoints(draw_discs()).instances
        assert key not in repr(client._settings)
    with client_of(server) as client, pytest.raises(RequestRefused, match="Authorization: Bearer KEY") as caught:
        client.keypoints(draw_discs())
    assert caught.value.status == 401
