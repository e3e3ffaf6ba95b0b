"""No graph carries where on a machine it was made: not one that is exported, nor one that ships."""

from pathlib import Path

import onnx
import pytest

from service.contract.bundle_manifest import MODEL_FILE

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted((REPOSITORY / "models").glob(f"*/{MODEL_FILE}"))


def test_an_exported_graph_holds_no_path_of_this_machine(finished_bundle: Path) -> None:
    graph = (finished_bundle / MODEL_FILE).read_bytes()
    assert b".py" not in graph
    assert str(REPOSITORY).encode() not in graph
    assert onnx.load_from_string(graph).graph.node[0].op_type  # and it is still a graph


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_a_shipped_graph_holds_no_path(path: Path) -> None:
    assert b".py" not in path.read_bytes()
