"""Distribution-aware decoding in torch, as `service.contract.dark_decoding` has it in NumPy.

N crops, K keypoints, h x w cells.
"""

import cv2
import torch
from torch.nn import functional

from model_export.heatmap_peak import positive_peak_cell, response
from service.contract.dark_decoding import DARK_FLOOR, SMALLEST_DETERMINANT, UDP_CEILING, UDP_DAMPING, UDP_FLOOR


def dark(heatmaps_NKhw: torch.Tensor, blur_kernel: int) -> torch.Tensor:
    """DARK as in its authors' code: places (N, K, 2) in heatmap cells."""
    height, width = heatmaps_NKhw.shape[2:]
    column, row = positive_peak_cell(heatmaps_NKhw)
    logs = smoothed(heatmaps_NKhw, blur_kernel).clamp_min(DARK_FLOOR).log()
    inner = (column > 1) & (column < width - 2) & (row > 1) & (row < height - 2)

    def at(dx: int, dy: int) -> torch.Tensor:
        return response(logs, column + dx, row + dy)

    step = _newton_step(
        dx=0.5 * (at(1, 0) - at(-1, 0)),
        dy=0.5 * (at(0, 1) - at(0, -1)),
        dxx=0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0)),
        dxy=0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)),
        dyy=0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2)),
    )
    return torch.stack([column, row], dim=-1) + torch.where(inner.unsqueeze(-1), step, torch.zeros_like(step))


def dark_udp(heatmaps_NKhw: torch.Tensor, blur_kernel: int) -> torch.Tensor:
    """DARK as mmpose's UDP codec has it: places (N, K, 2) in heatmap cells."""
    column, row = positive_peak_cell(heatmaps_NKhw)
    found = heatmaps_NKhw.amax(dim=(2, 3)) > 0
    logs = smoothed(heatmaps_NKhw, blur_kernel).clamp(UDP_FLOOR, UDP_CEILING).log()

    def at(dx: int, dy: int) -> torch.Tensor:
        return response(logs, column + dx, row + dy)

    step = _newton_step(
        dx=0.5 * (at(1, 0) - at(-1, 0)),
        dy=0.5 * (at(0, 1) - at(0, -1)),
        dxx=at(1, 0) - 2 * at(0, 0) + at(-1, 0) + UDP_DAMPING,
        dxy=0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)),
        dyy=at(0, 1) - 2 * at(0, 0) + at(0, -1) + UDP_DAMPING,
    )
    return torch.stack([column, row], dim=-1) + torch.where(found.unsqueeze(-1), step, torch.zeros_like(step))


def smoothed(heatmaps_NKhw: torch.Tensor, blur_kernel: int) -> torch.Tensor:
    """The maps blurred (zero outside) and scaled so that each has the maximum it had."""
    profile = heatmaps_NKhw.new_tensor(cv2.getGaussianKernel(blur_kernel, 0).ravel().tolist())
    reach = blur_kernel // 2
    single = heatmaps_NKhw.flatten(0, 1).unsqueeze(1)
    along_y = functional.conv2d(single, profile.view(1, 1, -1, 1), padding=(reach, 0))
    blurred = functional.conv2d(along_y, profile.view(1, 1, 1, -1), padding=(0, reach)).view_as(heatmaps_NKhw)
    highest = blurred.amax(dim=(2, 3), keepdim=True).clamp_min(DARK_FLOOR)
    return blurred * (heatmaps_NKhw.amax(dim=(2, 3), keepdim=True) / highest)


def _newton_step(
    dx: torch.Tensor, dy: torch.Tensor, dxx: torch.Tensor, dxy: torch.Tensor, dyy: torch.Tensor
) -> torch.Tensor:
    determinant = dxx * dyy - dxy.square()
    regular = determinant.abs() > SMALLEST_DETERMINANT
    divisor = torch.where(regular, determinant, torch.ones_like(determinant))
    step = torch.stack([(dxy * dy - dyy * dx) / divisor, (dxy * dx - dxx * dy) / divisor], dim=-1)
    return torch.where(regular.unsqueeze(-1), step, torch.zeros_like(step))
