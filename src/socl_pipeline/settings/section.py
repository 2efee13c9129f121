"""What every section of the config is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
"""A reference to an entry, which may be derived: `socl_siam__gst` (`settings.derived`)."""

OwnName = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")]
"""The name of an entry: a double underscore is kept for derived names."""


class Section(BaseModel):
    """A part of the config: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
