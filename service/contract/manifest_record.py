"""What every part of a manifest is."""

from pydantic import BaseModel, ConfigDict


class ManifestRecord(BaseModel):
    """Frozen, and a key that it does not know is an error: a misspelt choice must not pass for the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")
