"""One run of the drawn faces and its bundle, for tests that read them; who changes a file takes a copy."""

from pathlib import Path

import pytest

from model_export.export_bundle import export_bundle
from model_export.run_folder import RunFolder
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import run_recipe


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The small recipe, AFL and all, trained to its end."""
    return run_recipe(small_recipe(), tmp_path_factory.mktemp("finished") / "afl")


@pytest.fixture(scope="session")
def finished_bundle(finished_run: RunFolder) -> Path:
    """What `focalpoint export` makes of `finished_run`."""
    folder = finished_run.path.parent / "bundle"
    export_bundle(finished_run, folder, None)
    return folder
