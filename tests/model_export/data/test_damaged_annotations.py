"""More than a thousand damaged data sets, over all formats: each ends in a DataError that names the file, or in a skip
with a count where that was asked for. Nothing else may escape.

A new format joins by its builder in `format_fixtures.py`.
"""

import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_export.data.checked_reading import read_checked
from model_export.data.readers import READERS, Reading
from model_export.errors import DataError
from tests.model_export.data.format_fixtures import FIXTURES as OTHER_FIXTURES
from tests.model_export.data.format_fixtures import Fixture
from tests.model_export.data.native_fixtures import NATIVE_FIXTURES

DAMAGED_SETS = 1_100
FIXTURES = OTHER_FIXTURES | NATIVE_FIXTURES
# One binary file holds labels and pictures: damage to it is seldom that of one object
# (`test_native_readers.py` has such cases).
ALL_IN_ONE = {"cofw", "deepposekit"}
PER_FIXTURE = DAMAGED_SETS // len(FIXTURES) + 1
# What stands in place of a number: wrong types, not finite, too large, too many or too few values.
STRANGE = (
    b"NaN",
    b"-inf",
    b"1e999",
    b"9" * 400,
    b"null",
    b'"x"',
    b"true",
    b"[]",
    b"{}",
    b"[1, [2]]",
    b"",
    b"-1",
    b"0x1",
)
TOKEN = re.compile(rb'-?\d+\.?\d*|"[^"]*"|[\w./]+')

Damage = Callable[[bytes, random.Random], bytes]


def _truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _strange_values(content: bytes, chance: random.Random) -> bytes:
    found = list(TOKEN.finditer(content))
    for match in sorted(chance.sample(found, min(len(found), chance.choice((1, 1, 3)))), key=lambda m: -m.start()):
        content = content[: match.start()] + chance.choice(STRANGE) + content[match.end() :]
    return content


def _without_a_part(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.randrange(1, 60) :]


def _part_twice(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[: start + chance.randrange(1, 60)] + content[start:]


def _flipped_bytes(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 4, 30))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _something_else(content: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (b"", b"\0" * 200, b"[]", b"{}", b"3", b"[[[[[[" * 300, b"a,b\n", content.decode("latin-1").encode("utf-16"))
    )


DAMAGES: tuple[Damage, ...] = (
    _truncated, _strange_values, _strange_values, _without_a_part, _part_twice, _flipped_bytes, _something_else,
)  # fmt: skip


def _damage(fixture: Fixture, chance: random.Random) -> Path:
    """Damage one file of the data set and return it: an annotation file, or now and then a picture."""
    pictures = [path for path in sorted(fixture.images.rglob("*")) if path.suffix == ".png"]
    if pictures and chance.random() < 0.1:
        path = chance.choice(pictures)
        if chance.random() < 0.5:
            path.unlink()
        else:
            path.write_bytes(_truncated(path.read_bytes()[:300], chance))
        return path
    path = chance.choice(fixture.damageable)
    if chance.random() < 0.02:
        path.unlink()
    else:
        path.write_bytes(chance.choice(DAMAGES)(path.read_bytes(), chance))
    return path


def _outcome(name: str, fixture: Fixture, damaged: Path, *, skip_bad: bool) -> str:
    """`read`, `skipped` or `refused`; every message must name the damaged file, or a picture that it names wrongly."""
    named = (damaged.name, str(fixture.annotations).partition("#")[0], str(fixture.images))
    result = _reading_or_error(name, fixture, skip_bad=skip_bad)
    for error in [result] if isinstance(result, DataError) else result.faults:
        assert any(text in str(error) for text in named), str(error)
        assert "\n" not in str(error)
    if isinstance(result, DataError):
        return "refused"
    _assert_usable(result, fixture.keypoint_count)
    assert skip_bad or not result.faults
    return "skipped" if result.faults else "read"


def _reading_or_error(name: str, fixture: Fixture, *, skip_bad: bool) -> Reading | DataError:
    data_format = name.partition(":")[0]
    try:
        return read_checked(data_format, fixture.annotations, fixture.images, fixture.keypoint_count, skip_bad=skip_bad)
    except DataError as error:
        return error


def _assert_usable(reading: Reading, keypoint_count: int) -> None:
    for sample in reading.samples:
        assert sample.points_in_image.shape == (keypoint_count, 2)
        assert np.isfinite(sample.points_in_image[sample.visible]).all()
        assert sample.box.width > 0
        assert sample.read_image().ndim == 3


def test_every_format_has_a_fixture() -> None:
    assert {name.partition(":")[0] for name in FIXTURES} == READERS.keys()
    assert PER_FIXTURE * len(FIXTURES) >= 1_000


@pytest.mark.parametrize("name", FIXTURES)
def test_a_fixture_is_read_whole(name: str, tmp_path: Path) -> None:
    fixture = FIXTURES[name](tmp_path)
    reading = read_checked(name.partition(":")[0], fixture.annotations, fixture.images, fixture.keypoint_count)
    assert len(reading.samples) >= 2
    assert len({sample.image_id for sample in reading.samples}) >= 2
    assert not reading.faults


@pytest.mark.parametrize("name", FIXTURES)
def test_damage_ends_in_an_error_that_names_the_file_or_in_a_counted_skip(name: str, tmp_path: Path) -> None:
    fixture = FIXTURES[name](tmp_path)
    sound = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    strict, lenient = Counter[str](), Counter[str]()
    for seed in range(PER_FIXTURE):
        damaged = _damage(fixture, random.Random(f"{name} {seed}"))
        strict[_outcome(name, fixture, damaged, skip_bad=False)] += 1
        lenient[_outcome(name, fixture, damaged, skip_bad=True)] += 1
        damaged.write_bytes(sound[damaged])
    # Some damage leaves a valid file (another digit); measured: 88 to 99 % of the sets are refused.
    assert strict["refused"] > PER_FIXTURE / 2, strict
    assert strict["skipped"] == 0
    if name not in ALL_IN_ONE:
        assert lenient["skipped"] > 0, lenient
        assert lenient["refused"] < strict["refused"]
