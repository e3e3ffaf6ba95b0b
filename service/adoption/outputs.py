"""Which of a graph's outputs holds what: told by their shapes, by MMDeploy's names, or by `--output-tensor`.

K keypoints, h x w cells of a heatmap, W x H pixels of the crop; shapes are those for one crop, without the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from service.adoption.facts import Fact, Facts, facts_from
from service.adoption.onnx_tensors import Size
from service.adoption.questions import ask_for
from service.errors import StartupError

Shapes = Mapping[str, tuple[int, ...]]

_USUAL_SPLIT_RATIO = 2.0  # of RTMPose; only rows that fit it are taken


class Outputs:
    """The outputs of a file, and what is said of them.

    Args:
        file: for messages.
        shapes: by name, for one crop.
        size: width and height of the crop.
        given: names by `--output-tensor`, in the order of the kind.
        renamed: the graph's names -> MMDeploy's.
    """

    def __init__(
        self, file: Path, shapes: Shapes, size: Size, given: Sequence[str], renamed: Mapping[str, str]
    ) -> None:
        unknown = [name for name in given if name not in shapes]
        if unknown:
            raise StartupError(f"--output-tensor {unknown[0]}: {file.name} has the outputs {', '.join(shapes)}")
        self.file, self.shapes, self.size, self._given = file, shapes, size, given
        self._by_mmdeploy = {renamed.get(name, name): name for name in shapes}

    def shape_of(self, mmdeploy_name: str) -> tuple[int, ...]:
        """The shape of the output with that name of MMDeploy's; empty where there is none."""
        return self.shapes.get(self._by_mmdeploy.get(mmdeploy_name, ""), ())

    def choose(self, position: int, fits: Callable[[tuple[int, ...]], bool], mmdeploy_name: str = "") -> Fact | None:
        """The output that holds something; None where none fits.

        Args:
            position: among those of `--output-tensor`.
            fits: whether a shape may be it.
            mmdeploy_name: what MMDeploy calls it.

        Raises:
            InvalidSetting: several fit.
        """
        if position < len(self._given):
            return Fact(self._given[position], "given by --output-tensor")
        if fits(self.shape_of(mmdeploy_name)):
            return Fact(self._by_mmdeploy[mmdeploy_name], "read from the graph by its name")
        fitting = [name for name, shape in self.shapes.items() if fits(shape)]
        if len(fitting) > 1:
            raise ask_for(self.file, ["output_tensor"])
        return Fact(fitting[0], "read from the graph by its shape") if fitting else None

    def missing(self, expected: str) -> StartupError:
        """The sentence for an output that is not there."""
        found = ", ".join(f"{name} {['N', *shape]}" for name, shape in self.shapes.items())
        return StartupError(f"{self.file.name}: expected an output of {expected}, found {found}")


Choice = tuple[dict[str, Fact], int]


def heatmap_output(outputs: Outputs) -> Choice:
    """Heatmaps [N, K, h, w], and K.

    Raises:
        StartupError: there are none, or the crop is not a whole multiple of them.
    """
    tensor = outputs.choose(0, lambda shape: len(shape) == 3, "output")
    if tensor is None or len(outputs.shapes[tensor.value]) != 3:
        raise outputs.missing("heatmaps [N, K, h, w]")
    K, height, width = outputs.shapes[tensor.value]
    crop_width, crop_height = outputs.size
    stride = crop_width // width
    if (width * stride, height * stride) != (crop_width, crop_height):
        raise StartupError(
            f"{outputs.file.name}: expected heatmaps that the crop of {crop_width} x {crop_height} is a whole multiple "
            f"of, found {width} x {height}"
        )
    values = {"heatmap_width": width, "heatmap_height": height, "stride": stride}
    return {"heatmaps_tensor": tensor} | facts_from("read from the graph", values), K


def simcc_output(outputs: Outputs, said_ratio: Fact | None) -> Choice:
    """Rows [N, K, bins] along x and y, and K.

    Raises:
        StartupError: there are none, or they have not as many bins for each pixel as is said.
    """
    width, height = outputs.size
    named = outputs.shape_of("simcc_x")
    read = Fact(named[1] / width if len(named) == 2 else _USUAL_SPLIT_RATIO, "read from the graph")
    ratio = said_ratio or read

    def row_of(position: int, side: int, mmdeploy_name: str) -> Fact:
        bins = side * ratio.value
        found = outputs.choose(position, lambda shape: len(shape) == 2 and shape[1] == bins, mmdeploy_name)
        if found is None or outputs.shapes[found.value][1:] != (bins,):
            raise outputs.missing(f"SimCC rows [N, K, {bins:g}] for {side} pixels")
        return found

    x, y = row_of(0, width, "simcc_x"), row_of(1, height, "simcc_y")
    (K, bins_x), (_, bins_y) = outputs.shapes[x.value], outputs.shapes[y.value]
    bins_read = facts_from("read from the graph", {"bins_x": bins_x, "bins_y": bins_y})
    return {"x_tensor": x, "y_tensor": y} | bins_read | {"split_ratio": ratio}, K


def coordinate_output(outputs: Outputs) -> Choice:
    """Places [N, K, 2 or 3], scores if they stand apart, and K.

    Raises:
        StartupError: there are no places.
    """
    places = outputs.choose(0, lambda shape: len(shape) == 2 and shape[1] in (2, 3))
    if places is None or len(outputs.shapes[places.value]) != 2:
        raise outputs.missing("coordinates [N, K, 2] or [N, K, 3]")
    K, components = outputs.shapes[places.value]
    found = {"keypoints_tensor": places} | facts_from("read from the graph", {"components": components})
    scores = outputs.choose(1, lambda shape: shape in ((K,), (K, 1))) if components == 2 else None
    if scores is not None:
        return found | {"scores_tensor": scores}, K
    return found, K


OUTPUTS: dict[str, Callable[[Outputs, Facts], Choice]] = {
    "heatmaps": lambda outputs, _: heatmap_output(outputs),
    "simcc": lambda outputs, facts: simcc_output(outputs, facts.get("split_ratio")),
    "coordinates": lambda outputs, _: coordinate_output(outputs),
}
