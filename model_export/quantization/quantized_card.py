"""The model card of a converted bundle: what was done and what it cost, above the card of the original."""

from service.contract.bundle_manifest import BundleManifest


def quantized_card(manifest: BundleManifest, source: BundleManifest, source_card: str, table: str) -> str:
    """The card as Markdown.

    Args:
        manifest: of the converted bundle; `training.converted` says how it was made.
        source: of the original.
        source_card: its text.
        table: the figures of both, see `comparison_table`.
    """
    converted = manifest.training["converted"]
    crops = converted["calibration_crops"]
    calibration = f" Calibrated on {crops} crops." if crops else ""
    versions = ", ".join(f"{name} {found}" for name, found in converted["versions"].items())
    return f"""# {manifest.name} {manifest.version}

{source.name} {source.version} (SHA-256 of its graph {converted["from_sha256"]}) with its network in {converted["to"]}:
{converted["method"]}.{calibration}

    {converted["command"]}

{table}

Versions: {versions}.

What follows is the card of the original; its figures are those of float32.

---

{source_card}"""
