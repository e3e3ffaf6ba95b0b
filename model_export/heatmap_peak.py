"""Where a heatmap is highest, and its responses around there: `service.contract.heatmap_peak` in torch."""

import torch


def peak_cell(heatmaps_NKhw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Column and row (N, K) of the greatest response."""
    width = heatmaps_NKhw.shape[3]
    peak = heatmaps_NKhw.flatten(2).argmax(dim=-1)
    return peak % width, torch.div(peak, width, rounding_mode="floor")


def positive_peak_cell(heatmaps_NKhw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As `peak_cell`, but (0, 0) where no response is above zero."""
    column, row = peak_cell(heatmaps_NKhw)
    found = heatmaps_NKhw.amax(dim=(2, 3)) > 0
    return column * found, row * found


def response(maps_NKhw: torch.Tensor, column: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """The values (N, K) in one cell of each map; a cell outside has the value of the nearest one inside."""
    height, width = maps_NKhw.shape[2:]
    cell = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    return maps_NKhw.flatten(2).gather(-1, cell.unsqueeze(-1)).squeeze(-1)
