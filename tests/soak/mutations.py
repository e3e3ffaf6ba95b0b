"""Requests that were valid once: bodies of every kind with bits, bytes and lengths changed."""

import base64
import json
import random
from typing import NamedTuple

from tests.fakes import draw_discs, encode

BOUNDARY = "mutations"


class Body(NamedTuple):
    """A body and the content type that it once had."""

    content_type: str
    content: bytes


def valid_bodies() -> dict[str, Body]:
    """One body of every kind, by its name."""
    picture = draw_discs()
    png = encode(picture)
    bodies = {
        suffix: Body(f"image/{suffix}", encode(picture, f".{suffix}")) for suffix in ("jpeg", "png", "webp", "bmp")
    }
    bodies["multipart"] = Body(f"multipart/form-data; boundary={BOUNDARY}", _multipart([png], "[[35, 25, 71, 71]]"))
    fields = {"image": base64.b64encode(png).decode(), "boxes": [[35, 25, 71, 71]]}
    bodies["json"] = Body("application/json", json.dumps(fields).encode())
    return bodies


def valid_batches() -> dict[str, Body]:
    """Bodies for several pictures at once."""
    png = encode(draw_discs())
    image = {"image": base64.b64encode(png).decode(), "boxes": [[35, 25, 71, 71]]}
    return {
        "multipart batch": Body(
            f"multipart/form-data; boundary={BOUNDARY}", _multipart([png, png], "[[[35, 25, 71, 71]], null]")
        ),
        "json batch": Body("application/json", json.dumps({"images": [image, image]}).encode()),
    }


def _multipart(files: list[bytes], boxes: str) -> bytes:
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n%b\r\n'
        % (BOUNDARY.encode(), file)
        for file in files
    ]
    field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="boxes"\r\n\r\n{boxes}\r\n--{BOUNDARY}--\r\n'
    return b"".join(parts) + field.encode()


def mutate(content: bytes, chance: random.Random) -> bytes:
    """The same with one to eight changes."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        if not changed:
            break
        where = chance.randrange(len(changed))
        match chance.choice(("bit", "byte", "extreme", "cut", "drop", "repeat", "swap")):
            case "bit":
                changed[where] ^= 1 << chance.randrange(8)
            case "byte":
                changed[where] = chance.randrange(256)
            case "extreme":  # sizes and counts are made of these
                changed[where : where + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
            case "cut":
                del changed[where:]
            case "drop":
                del changed[where : where + chance.randint(1, 64)]
            case "repeat":
                changed[where:where] = changed[where : where + chance.randint(1, 64)] * chance.randint(1, 20)
            case "swap":
                other = chance.randrange(len(changed))
                changed[where], changed[other] = changed[other], changed[where]
    return bytes(changed)
