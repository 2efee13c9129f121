"""The numbers of VOT's protocol."""

from socl_pipeline.datasets.manifest import Manifest, VotConstants
from socl_pipeline.errors import InputError


def vot_constants(manifest: Manifest) -> VotConstants:
    """Return the numbers of VOT's protocol. Raises InputError if the manifest has none."""
    if isinstance(manifest.constants, VotConstants):
        return manifest.constants
    raise InputError(
        f"{manifest.name}: protocol vot needs numbers that depend on the data; give its manifest "
        "`protocol: vot` and `constants: {eao_interval: [low, high]}`"
    )
