"""Whether a graph is what its manifest says: names, types and sizes of its tensors."""

from typing import Any

from service.contract.bundle_manifest import MODEL_FILE, BundleError, BundleManifest
from service.contract.model_input import CropInput
from service.contract.model_output import TensorShapes

_ONNX_TYPES = {"uint8": "uint8", "float32": "float"}


def check_graph(session: Any, manifest: BundleManifest) -> None:
    """Compare the tensors of an onnxruntime session with the manifest.

    Raises:
        BundleError: they differ; the message says in what.
    """
    crop = manifest.input
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    outputs = {tensor.name: tensor for tensor in session.get_outputs()}
    if set(inputs) != {crop.tensor}:
        raise BundleError(f"{MODEL_FILE}: expected the one input {crop.tensor}, found {sorted(inputs)}")
    _check_tensor(inputs[crop.tensor], _ONNX_TYPES[crop.dtype], (crop.sizes_per_crop,))
    _check_batch(inputs[crop.tensor].shape[0], crop)
    for name, shapes in manifest.output.tensors(len(manifest.keypoints.names)).items():
        if name not in outputs:
            raise BundleError(f"{MODEL_FILE}: expected an output {name}, found {sorted(outputs)}")
        _check_tensor(outputs[name], "float", shapes)


def _check_batch(found: Any, crop: CropInput) -> None:
    fixed = isinstance(found, int)
    if crop.batch == "any" and fixed:
        raise BundleError(f"{MODEL_FILE}: expected any batch size, found the fixed size {found}")
    if crop.batch == "one" and fixed and found != 1:
        raise BundleError(f"{MODEL_FILE}: expected the batch size 1, found the fixed size {found}")


def _check_tensor(tensor: Any, dtype: str, shapes: TensorShapes) -> None:
    found = tuple(tensor.shape)
    if tensor.type != f"tensor({dtype})" or not any(_fits(found, sizes_per_crop) for sizes_per_crop in shapes):
        expected = " or ".join(f"(N, {', '.join(map(str, sizes_per_crop))})" for sizes_per_crop in shapes)
        raise BundleError(
            f"{MODEL_FILE}: {tensor.name} should be {dtype} of shape {expected}, found {tensor.type} of shape {found}"
        )


def _fits(found: tuple[Any, ...], sizes_per_crop: tuple[int, ...]) -> bool:
    # A name in place of a number is a size that the exporter could not work out: the forward pass will tell.
    return len(found) == 1 + len(sizes_per_crop) and all(
        not isinstance(size, int) or size == expected for size, expected in zip(found[1:], sizes_per_crop, strict=True)
    )
