from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from socl_pipeline.errors import InputError
from socl_pipeline.models import build_backbone
from socl_pipeline.models.backbone import Backbone, Layer
from socl_pipeline.trackers.eco import spectra
from socl_pipeline.trackers.eco.features import FeatureExtractor, default_layers, normalised
from socl_pipeline.trackers.eco.peak import highest_point

CPU = torch.device("cpu")
LAYERS = {
    "alexnet_v1": ("conv1", "conv5"),
    "resnet18": ("conv1", "layer1", "layer2", "layer3", "layer4"),
    "squeezenet1_1": ("conv1", "fire3", "fire5", "fire7", "fire9"),
}
ALONE = [("alexnet_v1", ("conv1",)), ("squeezenet1_1", ("conv1",)), ("squeezenet1_1", ("fire5",))]
SIDE = 160


class Means(Backbone):
    """Means of the colours over 4 x 4 and 8 x 8 px; the coarse layer lacks cells on all sides."""

    layers: ClassVar = {
        "fine": Layer(stride=4, channels=3, offset=5.0),
        "coarse": Layer(stride=8, channels=3, offset=4.0),
    }

    def forward(self, images):
        return self.between(images, ["coarse"])[0]

    def between(self, images, names):
        self.called_with = list(names)
        found = {
            "fine": functional.avg_pool2d(images[:, :, 3:, 3:], 4),
            "coarse": functional.avg_pool2d(images, 8)[:, :, :-1, :-1],
        }
        return [found[n] for n in names]


class Mean16(Means):
    """A layer whose map begins late: what its first cells would see is not computed."""

    layers: ClassVar = {"late": Layer(stride=16, channels=3, offset=8.0)}

    def between(self, images, names):
        return [functional.avg_pool2d(images, 16)[:, :, :2, :3]]


def extractor(backbone, layers, precision="float32"):
    return FeatureExtractor(0, layers, backbone, precision, CPU)


def noise(count, side):
    values = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return torch.from_numpy(values)


