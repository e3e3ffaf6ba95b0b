"""The bundle manifest: everything that a client or a server must know of a model, beside its ONNX file."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from service.contract.crop_transform import Box, CropTransform, ImageHW3
from service.contract.keypoint_codec import KeypointCodec
from service.contract.manifest_record import ManifestRecord
from service.contract.model_input import CropInput
from service.contract.model_output import OUTPUT_KINDS, CodecOutput, CoordinateOutput, HeatmapOutput, ModelOutput

MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"

KeypointIndex = Annotated[int, Field(ge=0)]
IndexPair = tuple[KeypointIndex, KeypointIndex]


class BundleError(Exception):
    """A bundle that cannot be used; the message names the file, what was expected and what was found."""


class Keypoints(ManifestRecord):
    """The keypoints in the order of every answer; edges and pairs are indices into `names`."""

    names: tuple[str, ...] = Field(min_length=1)
    skeleton: tuple[IndexPair, ...] = ()
    flip_pairs: tuple[IndexPair, ...] = ()
    oks_sigmas: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _indices_exist(self) -> Self:
        count = len(self.names)
        if len(set(self.names)) != count:
            raise ValueError("keypoint names must differ from each other")
        for pair in (*self.skeleton, *self.flip_pairs):
            if max(pair) >= count:
                raise ValueError(f"pair {list(pair)} names a keypoint beyond the {count} there are")
        paired = [index for pair in self.flip_pairs for index in pair]
        if len(set(paired)) != len(paired):
            raise ValueError("a keypoint stands in two flip pairs")
        if self.oks_sigmas is not None and len(self.oks_sigmas) != count:
            raise ValueError(f"{len(self.oks_sigmas)} OKS sigmas for {count} keypoints")
        return self


class Licence(ManifestRecord):
    """Under what terms the weights are offered; the text is the bundle's LICENSE."""

    name: str
    summary: str
    research_only: bool


class Accuracy(ManifestRecord):
    """One measured figure, with the convention it was measured in."""

    metric: str
    value: float
    unit: str
    convention: str
    box_protocol: str
    data: str


_MEASURES = {
    "decoded": "heatmaps times stride",
    "heatmaps": "heatmaps times stride",
    "simcc": "bins over split_ratio",
}


class BundleManifest(ManifestRecord):
    """`manifest.json` of a bundle folder."""

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]*$")
    description: str
    intended_use: str = ""
    keypoints: Keypoints
    input: CropInput
    output: ModelOutput
    licence: Licence
    training: dict[str, Any] = Field(default_factory=dict, description="recipe and data; for people, not for code")
    accuracy: tuple[Accuracy, ...] = ()
    sha256: dict[str, str] = Field(description="file name in the bundle -> SHA-256 of its bytes, in hexadecimal")

    @model_validator(mode="after")
    def _crop_and_output_fit(self) -> Self:
        if isinstance(self.output, CoordinateOutput):
            return self
        width, height = self.output.crop_size
        if width != self.input.width or height != self.input.height:
            raise ValueError(
                f"output's {_MEASURES[self.output.kind]} are {width:g} x {height:g} pixels, "
                f"expected the crop's {self.input.width} x {self.input.height}"
            )
        return self

    @property
    def heatmaps(self) -> CodecOutput | HeatmapOutput:
        """What the manifest says of its heatmaps.

        Raises:
            BundleError: it has none.
        """
        if not isinstance(self.output, CodecOutput | HeatmapOutput):
            raise BundleError(f"{self.name}: expected an output kind with heatmaps, found {self.output.kind}")
        return self.output

    @property
    def codec(self) -> KeypointCodec:
        """The codec of this bundle's heatmaps.

        Raises:
            BundleError: it has none.
        """
        return self.heatmaps.codec

    def crop_transform(self, box: Box) -> CropTransform:
        """The crop that this model expects for a box in image pixels."""
        return self.input.transform(box, self.input.padding)

    def whole_image_transform(self, image: ImageHW3) -> CropTransform:
        """The crop that shows a whole picture (H, W, 3): no padding, for there is nothing around it to show."""
        return self.input.transform(Box.of_image(image), padding=1.0)

    @classmethod
    def load(cls, bundle: Path) -> Self:
        """Read and validate the manifest of a bundle folder; the files are checked by `verify`.

        Raises:
            BundleError: there is no manifest, or it is not valid.
        """
        path = bundle / MANIFEST_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{bundle} is not a bundle: {MANIFEST_FILE} cannot be read ({error})") from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise BundleError(f"{path}: {describe_problems(error, OUTPUT_KINDS)}") from error

    def verify(self, bundle: Path) -> None:
        """Compare every file that the manifest names with its SHA-256.

        Raises:
            BundleError: a file is missing or differs, or the manifest does not name the model file.
        """
        if MODEL_FILE not in self.sha256:
            raise BundleError(f"{bundle / MANIFEST_FILE}: sha256 does not name {MODEL_FILE}")
        for name in self.sha256:
            self.verify_file(bundle, name)

    def verify_file(self, bundle: Path, name: str) -> None:
        """Compare one file that the manifest names with its SHA-256.

        Raises:
            BundleError: it is missing or differs.
        """
        expected = self.sha256[name]
        try:
            found = file_sha256(bundle / name)
        except OSError as error:
            raise BundleError(f"{bundle / name}: named in the manifest but cannot be read ({error})") from error
        if found != expected:
            raise BundleError(f"{bundle / name}: SHA-256 is {found}, the manifest says {expected}")

    def save(self, bundle: Path) -> None:
        """Write the manifest into a bundle folder, aside first and then renamed."""
        partial = bundle / f"{MANIFEST_FILE}.partial"
        partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(bundle / MANIFEST_FILE)


def describe_problems(error: ValidationError, union_tags: Collection[str] = ()) -> str:
    """All that is wrong with a file's values, in one line: each key, what was expected and what was found.

    `union_tags` stand in pydantic's locations of problems but are no keys of the file.
    """
    return "; ".join(_describe_problem(problem, union_tags) for problem in error.errors())


def _describe_problem(problem: ErrorDetails, union_tags: Collection[str]) -> str:
    key = ".".join(str(part) for part in problem["loc"] if part not in union_tags)
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}"
    if problem["type"] == "missing":
        return f"missing key {key}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message}, found {problem['input']!r}" if key else message


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
