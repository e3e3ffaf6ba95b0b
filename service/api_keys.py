"""API keys: kept as hashes, compared in constant time, each with a rate of its own."""

import hashlib
import hmac
import re
import secrets
import time
import tomllib
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.contract.bundle_manifest import describe_problems
from service.errors import InvalidSetting, Overloaded, Unauthorized

Filling = MutableSequence[float] | NDArray[np.float64]  # of two
Lock = Callable[[], AbstractContextManager[None]]

_PREFIX = "fp_"  # so that a key that leaks into a log or a commit can be found
_RANDOM_BYTES = 32
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class ApiKey(BaseModel):
    """One `[[key]]` of the file.

    Attributes:
        name: who has it; stands in the log.
        sha256: of the key. A key has 256 random bits, so that a slow hash would protect nothing more.
        images_per_second: what it may ask for on the average; without it there is no limit.
        burst: what it may ask for at once; by default the images of one second, one at least.
        admin: whether it may change which models are served.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    images_per_second: Annotated[float, Field(gt=0)] | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    admin: bool = False


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: tuple[ApiKey, ...]


def new_key() -> tuple[str, str]:
    """A new key, to be shown once, and its hash, to be kept."""
    key = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return key, _sha256(key)


def read_key_file(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a TOML file of `[[key]]` tables.

    Raises:
        InvalidSetting: it cannot be read, is not valid, holds no key, or holds a name or hash twice.
    """
    try:
        keys = _KeyFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).key
    except OSError as error:
        raise InvalidSetting(f"API key file {path} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"API key file {path} is not valid TOML ({error})") from error
    except ValidationError as error:
        raise InvalidSetting(f"API key file {path}: {describe_problems(error)}") from error
    if not keys:
        raise InvalidSetting(f"API key file {path}: expected at least one [[key]], found none")
    for what, values in (("name", [key.name for key in keys]), ("sha256", [key.sha256 for key in keys])):
        if len(set(values)) < len(values):
            raise InvalidSetting(f"API key file {path}: expected each {what} once")
    return keys


def burst_of(key: ApiKey) -> float:
    """What a key may ask for at once."""
    return key.burst or max(1.0, key.images_per_second or 1.0)


class KeyRing:
    """The keys of a server; for one event loop.

    Args:
        keys: one at least.
        clock: seconds.
        fillings: tokens, and when they were counted, for each key; None for full ones of this ring's own.
        lock: gives what is held while tokens are counted, where others count the same ones.
    """

    def __init__(
        self,
        keys: Sequence[ApiKey],
        clock: Callable[[], float] = time.monotonic,
        fillings: Iterable[Filling] | None = None,
        lock: Lock = nullcontext,
    ) -> None:
        fillings = fillings if fillings is not None else [[burst_of(key), clock()] for key in keys]
        self._buckets = {
            key.sha256: TokenBucket(key, clock, filling, lock) for key, filling in zip(keys, fillings, strict=True)
        }

    def identify(self, authorization: str) -> "TokenBucket":
        """The bucket of the key in an `Authorization` header.

        Raises:
            Unauthorized: there is no key in it, or none of these.
        """
        bearer = _BEARER.fullmatch(authorization)
        if not bearer:
            found = "another scheme" if authorization else "none"
            raise Unauthorized(f"expected the header Authorization: Bearer KEY, found {found}")
        sha256_found = _sha256(bearer[1])
        known = None
        for sha256, bucket in self._buckets.items():  # all of them, always: the time says nothing of the key
            if hmac.compare_digest(sha256, sha256_found):
                known = bucket
        if known is None:
            raise Unauthorized("this server does not know the API key")
        return known


class TokenBucket:
    """A key and what it may still ask for: tokens come back at the key's rate, up to its burst."""

    def __init__(
        self,
        key: ApiKey,
        clock: Callable[[], float],
        filling: Filling,
        lock: Lock,
    ) -> None:
        self.name = key.name
        self.admin = key.admin
        self._rate = key.images_per_second
        self._burst = burst_of(key)
        self._clock = clock
        self._filling = filling
        self._lock = lock

    def take(self, images: int) -> None:
        """Count images against the rate.

        A request of more images than the burst is let in when the bucket is full, and leaves it in debt.

        Raises:
            Overloaded: too many at once.
        """
        self._take(images, given_back=0)

    def take_in_place_of_one(self, images: int) -> None:
        """Count images for a request that was counted as one before it was known how many it brings.

        Raises:
            Overloaded: too many at once; then none of them is counted.
        """
        self._take(images, given_back=1)

    def _take(self, images: int, given_back: int) -> None:
        if self._rate is None:
            return
        with self._lock():
            now = self._clock()
            tokens, counted = self._filling
            tokens = min(self._burst, float(tokens) + given_back + (now - float(counted)) * self._rate)
            needed = min(float(images), self._burst)
            enough = tokens >= needed
            self._filling[:] = tokens - images if enough else tokens, now
        if not enough:
            raise Overloaded(
                f"the API key {self.name} may send {self._rate:g} images per second",
                (needed - tokens) / self._rate,
                "key_rate",
            )


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