def symmetric(name):
    """Return a backbone whose filters are all alike and even: it blurs, and moves nothing.

    Pools average: the maximum over a few positions has no clear peak of its own.
    """
    net = build_backbone(name, seed=0).eval()
    for path, module in list(net.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            pool = nn.AvgPool2d(3, module.stride, module.padding, module.ceil_mode)
            net.set_submodule(path, pool)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def blob(side, x, y, deviation=14.0):
    """Return a patch (1, S, S, 3), dark but for a blob at x, y px from its middle."""
    t = torch.arange(side) + 0.5 - side / 2
    bright = torch.exp(-((t[:, None] - y) ** 2 + (t[None, :] - x) ** 2) / (2 * deviation**2))
    dark = torch.tensor([124, 116, 104])  # the mean that ImageNet's networks subtract
    return (dark + bright[..., None] * (255 - dark)).round().to(torch.uint8)[None]


@pytest.mark.parametrize("at", [(0.0, 0.0), (-9.0, 5.0)])
@pytest.mark.parametrize(("name", "layers"), [*LAYERS.items(), *ALONE])
def test_a_blob_lies_where_it_is_in_every_layer(name, layers, at) -> None:
    found = extractor(symmetric(name), dict.fromkeys(layers, 4))
    assert SIDE % found.unit == 0
    maps = found(blob(SIDE + 2 * found.margin, *at))
    for layer, feature, offset, x in zip(layers, found.features, found.offsets, maps, strict=True):
        cells = SIDE // feature.stride
        assert x.shape[1:] == (feature.channels, cells, cells), layer
        assert abs(offset) <= 0.5
        mean = x.mean(dim=1) - x.mean(dim=1).min()
        series = spectra.half_spectrum(mean) * spectra.interpolation(cells, offset)
        _, position = highest_point(series, 5)
        away = position[0].numpy() * SIDE - at
        assert np.abs(away).max() < 0.1 * feature.stride, (layer, away)


def test_blocks_are_cells_of_equal_energy_with_names_in_order() -> None:
    backbone = Means()
    found = extractor(backbone, {"coarse": 2, "fine": 3})
    # the first fine cell would lie 3 px inside the sample, and cells are to begin at 2 px
    assert (found.unit, found.margin) == (8, 3)
    assert [(f.stride, f.channels, f.kept) for f in found.features] == [(8, 3, 2), (4, 3, 3)]
    assert found.offsets == pytest.approx([-3 / 8, 0])
    patches = noise(2, 32 + 6)
    coarse, fine = found(patches)
    values = patches.numpy().astype(float)
    for n in range(2):
        expected = np.zeros((3, 8, 8))
        for r, c in np.ndindex(8, 8):
            rows, columns = slice(3 + 4 * r, 7 + 4 * r), slice(3 + 4 * c, 7 + 4 * c)
            expected[:, r, c] = values[n, rows, columns].mean(axis=(0, 1))
        expected /= np.sqrt((expected**2).mean())
        np.testing.assert_allclose(fine[n], expected, rtol=1e-5)
        expected = np.zeros((3, 4, 4))
        for r, c in np.ndindex(3, 3):
            expected[:, r, c] = values[n, 8 * r : 8 * r + 8, 8 * c : 8 * c + 8].mean(axis=(0, 1))
        expected /= np.sqrt((expected**2).mean())  # the missing cells count, and are zero
        np.testing.assert_allclose(coarse[n], expected, rtol=1e-5)


def test_missing_cells_are_zero() -> None:
    found = extractor(Mean16(), {"late": 3})
    (maps,) = found(noise(1, 64))
    assert maps.shape == (1, 3, 4, 4)
    assert (maps[0, :, 2:] == 0).all()
    assert (maps[0, :, :, 3:] == 0).all()
    assert (maps[0, :, :2, :3] > 0).all()


def test_normalised() -> None:
    maps = torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(0)) * 7
    found = normalised(maps).numpy()
    np.testing.assert_allclose((found**2).mean(axis=(1, 2, 3)), 1, rtol=1e-5)
    ratios = found / maps.numpy()
    np.testing.assert_allclose(ratios, ratios[:, :1, :1, :1].repeat(5, 1).repeat(4, 2).repeat(4, 3))
    assert (normalised(torch.zeros(1, 2, 3, 3)) == 0).all()


def test_a_layer_keeps_no_more_channels_than_it_has() -> None:
    assert extractor(Means(), {"fine": 64}).features[0].kept == 3


def test_the_backbone_is_a_copy_in_evaluation_mode() -> None:
    net = build_backbone("squeezenet1_1", seed=0).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    found = extractor(net, {"conv1": 4})
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    assert net.training
    assert found(noise(1, 32 + 2 * found.margin))[0].std() > 0
    assert before.keys() == net.state_dict().keys()


def test_bf16_is_close_and_its_maps_are_float32() -> None:
    net = build_backbone("squeezenet1_1", seed=0)
    patches = None
    maps = {}
    for precision in ("float32", "bf16"):
        found = extractor(net, {"fire3": 4}, precision)
        patches = noise(1, 64 + 2 * found.margin)
        (maps[precision],) = found(patches)
    assert maps["bf16"].dtype == torch.float32
    difference = (maps["bf16"] - maps["float32"]).square().mean().sqrt()
    assert 0 < difference < 0.03


def test_a_layer_without_a_backbone() -> None:
    with pytest.raises(InputError, match="conv1 need a backbone"):
        extractor(None, {"conv1": 4})


def test_no_features_at_all() -> None:
    with pytest.raises(InputError, match="no features"):
        extractor(None, {})


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("resnet18", {"conv1": 16, "layer3": 64}),
        ("squeezenet1_1", {"conv1": 16, "fire7": 64}),
        ("alexnet_v1", {"conv1": 16, "conv5": 64}),
    ],
)
def test_layers_by_default_are_a_shallow_and_a_deep_one(name, kept) -> None:
    assert default_layers(build_backbone(name, seed=0)) == kept


def test_no_layers_without_a_backbone() -> None:
    assert default_layers(None) == {}


def test_an_unknown_layer() -> None:
    with pytest.raises(InputError, match="no 'conv7'; it has fine, coarse"):
        extractor(Means(), {"fine": 3, "conv7": 4})
