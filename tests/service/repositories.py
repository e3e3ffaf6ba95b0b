"""Folders of bundles and engines for them whose answers say which version gave them, and whether it was ready."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.api_keys import new_key
from service.contract.bundle_manifest import BundleManifest
from service.engine import EngineOutput
from tests.fakes import FakeEngine, fake_manifest
from tests.service.conftest import RunningServer, running_repository

SECONDS = 10


class VersionEngine(FakeEngine):
    """The score of every keypoint is a thousandth of the major version, and 0 as long as the engine is not warm."""

    def __init__(self, folder: Path, before_run: Callable[[NDArray[np.uint8]], None] = lambda _: None) -> None:
        super().__init__(before_run)
        self.manifest = BundleManifest.load(folder)
        self._is_warm = False

    def warm_up(self, batch_sizes: Sequence[int]) -> dict[int, float]:
        """Warm is what has been warmed for a while: a request that came meanwhile would be seen."""
        time.sleep(0.02)
        self._is_warm = True
        return super().warm_up(batch_sizes)

    def run(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """The fake model's points, and the version as scores."""
        output = super().run(crops_NHW3)
        major = float(self.manifest.version.partition(".")[0]) if self._is_warm else 0.0
        return EngineOutput(output.points_in_crop_NK2, np.full_like(output.scores_NK, major / 1000))


def save_manifest(folder: Path, name: str, version: str, **changes: Any) -> Path:
    """A bundle that `VersionEngine` can be loaded from."""
    folder.mkdir(parents=True, exist_ok=True)
    fake_manifest(name=name, version=version, **changes).save(folder)
    return folder


def admin_of(root: Path, load: Callable[[Path], Any], **settings: Any) -> AbstractContextManager[RunningServer]:
    """A server of a folder, with a client whose API key may change the models."""
    key, sha256 = new_key()
    keys = root.parent / "keys.toml"
    keys.write_text(f'[[key]]\nname = "operator"\nsha256 = "{sha256}"\nadmin = true\n', encoding="utf-8")
    return _Authorised(running_repository(root, load, api_keys=keys, **settings), key)


class _Authorised(AbstractContextManager[RunningServer]):
    def __init__(self, server: AbstractContextManager[RunningServer], key: str) -> None:
        self._server = server
        self._key = key

    def __enter__(self) -> RunningServer:
        running = self._server.__enter__()
        running.client.headers["Authorization"] = f"Bearer {self._key}"
        return running

    def __exit__(self, *exception: Any) -> None:
        self._server.__exit__(*exception)
