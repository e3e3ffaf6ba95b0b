"""Boxes as the classical top-down codebases (Simple Baselines, HRNet) read them from annotations.

They are meant for the warp `top_down` with a padding of 1.25, which makes the originals' crop of them.
"""

from service.contract.crop_transform import Box

_PIXELS_PER_SCALE = 200.0
_SHIFT_PER_SCALE = 15.0


def coco_clean_box(x: float, y: float, width: float, height: float, image_width: int, image_height: int) -> Box | None:
    """COCO's `bbox` clipped to the picture, one pixel narrower and lower than it says; None where nothing is left.

    The corners are max(0, x), max(0, y) and the lesser of the picture's last pixel and that corner plus width - 1
    (height - 1), and the size is their difference. (The originals keep a box of width or height 0, which has no place
    here.) mmpose clips without the minus one.
    """
    left, top = max(0.0, x), max(0.0, y)
    right = min(image_width - 1.0, left + max(0.0, width - 1.0))
    bottom = min(image_height - 1.0, top + max(0.0, height - 1.0))
    if right <= left or bottom <= top:
        return None
    return Box(left, top, right - left, bottom - top)


def mpii_box(centre: tuple[float, float], scale: float) -> Box:
    """The square that MPII's `center` and `scale` describe, moved down so that it cuts no feet off.

    The order is the original's: first the centre moves down by 15 pixels per scale, then one is taken off both
    coordinates, for MPII counts pixels from one. The side is 200 pixels per scale; the factor 1.25 is the crop's
    padding. The original turns the square into the crop by its width alone; so does this for crops that are square or
    upright.

    Args:
        centre: x, y as annotated, counted from one.
        scale: as annotated, above zero.

    Raises:
        ValueError: the numbers make no box, such as the -1 of an object that is not annotated.
    """
    if scale <= 0 or centre[0] == -1:
        raise ValueError(f"expected a centre and a scale above zero, found {centre} and {scale:g}")
    side = _PIXELS_PER_SCALE * scale
    middle_x, middle_y = centre[0], centre[1] + _SHIFT_PER_SCALE * scale
    middle_x, middle_y = middle_x - 1, middle_y - 1
    return Box(middle_x - side / 2, middle_y - side / 2, side, side)
