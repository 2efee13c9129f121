"""The small config for tables: also models of kind bce are made of it."""

import pytest


@pytest.fixture
def raw_config(raw_config):
    """The small config with a window that kind bce accepts."""
    raw_config["models"]["tiny"]["window"] = 159
    return raw_config
