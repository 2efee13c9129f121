import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from torch.torch_version import TorchVersion

from socl_pipeline.cli import cli
from socl_pipeline.errors import InputError
from socl_pipeline.models import Backbone, build_backbone, save_weights
from socl_pipeline.models.onnx_export import export_onnx

METADATA = {"model": '{"window":255}', "stage": "train"}


class Small(Backbone):
    """What the real networks are made of: a pool that takes in cut cells, the rest is quick."""

    stride, channels, receptive_field, offset, padded = 4, 8, 7, 3.5, True

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, groups=1)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.pool(torch.relu(self.conv(images)))
        return features


def check(path: Path, net: Backbone) -> None:
    """Compare an exported network with the original, on images of other sizes than it saw."""
    options = pytest.importorskip("onnxruntime").SessionOptions()
    options.intra_op_num_threads = 1
    session = pytest.importorskip("onnxruntime").InferenceSession(path, options)
    found = session.get_modelmeta().custom_metadata_map
    assert METADATA.items() <= found.items()
    assert (found["stride"], found["offset"]) == (str(net.stride), str(net.offset))
    for shape in ((1, 3, 127, 127), (3, 3, 130, 176)):
        images = 255 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
        (features,) = session.run(["features"], {"images": images.numpy()})
        with torch.inference_mode():
            expected = net.eval()(images)
        assert expected.abs().max() > 1
        torch.testing.assert_close(torch.from_numpy(features), expected, rtol=1e-5, atol=1e-4)


def test_the_exported_network_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    net, path = Small(), tmp_path / "new" / "net.onnx"
    export_onnx(net, path, METADATA, size=63)
    assert [p.name for p in path.parent.iterdir()] == ["net.onnx"]
    check(path, net)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet_v1", "resnet18", "squeezenet1_1"])
def test_the_command_exports_every_network(tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnxscript")
    net = build_backbone(name, seed=3)
    save_weights(net, tmp_path / "weights.safetensors", METADATA | {"backbone": name})
    output = tmp_path / "net.onnx"
    arguments = ["export", "--model", str(tmp_path), "--output", str(output), "--size", "127"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    check(output, net)


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"export needs .*onnxscript; install .*\[onnx\]"):
        export_onnx(build_backbone("alexnet_v1", seed=0), tmp_path / "net.onnx", {})
    assert not list(tmp_path.iterdir())


def test_torch_without_this_exporter_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.4.1+cu124"))
    with pytest.raises(InputError, match=r"export needs torch 2.7 or later, this is 2.4.1\+cu124;"):
        export_onnx(Small(), tmp_path / "net.onnx", {})
