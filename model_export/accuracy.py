"""What a bundle's manifest says of its accuracy."""

import math

from model_export.evaluate import Report
from service.contract.bundle_manifest import Accuracy

_DECIMALS = 5


def accuracy_entries(report: Report) -> tuple[Accuracy, ...]:
    """The figures of a report for the manifest: those that were measured; an offset is a diagnosis, not an accuracy."""
    data = f"validation split of the recipe's data ({report.samples} samples"
    return tuple(
        Accuracy(
            metric=figure.metric,
            value=round(figure.value, _DECIMALS),
            unit=figure.unit,
            convention=figure.convention,
            box_protocol=report.box_protocol,
            data=f"{data}, {figure.left_out} left out)" if figure.left_out else f"{data})",
        )
        for figure in report.figures
        if math.isfinite(figure.value) and not figure.signed
    )
