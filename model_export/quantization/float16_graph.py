"""A graph whose network computes in float16, for GPUs: inputs, outputs and decoding stay as they are.

onnxruntime's own converter also rounds every tensor between two nodes that stay in float32, so that decoded places
would be whole sixteenths of a pixel; hence this one, which casts at the network's two borders and nowhere else.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from model_export.errors import RunError
from model_export.quantization.network_part import network_nodes

_LARGEST = float(np.finfo(np.float16).max)
_FLOAT32_INPUTS = {"Resize": {1, 2}}  # float32 by the standard, whatever type the picture has


def float16_graph(model: ModelProto) -> ModelProto:
    """The same graph with its network in float16.

    Raises:
        RunError: see `network_nodes`; or a weight is beyond the range of float16.
    """
    converted = _copy(model)
    graph = converted.graph
    network = network_nodes(converted)
    nodes = list(graph.node)
    first = nodes.index(network[0])
    before, after = nodes[:first], nodes[first + len(network) :]
    floats = _float_tensors(converted)
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    entering = _written(before) & _read(network) & floats
    leaving = _written(network) & (_read(after) | {output.name for output in graph.output}) & floats
    narrow_names = {name: f"{name}_float16" for name in (*entering, *leaving, *weights)}

    narrowed = _rename(network, narrow_names)
    casts_in = [_cast(name, narrow_names[name], TensorProto.FLOAT16) for name in sorted(entering)]
    casts_out = [_cast(narrow_names[name], name, TensorProto.FLOAT) for name in sorted(leaving)]
    _replace(graph.node, [*before, *casts_in, *network, *casts_out, *after])
    graph.initializer.extend(
        numpy_helper.from_array(_rounded(tensor), narrow_names[name])
        for name, tensor in weights.items()
        if name in narrowed
    )
    read = _read(graph.node)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])
    del graph.value_info[:]  # of the types before
    return converted


def rounding_graph(model: ModelProto) -> ModelProto:
    """The same graph in float32, every result of its network rounded to float16: what a GPU answers, on any CPU.

    onnxruntime's CPU provider computes a float16 network in float32 and rounds nothing but its weights, so it would
    flatter the accuracy. Tensor cores add up in float32 and round each result, as this does.

    Raises:
        RunError: as `float16_graph`.
    """
    rounding = _copy(model)
    graph = rounding.graph
    network = network_nodes(rounding)
    within, floats = {node.name for node in network}, _float_tensors(rounding)
    read = _read(network)
    for tensor in graph.initializer:
        if tensor.name in read and tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(_rounded(tensor).astype(np.float32), tensor.name))
    nodes = []
    for node in graph.node:
        nodes.append(node)
        for place, name in enumerate(node.output):
            if node.name in within and name in floats:
                node.output[place] = f"{name}_exact"
                nodes.append(_cast(f"{name}_exact", f"{name}_rounded", TensorProto.FLOAT16))
                nodes.append(_cast(f"{name}_rounded", name, TensorProto.FLOAT))
    _replace(graph.node, nodes)
    return rounding


def _copy(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def _float_tensors(model: ModelProto) -> set[str]:
    graph = shape_inference.infer_shapes(model).graph
    known = (*graph.value_info, *graph.input, *graph.output)
    return {tensor.name for tensor in known if tensor.type.tensor_type.elem_type == TensorProto.FLOAT}


def _read(nodes: Iterable[NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input}


def _written(nodes: Iterable[NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.output}


def _rename(nodes: Iterable[NodeProto], names: dict[str, str]) -> set[str]:
    """Rename what the nodes read and write; returns the old names of what they read."""
    renamed = set()
    for node in nodes:
        stays = _FLOAT32_INPUTS.get(node.op_type, set())
        for place, name in enumerate(node.input):
            if name in names and place not in stays:
                node.input[place] = names[name]
                renamed.add(name)
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
    return renamed


def _cast(source: str, target: str, dtype: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_to_{target}", to=dtype)


def _rounded(tensor: TensorProto) -> Any:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= _LARGEST:
        raise RunError(f"{tensor.name}: expected weights up to {_LARGEST:g}, the range of float16, found {largest:g}")
    return values.astype(np.float16)


def _replace(part: Any, entries: Iterable[Any]) -> None:
    """Put copies in the place of a protobuf list, whose entries die with it."""
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
    del part[:]
    part.extend(copies)
