"""API keys: what is kept, who is let in, and how often."""

import hashlib
from pathlib import Path

import pytest

from service.api_keys import ApiKey, KeyRing, new_key, read_key_file
from service.errors import InvalidSetting, Overloaded, Unauthorized
from tests.service.test_admission import Clock


def test_a_new_key_is_random_and_only_its_hash_is_kept() -> None:
    (key, sha256), (other, _) = new_key(), new_key()
    assert key != other
    assert len(key) > 40
    assert hashlib.sha256(key.encode()).hexdigest() == sha256


def test_a_ring_knows_its_keys() -> None:
    (key, sha256), (other, other_sha256) = new_key(), new_key()
    ring = KeyRing([ApiKey(name="one", sha256=sha256), ApiKey(name="two", sha256=other_sha256)])
    assert ring.identify(f"Bearer {key}").name == "one"
    assert ring.identify(f"bearer  {other} ").name == "two"
    for authorization in ("", key, f"Basic {key}", "Bearer ", f"Bearer {key[:-1]}", f"Bearer {sha256}", "Bearer é"):
        with pytest.raises(Unauthorized) as refused:
            ring.identify(authorization)
        assert key not in str(refused.value)
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="focalpoint"'}


def test_a_rate_is_a_burst_and_then_a_pace() -> None:
    clock = Clock()
    key, sha256 = new_key()
    ring = KeyRing([ApiKey(name="one", sha256=sha256, images_per_second=2, burst=4)], clock)
    take = ring.identify(f"Bearer {key}").take
    take(3)
    take(1)
    with pytest.raises(Overloaded, match="the API key one may send 2 images per second") as refused:
        take(1)
    assert refused.value.members == {"retry_after_ms": 500}
    assert refused.value.reason == "overloaded_key_rate"
    clock.now += 0.5
    take(1)
    clock.now += 100
    take(6)  # more than a burst: let in from a full bucket, and paid for afterwards
    clock.now += 1
    with pytest.raises(Overloaded):
        take(1)
    clock.now += 0.5
    take(1)


def test_a_batch_is_counted_once_it_is_known_how_many_it_brings() -> None:
    clock = Clock()
    key, sha256 = new_key()
    bucket = KeyRing([ApiKey(name="one", sha256=sha256, images_per_second=1)], clock).identify(f"Bearer {key}")
    bucket.take(1)
    bucket.take_in_place_of_one(32)  # more than a burst, from a full bucket
    clock.now += 31
    with pytest.raises(Overloaded):
        bucket.take(1)
    clock.now += 1
    bucket.take(1)
    clock.now += 0.5
    with pytest.raises(Overloaded):
        bucket.take(1)


def test_without_a_rate_there_is_no_limit() -> None:
    key, sha256 = new_key()
    take = KeyRing([ApiKey(name="one", sha256=sha256)]).identify(f"Bearer {key}").take
    for _ in range(1000):
        take(1000)


HASH = "0" * 64


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("key =", "is not valid TOML"),
        ("\xff", "is not valid TOML"),
        ("", "missing key key"),
        ("key = []", r"expected at least one \[\[key\]\], found none"),
        (f'[[key]]\nname = "a"\nsha256 = "{HASH[1:]}"', "sha256"),
        (f'[[key]]\nname = "a b"\nsha256 = "{HASH}"', "name"),
        (f'[[key]]\nname = "a"\nsha256 = "{HASH}"\nimages_per_second = 0', "images_per_second"),
        (f'[[key]]\nname = "a"\nsha256 = "{HASH}"\nrate = 1', "rate"),
        (f'[[key]]\nname = "a"\nsha256 = "{HASH}"\n' * 2, "expected each name once"),
        (
            f'[[key]]\nname = "a"\nsha256 = "{HASH}"\n[[key]]\nname = "b"\nsha256 = "{HASH}"',
            "expected each sha256 once",
        ),
    ],
)
def test_a_key_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InvalidSetting, match=f"(?s)API key file .*{sentence}"):
        read_key_file(path)


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"nowhere\.toml cannot be read"):
        read_key_file(tmp_path / "nowhere.toml")
