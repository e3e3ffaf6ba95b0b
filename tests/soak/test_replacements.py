"""Replacing a model again and again, under load: the memory of those before comes back, and nobody notices."""

import threading
import time
from pathlib import Path

import httpx

from service.api_keys import new_key
from tests.server_process import serving
from tests.soak.conftest import at_length

BUNDLE = Path(__file__).parents[2] / "models" / "face68"
MEGABYTE = 2**20


def test_replaced_models_give_their_memory_back(tmp_path: Path) -> None:
    key, sha256 = new_key()
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[key]]\nname = "operator"\nsha256 = "{sha256}"\nadmin = true\n', encoding="utf-8")
    picture = next((BUNDLE / "golden").glob("*.jpg")).read_bytes()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "image/jpeg"}
    codes: set[int] = set()
    flags = ("--max-batch", "4", "--api-keys", str(keys))
    with serving(BUNDLE, *flags) as server, server.client(headers=headers) as client:
        done = threading.Event()

        def go_on_asking() -> None:
            with server.client(headers=headers) as other:
                while not done.is_set():
                    codes.add(other.post("/v1/keypoints", content=picture).status_code)

        asking = threading.Thread(target=go_on_asking)
        asking.start()
        # The first one takes memory that stays: the heap beside the one from the start.
        replace(client, 1)
        before = server.resident_bytes()
        replacements = at_length(20, 500)
        replace(client, replacements)
        done.set()
        asking.join()
        give_up = time.monotonic() + 10
        while server.resident_bytes() > before + 10 * MEGABYTE and time.monotonic() < give_up:
            time.sleep(0.05)
        after = server.resident_bytes()
        print(f"\n{replacements} replacements: {before / MEGABYTE:.0f} MiB before, {after / MEGABYTE:.0f} after")  # noqa: T201
    assert codes == {200}
    # 4 MiB less measured; without malloc_trim() it was 28 MiB more.
    assert after < before + 10 * MEGABYTE


def replace(client: httpx.Client, times: int) -> None:
    for _ in range(times):
        answer = client.post("/v1/repository/face68/load")
        assert answer.status_code == 200, answer.text
