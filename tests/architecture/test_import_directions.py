"""The direction of every import, read from the source: what may know of what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("service", "model_export")
MAX_LINES = 400
FILES = sorted(path for package in (*PACKAGES, "tests", "deploy") for path in (ROOT / package).rglob("*.py"))
HEAVY = {"torch", "lightning_fabric", "lightning", "onnx", "matplotlib"}


def modules_of(package: str) -> list[Path]:
    """The source files below a folder of the repository."""
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"no file below {package}"
    return found


def imports_of(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", modules_of("service"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_service_imports_neither_the_training_half_nor_its_libraries(path: Path) -> None:
    assert not roots(imports_of(path)) & (HEAVY | {"model_export", "tests", "deploy"})


@pytest.mark.parametrize("path", modules_of("model_export"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_model_export_imports_only_the_contract_of_service(path: Path) -> None:
    of_service = {name for name in imports_of(path) if name.partition(".")[0] == "service"}
    allowed = {name for name in of_service if name.startswith("service.contract.") or name == "service.__version__"}
    if path.name == "evaluate_over_http.py":  # who asks a running server is its client, as any program may be
        allowed |= {name for name in of_service if name.startswith("service.client.")}
    assert of_service == allowed


@pytest.mark.parametrize("path", modules_of("service/contract"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_contract_stands_on_its_own(path: Path) -> None:
    names = imports_of(path)
    assert not {name for name in names if name.startswith("service.") and not name.startswith("service.contract.")}
    assert not roots(names) & {"fastapi", "starlette", "onnxruntime", "prometheus_client"}


@pytest.mark.parametrize("path", modules_of("service/client"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_client_runs_without_a_server(path: Path) -> None:
    assert not roots(imports_of(path)) & {"fastapi", "starlette", "uvicorn", "onnxruntime", "prometheus_client"}


def test_service_itself_imports_nothing() -> None:
    assert not imports_of(ROOT / "service" / "__init__.py")


def test_each_part_of_the_service_knows_only_its_neighbours() -> None:
    unknown_to = {
        "errors": {"fastapi", "starlette", "numpy"},
        "dynamic_batching": {"numpy", "cv2", "onnxruntime", "fastapi", "starlette", "prometheus_client"},
        "image_decoding": {"fastapi", "starlette", "onnxruntime"},
        "onnx_engine": {"fastapi", "starlette", "cv2", "prometheus_client"},
        "pipeline": {"fastapi", "starlette", "onnxruntime"},
        "routes": {"numpy", "cv2", "onnxruntime"},
        "metrics": {"fastapi", "starlette", "cv2", "onnxruntime"},
    }
    for module, forbidden in unknown_to.items():
        assert not roots(imports_of(ROOT / "service" / f"{module}.py")) & forbidden, module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_are_short_and_named_for_what_they_hold(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert path.stem not in {"utils", "helpers", "common", "misc"}
