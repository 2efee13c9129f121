import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.settings.eco import EcoSettings
from socl_pipeline.trackers.eco.geometry import sample_geometry

SETTINGS = EcoSettings()  # 4.5; 200^2 to 250^2; 1.02


@pytest.mark.parametrize(
    ("size", "scale", "side"),
    [
        ((50.0, 50.0), 1.0, 240),  # 225 px: within the range, to whole 16 px
        ((20.0, 20.0), 90 / 200, 208),  # enlarged to 200
        ((100.0, 400.0), 900 / 250, 256),  # shrunk to 250
        ((40.0, 90.0), 270 / 250, 256),
    ],
)
def test_search_area_is_brought_into_range(size, scale, side) -> None:
    found = sample_geometry(size, (640, 480), 16, SETTINGS)
    assert found.scale == pytest.approx(scale)
    assert found.side == side
    assert found.object_size == pytest.approx((size[0] / scale, size[1] / scale))


@pytest.mark.parametrize(("unit", "side"), [(4, 200), (8, 200), (16, 208), (32, 224)])
def test_side_is_a_whole_number_of_units(unit, side) -> None:
    assert sample_geometry((10.0, 10.0), (640, 480), unit, SETTINGS).side == side


sides = st.floats(0.5, 2000)


@given(sides, sides, st.integers(16, 4000), st.integers(16, 4000), st.sampled_from([4, 16]))
def test_limits_are_whole_powers_of_the_step(w, h, width, height, unit) -> None:
    found = sample_geometry((w, h), (width, height), unit, SETTINGS)
    for limit in found.limits:
        power = math.log(limit) / math.log(SETTINGS.scale_step)
        assert power == pytest.approx(round(power), abs=1e-6)
    least, most = found.limits
    assert 5 / found.side <= least * (1 + 1e-9) < 5 / found.side * 1.02001
    fits = min(width / found.object_size[0], height / found.object_size[1])
    if fits >= least * 1.02:  # the object fills the image at the largest scale, to one step
        assert fits / 1.02001 < most <= fits * (1 + 1e-9)
    else:
        assert most >= least
    area = found.object_size[0] * found.object_size[1] * 4.5**2
    assert 200**2 * (1 - 1e-9) <= area <= 250**2 * (1 + 1e-9)
    assert found.side - unit < math.sqrt(area) + 1e-6
    assert math.sqrt(area) <= found.side + 1e-6
