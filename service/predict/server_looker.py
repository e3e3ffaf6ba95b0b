"""Keypoints by a Focalpoint server, several requests at a time."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import numpy as np

from service.client import (
    Answer,
    AsyncClient,
    ClientError,
    ConnectionFailed,
    DeadlineExceeded,
    RequestRefused,
    RetryPolicy,
    ServerOverloaded,
)
from service.contract.bundle_manifest import MODEL_FILE, Keypoints
from service.contract.crop_transform import Box
from service.errors import (
    InvalidParameter,
    InvalidSetting,
    RequestError,
    StartupError,
    TooLarge,
    UnprocessableImage,
    UnsupportedMediaType,
)
from service.pipeline import Estimate, Instance
from service.predict.frames import Picture
from service.predict.lookers import Looker, LookingModel

# Whoever mistyped the address wants to hear it at once.
_FIRST_CONTACT_MS = 3_000
# Afterwards nobody waits for a single answer: an overloaded server, or one that starts anew, is waited for.
_DEADLINE_MS = 600_000
_PATIENT: Final = RetryPolicy(max_tries=50)
_OF_THE_PICTURE: dict[str, type[RequestError]] = {
    error.slug: error for error in (UnprocessableImage, UnsupportedMediaType, InvalidParameter, TooLarge)
}


@asynccontextmanager
async def server_looker(
    url: str, api_key: str | None, model: str | None, tell: Callable[[str], None]
) -> AsyncIterator[Looker]:
    """A server's model: picture files are sent as they are, frames of videos as PNG.

    Args:
        url: of the server.
        api_key: for it, where it asks for one.
        model: name of one of its models; None: the only one.
        tell: called with a line when a server that has answered does so no longer and is waited for.

    Raises:
        InvalidSetting: the address is none, or the server has several models.
        StartupError: the server does not answer, or not as it should.
    """
    try:
        client = AsyncClient(url, api_key=api_key, deadline_ms=_FIRST_CONTACT_MS)
        patient = AsyncClient(url, api_key=api_key, deadline_ms=_DEADLINE_MS, retry=_PATIENT)
    except ValueError as error:
        raise InvalidSetting(f"--url: {error}") from error
    async with client, patient:
        looking = await _describe(client, url, model)
        waiting = False

        async def ask(asked: AsyncClient, picture: Picture, boxes: Sequence[Box]) -> Answer:
            numbers = np.array([[box.x, box.y, box.width, box.height] for box in boxes]) if boxes else None
            return await asked.keypoints(
                picture, numbers, model=looking.name, version=looking.version, deadline_ms=_DEADLINE_MS
            )

        async def wait_for(picture: Picture, boxes: Sequence[Box], failure: ClientError) -> Answer:
            nonlocal waiting
            if not waiting:  # one line for all that are under way
                waiting = True
                tell(f"focalpoint: waiting up to {_DEADLINE_MS // 60_000} minutes for the server: {failure}")
            try:
                return await ask(patient, picture, boxes)
            finally:
                waiting = False

        async def look(picture: Picture, boxes: Sequence[Box]) -> Estimate:
            try:
                try:
                    answer = await ask(client, picture, boxes)
                except (ConnectionFailed, ServerOverloaded) as failure:
                    answer = await wait_for(picture, boxes, failure)
            except RequestRefused as error:
                raise _OF_THE_PICTURE.get(error.type, StartupError)(error.detail) from error
            except ClientError as error:
                raise StartupError(f"--url {url}: {error}") from error
            if answer.sha256 != looking.sha256:
                raise StartupError(
                    f"--url {url}: the server's {looking.name} {looking.version} was replaced by another"
                )
            return _estimate(answer)

        yield Looker(looking, look)


async def _describe(client: AsyncClient, url: str, name: str | None) -> LookingModel:
    try:
        if name is None:
            names = sorted({model.name for model in await client.models()})
            if len(names) > 1:
                raise InvalidSetting(f"--model: expected one of those that {url} serves: {', '.join(names)}")
            [name] = names
        found = await client.model(name)
    except (ConnectionFailed, DeadlineExceeded) as error:
        why = str(error.__cause__ or "") or "no answer"  # a timeout may say nothing
        raise StartupError(
            f"--url {url}: expected a Focalpoint server that answers within {_FIRST_CONTACT_MS // 1000} s, found none "
            f"({why})"
        ) from error
    except ClientError as error:
        raise StartupError(f"--url {url}: {error}") from error
    keypoints = Keypoints(
        names=found.keypoint_names,
        skeleton=found.skeleton,
        flip_pairs=found.flip_pairs,
        oks_sigmas=found.oks_sigmas,
    )
    return LookingModel(found.name, found.version, found.sha256.get(MODEL_FILE, ""), keypoints)


def _estimate(answer: Answer) -> Estimate:
    instances = [
        Instance(Box(*one.box.tolist()), one.keypoints, one.scores.astype(np.float32)) for one in answer.instances
    ]
    return Estimate(answer.width, answer.height, instances)
