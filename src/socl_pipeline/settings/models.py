"""The kinds of models that stage `train` knows."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from socl_pipeline.settings.training import BceModelSettings, SoclModelSettings
from socl_pipeline.settings.transt_model import TransTModelSettings


def _kind(raw: Any) -> Any:
    """Return the kind of a model, which is socl if it is left out."""
    return raw.get("kind", "socl") if isinstance(raw, dict) else getattr(raw, "kind", None)


AnyModelSettings = Annotated[
    Annotated[SoclModelSettings, Tag("socl")]
    | Annotated[BceModelSettings, Tag("bce")]
    | Annotated[TransTModelSettings, Tag("transt")],
    Discriminator(_kind),
]
