"""What cannot be sent is refused before it is."""

import numpy as np
import pytest

from service.client import AsyncClient, Client, RetryPolicy
from tests.service.client.asking import PICTURE
from tests.service.client.scripted_server import keypoints, scripted


class Image:
    """What Pillow's images have in common with arrays."""

    __array_interface__ = np.zeros((4, 4, 3), np.uint8).__array_interface__


@pytest.mark.parametrize(
    ("picture", "boxes", "message"),
    [
        (b"", None, "expected an image file, found no bytes"),
        (np.zeros((4, 4), np.uint8), None, r"RGB array uint8 \(H, W, 3\), found uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3)), None, "found float64"),
        (
            Image(),
            None,
            r"expected bytes, a path or an RGB array uint8 \(H, W, 3\), found Image; numpy.asarray ",
        ),
        (4, None, "expected bytes, a path or an RGB array uint8 .*, found int$"),
        (PICTURE, [], "expected at least one, or None for the whole picture"),
        (PICTURE, np.zeros((0, 4)), "expected at least one, or None for the whole picture"),
        (PICTURE, [1, 2, 3, 4], r"expected n x 4 finite numbers, found .* of shape \(4,\)"),
        (PICTURE, [[1, 2, 3]], "n x 4"),
        (PICTURE, [[1, 2, 3, float("nan")]], "finite"),
        (PICTURE, [[1, 2, 3, "wide"]], "n x 4"),
    ],
)
def test_arguments_that_cannot_be_sent(picture: bytes, boxes: list[list[float]] | None, message: str) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match=message):
        client.keypoints(picture, boxes)


def test_settings_that_cannot_be() -> None:
    for url in ("127.0.0.1:8000", "ftp://host", "http://", "http://host/?a=b"):
        with pytest.raises(ValueError, match="url: expected http"):
            Client(url)
    with pytest.raises(ValueError, match="url: expected the server's address without /v1/keypoints, found"):
        Client("http://host/behind/v1/keypoints/")
    with pytest.raises(ValueError, match="deadline_ms: expected 1 or more, found 0"):
        AsyncClient("http://host", deadline_ms=0)
    with pytest.raises(ValueError, match="api_key: expected printable"):
        Client("http://host", api_key="a\nb")
    with pytest.raises(ValueError, match="expected one try or more"):
        RetryPolicy(max_tries=0)
    with Client("http://127.0.0.1:9") as client, pytest.raises(FileNotFoundError):
        client.keypoints("no/such/file.jpg")


def test_a_key_out_of_a_file_is_sent_without_its_line_break() -> None:
    with scripted(keypoints()) as server, Client(server.url, api_key=" key\n", trust_env=False) as client:
        client.keypoints(PICTURE)
    assert server.asked[0].headers["authorization"] == "Bearer key"
