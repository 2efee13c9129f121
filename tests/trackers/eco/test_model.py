from types import SimpleNamespace

import numpy as np
import pytest
import torch

from socl_pipeline.settings.eco import EcoSettings
from socl_pipeline.trackers.eco.features import Feature
from socl_pipeline.trackers.eco.model import AppearanceModel

SIDE = 96
OBJECT = (24.0, 20.0)
EXTRACTOR = SimpleNamespace(
    device=torch.device("cpu"),
    features=[Feature(4, 5, 3, 2.0), Feature(8, 4, 2, 4.0)],
    offsets=[0.0, 0.25],
)
SETTINGS = EcoSettings(
    layers={"a": 3, "b": 2},
    hog_channels=0,
    first_outer=6,
    first_inner=15,
    samples=4,
    learning_rate=0.1,
)


class Scene:
    """A smooth random function of the plane, seen by the cells of both blocks."""

    def __init__(self, slow, seed=0):
        rng = np.random.default_rng(seed)
        self.slow = slow
        self.waves = [slow.random_spectrum(rng, 9, c) for c in (5, 4)]

    def maps(self, *shifts):
        """Return the blocks where the object lies at x, y px from the middle of each patch."""
        blocks = []
        for full, f, offset in zip(self.waves, EXTRACTOR.features, EXTRACTOR.offsets, strict=True):
            n = SIDE // f.stride
            at = (np.arange(n) + 0.5 + offset) / n - 0.5
            values = np.zeros((len(shifts), f.channels, n, n))
            k = np.arange(-9, 10)
            for i, (x, y) in enumerate(shifts):
                rows = np.exp(2j * np.pi * np.outer(at - y / SIDE, k))
                columns = np.exp(2j * np.pi * np.outer(at - x / SIDE, k))
                values[i] = np.einsum("yk,klc,xl->cyx", rows, full, columns).real
            blocks.append(torch.from_numpy(values).float())
        return blocks


@pytest.fixture(scope="module")
def scene(slow):
    return Scene(slow)


@pytest.fixture
def model(scene):
    return AppearanceModel(EXTRACTOR, SETTINGS, SIDE, OBJECT, scene.maps((0, 0)))


def displacement(model, maps):
    scores, places = model.locate(model.samples(maps))
    return scores, places.numpy() * SIDE


def test_displacements_are_found_in_each_of_several_patches(model, scene) -> None:
    shifts = [(0.0, 0.0), (5.0, -3.0), (-11.3, 0.0), (2.2, 9.6)]
    scores, found = displacement(model, scene.maps(*shifts))
    assert scores.shape == (4,)
    assert np.abs(found - shifts).max() < 0.6
    assert 0.4 < float(scores[0]) < 1
    assert int(scores.argmax()) == 0


def test_samples_are_projected_series_of_windowed_maps(model, scene, slow) -> None:
    """Linear in the maps, of the kept channels, and small at the border of the patch."""
    one, other = scene.maps((0, 0)), scene.maps((7, 3))
    found = model.samples(one)
    assert [tuple(x.shape) for x in found] == [(25, 13, 1, 3), (13, 7, 1, 2)]
    both = model.samples([a + 2 * b for a, b in zip(one, other, strict=True)])
    for x, a, b in zip(both, found, model.samples(other), strict=True):
        np.testing.assert_allclose(x, a + 2 * b, atol=1e-5)
    full = slow.whole(found[0][:, :, 0])
    t = np.arange(24) / 24
    energies = np.array([[np.sum(slow.evaluate(full, x, y) ** 2) for x in t] for y in t])
    assert energies[12].max() < 0.02 * energies.max()
    assert energies[:, 12].max() < 0.02 * energies.max()


def test_learning_puts_the_object_back_in_the_middle(model, scene) -> None:
    """Another look of the object, seen off the middle, is found there after it was learnt."""
    other = Scene(scene.slow, seed=1)
    shift = (6.0, -4.0)
    before, _ = displacement(model, other.maps((0, 0)))
    samples = model.samples(other.maps((30, 30), shift))
    for _ in range(8):
        model.learn(samples, 1, (shift[0] / SIDE, shift[1] / SIDE))
        model.train()
    scores, found = displacement(model, other.maps((0, 0), shift))
    assert np.abs(found - [(0, 0), shift]).max() < 1
    assert float(scores[0]) > 2 * float(before[0])


def test_training_uses_what_was_learnt(model, scene) -> None:
    other = Scene(scene.slow, seed=1)
    model.learn(model.samples(other.maps((0, 0))), 0, (0.0, 0.0))
    before, _ = displacement(model, other.maps((0, 0)))
    unchanged, _ = displacement(model, other.maps((0, 0)))
    assert torch.equal(before, unchanged)
    model.train()
    after, _ = displacement(model, other.maps((0, 0)))
    assert not torch.equal(before, after)
