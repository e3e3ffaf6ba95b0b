"""Who finds the keypoints: a bundle in this process, or a server."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from service.app import batch_limits
from service.contract.bundle_manifest import Keypoints
from service.contract.crop_transform import Box
from service.in_process import in_process
from service.loaded_model import ModelIdentity
from service.model_loading import load_model
from service.model_threads import model_threads
from service.pipeline import Estimate
from service.predict.frames import Picture
from service.request_record import RequestRecord
from service.settings import Settings


class LookingModel(NamedTuple):
    """What is known of the model: `sha256` is that of its graph."""

    name: str
    version: str
    sha256: str
    keypoints: Keypoints


class Looker(NamedTuple):
    """A model and the way to it.

    Attributes:
        model: which one.
        look: what it finds in a picture, given boxes or, without any, in the whole of it. Raises UnprocessableImage,
            UnsupportedMediaType, InvalidParameter or TooLarge for what is wrong with the picture or its boxes.
    """

    model: LookingModel
    look: Callable[[Picture, Sequence[Box]], Awaitable[Estimate]]


OpenLooker = Callable[[], AbstractAsyncContextManager[Looker]]


@asynccontextmanager
async def bundle_looker(settings: Settings, in_flight: int) -> AsyncIterator[Looker]:
    """The bundle of the settings, by the server's own pipeline: crops of several frames share a forward pass.

    Args:
        settings: which bundle, where it runs, and the limits of pictures.
        in_flight: the most frames at a time.

    Raises:
        BundleError, StartupError: the model cannot be loaded.
    """
    engine = load_model(settings.model, settings.provider, model_threads(settings).intra_op_threads)
    # Nobody waits for an answer here: a batch may take as long as it takes.
    limits = batch_limits(settings)._replace(max_queue=in_flight * settings.max_boxes, stuck_seconds=math.inf)
    identity = ModelIdentity.of_manifest(engine.manifest)
    with in_process(settings, engine, limits) as (pipeline, model):

        async def look(picture: Picture, boxes: Sequence[Box]) -> Estimate:
            if isinstance(picture, bytes):
                return await pipeline.estimate(model, picture, boxes, RequestRecord(""))
            return await pipeline.estimate_decoded(model, picture, boxes, RequestRecord(""))

        yield Looker(LookingModel(*identity, engine.manifest.keypoints), look)
