"""The plain pipeline that the service is measured against: its own building blocks, without HTTP, queues or asyncio.

Threads take pictures in turn; each decodes one, or a group of them, cuts the crops, runs the model on all crops of the
group at once, and takes the points back to the picture: everything that the service does between two sockets, and with
nobody to wait for. N crops of H x W pixels, K keypoints.
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmark_pictures import Picture
from numpy.typing import NDArray

from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import Box, CropTransform
from service.engine import EngineOutput
from service.image_decoding import decode_image
from service.input_preparation import InputPreparation
from service.onnx_engine import create_session
from service.output_decoding import output_reading
from service.settings import Settings

MAX_PIXELS = Settings.model_fields["max_pixels"].default
LARGEST_BATCH = Settings.model_fields["max_batch"].default

Points = NDArray[np.float64]
Look = Callable[[Sequence[NDArray[np.uint8]]], list[NDArray[np.float32]]]


class Throughput(NamedTuple):
    """What a pipeline did in some seconds."""

    images: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Images per second."""
        return self.images / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of this process per image."""
        return 1000 * self.cpu_seconds / self.images


def session_look(manifest: BundleManifest, session: Any) -> Look:
    """The model on some crops, for one thread: a session may be shared, the arrays around it may not."""
    prepare, reading, name = InputPreparation(manifest.input), output_reading(manifest), manifest.input.tensor
    slots_NHW3 = np.zeros((LARGEST_BATCH, manifest.input.height, manifest.input.width, 3), np.uint8)

    def run(crops: Sequence[NDArray[np.uint8]]) -> EngineOutput:
        if len(crops) == 1:
            return reading.decode(session.run(reading.tensors, {name: prepare(crops[0][None])}))
        for slot, crop in zip(slots_NHW3, crops, strict=False):
            slot[...] = crop
        return reading.decode(session.run(reading.tensors, {name: prepare(slots_NHW3[: len(crops)])}))

    def look(crops: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        points: list[NDArray[np.float32]] = []
        for start in range(0, len(crops), LARGEST_BATCH):
            points.extend(run(crops[start : start + LARGEST_BATCH]).points_in_crop_NK2)
        return points

    return look


def estimate_group(manifest: BundleManifest, look: Look, pictures: Sequence[Picture]) -> list[list[Points]]:
    """Keypoints (K, 2) in image pixels of each box of each picture; without boxes in two passes, as the service."""
    images = [decode_image(picture.data, MAX_PIXELS) for picture in pictures]
    boxes = [[Box(*box) for box in picture.boxes] for picture in pictures]
    unboxed = [index for index, some in enumerate(boxes) if not some]
    if unboxed:
        whole = [manifest.whole_image_transform(images[index]) for index in unboxed]
        coarse = look([transform.extract(images[index]) for transform, index in zip(whole, unboxed, strict=True)])
        for index, transform, points_in_crop in zip(unboxed, whole, coarse, strict=True):
            boxes[index] = [Box.around(transform.to_image(points_in_crop))]
    transforms: list[list[CropTransform]] = [[manifest.crop_transform(box) for box in some] for some in boxes]
    crops = [one.extract(image) for some, image in zip(transforms, images, strict=True) for one in some]
    found = iter(look(crops))
    return [[transform.to_image(next(found)) for transform in some] for some in transforms]


class InProcessPipeline:
    """One arrangement of threads; `measure` may be called again and again.

    Args:
        bundle: folder of a bundle.
        threads: that decode, crop and run the model.
        group: pictures that a thread works on at a time.
        intra_op_threads: of one forward pass.
    """

    def __init__(self, bundle: Path, threads: int, group: int, intra_op_threads: int) -> None:
        self.manifest = BundleManifest.load(bundle)
        self._group = group
        session = create_session(bundle / MODEL_FILE, "cpu", intra_op_threads)
        self._looks = [session_look(self.manifest, session) for _ in range(threads)]

    def answers(self, picture: Picture) -> list[tuple[list[list[float]], float]]:
        """For each box of a picture its keypoints in image pixels, and crop pixels per image pixel."""
        (found,) = estimate_group(self.manifest, self._looks[0], [picture])
        boxes = [Box(*box) for box in picture.boxes] or [Box.around(points) for points in found]
        scales = [self.manifest.crop_transform(box).scale for box in boxes]
        return [(points.tolist(), scale) for points, scale in zip(found, scales, strict=True)]

    def measure(self, pictures: Sequence[Picture], seconds: float) -> Throughput:
        """Work on the pictures in turn for some seconds; what is begun is finished and counted."""
        counts, tickets = [0] * len(self._looks), itertools.count()

        def work(thread: int, look: Look) -> None:
            while time.perf_counter() < end:
                first = next(tickets) * self._group
                group = [pictures[(first + index) % len(pictures)] for index in range(self._group)]
                estimate_group(self.manifest, look, group)
                counts[thread] += len(group)

        threads = [threading.Thread(target=work, args=both) for both in enumerate(self._looks)]
        cpu, started = time.process_time(), time.perf_counter()
        end = started + seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Throughput(sum(counts), time.perf_counter() - started, time.process_time() - cpu)

    def latencies_ms(self, pictures: Sequence[Picture], seconds: float) -> list[float]:
        """How long each picture takes, one after the other, in this thread."""
        latencies: list[float] = []
        end = time.perf_counter() + seconds
        for picture in itertools.cycle(pictures):
            started = time.perf_counter()
            if started >= end and latencies:
                break
            estimate_group(self.manifest, self._looks[0], [picture])
            latencies.append(1000 * (time.perf_counter() - started))
        return latencies


def crops_per_second(bundle: Path, batch: int, threads: int, intra_op_threads: int, seconds: float) -> float:
    """Bare `session.run` on crops that are ready, all outputs of the service fetched: what the model alone can do."""
    manifest = BundleManifest.load(bundle)
    session = create_session(bundle / MODEL_FILE, "cpu", intra_op_threads)
    reading = output_reading(manifest)
    crops = np.random.default_rng(0).integers(0, 256, (batch, manifest.input.height, manifest.input.width, 3), np.uint8)
    tensor = {manifest.input.tensor: InputPreparation(manifest.input)(crops)}
    counts = [0] * threads
    session.run(reading.tensors, tensor)

    def work(thread: int) -> None:
        while time.perf_counter() < end:
            session.run(reading.tensors, tensor)
            counts[thread] += batch

    started = time.perf_counter()
    end = started + seconds
    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - started)
