"""Which nodes of an exported graph are the network: what stands before and behind it stays in float32.

Before it the crops are normalised, behind it the heatmaps are decoded to a fraction of a pixel, and neither costs time.
"""

from onnx import ModelProto, NodeProto

from model_export.errors import RunError

_WEIGHTS_PREFIX = "network."  # the attribute of `DecodedNetwork` that holds the network


def network_nodes(model: ModelProto) -> list[NodeProto]:
    """The nodes from the first to the last one that reads a weight of the network, in the graph's order.

    Raises:
        RunError: none does: the graph is not of this project, or is quantised already.
    """
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer if tensor.name.startswith(_WEIGHTS_PREFIX)}
    with_weights = [place for place, node in enumerate(graph.node) if weights & set(node.input)]
    if not with_weights:
        raise RunError(
            f"the graph has no weights called {_WEIGHTS_PREFIX}*: expected one that focalpoint export or "
            "import-checkpoint wrote, in float32"
        )
    return list(graph.node[with_weights[0] : with_weights[-1] + 1])
