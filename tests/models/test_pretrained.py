import dataclasses
import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.models import Backbone, SqueezeNet11, build_backbone, load_pretrained, pretrained
from socl_pipeline.models.colours import fold_caffe_colours

CLASSIFIERS = {
    "resnet18": {"fc.weight": (1000, 512), "fc.bias": (1000,)},
    "squeezenet1_1": {"classifier.1.weight": (1000, 512, 1, 1), "classifier.1.bias": (1000,)},
    "alexnet_v1": {},
}


def published(name: str, seed: int = 7) -> dict[str, Tensor]:
    """A stand-in for a published file: the same keys, with the classifier."""
    classifier = {key: torch.zeros(shape) for key, shape in CLASSIFIERS[name].items()}
    return {**build_backbone(name, seed).state_dict(), **classifier}


@pytest.fixture(scope="module")
def squeezenet() -> dict[str, Tensor]:
    return published("squeezenet1_1")


def build(name: str = "squeezenet1_1") -> Backbone:
    return build_backbone(name, seed=0)


def holds(net: Backbone, state: dict[str, Tensor]) -> bool:
    return all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_loads_files(tmp_path: Path, name: str, suffix: str) -> None:
    state, path = published(name), tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    net = build(name)
    assert not holds(net, state)
    load_pretrained(net, path)
    assert holds(net, state)


def test_npz_holds_weights_for_caffes_colours(
    tmp_path: Path, squeezenet: dict[str, Tensor]
) -> None:
    path = tmp_path / "trunk.npz"
    np.savez(path, **{k: v.numpy() for k, v in squeezenet.items()})
    net = build()
    load_pretrained(net, path)
    weight, bias = fold_caffe_colours(
        squeezenet["features.0.weight"], squeezenet["features.0.bias"]
    )
    assert holds(net, squeezenet | {"features.0.weight": weight, "features.0.bias": bias})


def test_npz_suits_unpadded_first_convolutions_only(tmp_path: Path) -> None:
    path = tmp_path / "trunk.npz"
    np.savez(path, **{k: v.numpy() for k, v in published("resnet18").items()})
    with pytest.raises(InputError, match="colours, which resnet18 cannot"):
        load_pretrained(build("resnet18"), path)


def test_step_counters_may_be_missing(tmp_path: Path) -> None:
    state, path = published("resnet18"), tmp_path / "old.pth"
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)
    net = build("resnet18")
    load_pretrained(net, path)
    assert torch.equal(net.state_dict()["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.3.squeeze.bias": None}, "key features.3.squeeze.bias is missing"),
        ({"features.4.expand3x3.weight": torch.zeros(64, 16)}, r"has shape \(64, 16\), not \(64,"),
        ({"features.13.weight": torch.zeros(1)}, "features.13.weight is not part of squeezenet1_1"),
    ],
)
def test_first_wrong_key_is_named(
    tmp_path: Path, squeezenet: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    path = tmp_path / "wrong.pth"
    torch.save({k: v for k, v in {**squeezenet, **change}.items() if v is not None}, path)
    net = build()
    before = build().state_dict()
    with pytest.raises(InputError, match=message):
        load_pretrained(net, path)
    assert holds(net, before)


def test_hash_in_the_name_is_checked(tmp_path: Path, squeezenet: dict[str, Tensor]) -> None:
    path = tmp_path / "plain.pth"
    torch.save(squeezenet, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    good = path.rename(tmp_path / f"squeezenet1_1-{digest[:8]}.pth")
    load_pretrained(build(), good)
    bad = good.rename(tmp_path / "squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(InputError, match=f"starts with {digest[:8]}, not with b8a52dc0"):
        load_pretrained(build(), bad)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.pth", b"no weights", "cannot be read as PyTorch"),
        ("broken.safetensors", b"no weights", "cannot be read as safetensors"),
        ("broken.npz", b"no weights", "cannot be read as arrays"),
        ("empty.npz", b"", "cannot be read as arrays"),
        ("weights.bin", b"", r"expected a \.safetensors, \.pth or \.npz"),
        ("absent.pth", None, "no such file"),
        ("absent.npz", None, "no such file"),
        ("absent.safetensors", None, "no such file"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_pretrained(build(), path)


def test_npz_that_is_no_archive_of_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", **{"features.0.weight": np.array(["a"])})
    np.save(tmp_path / "one.npy", np.zeros(3))
    for path in (tmp_path / "text.npz", (tmp_path / "one.npy").rename(tmp_path / "one.npz")):
        with pytest.raises(InputError, match="cannot be read as arrays"):
            load_pretrained(build(), path)


def test_a_file_that_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "checkpoint.pth")
    with pytest.raises(InputError, match="names to tensors"):
        load_pretrained(build(), tmp_path / "checkpoint.pth")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder that is served, its address; torch.hub's folder is an empty one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def publish_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    origin = dataclasses.replace(pretrained.ORIGINS[SqueezeNet11], url=url)
    monkeypatch.setitem(pretrained.ORIGINS, SqueezeNet11, origin)


def test_imagenet_is_fetched_once(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, squeezenet: dict[str, Tensor]
) -> None:
    folder, address = server
    torch.save(squeezenet, folder / "plain.pth")
    digest = hashlib.sha256((folder / "plain.pth").read_bytes()).hexdigest()
    name = f"squeezenet1_1-{digest[:8]}.pth"
    served = (folder / "plain.pth").rename(folder / name)
    publish_at(monkeypatch, f"{address}/{name}")
    for _ in range(2):
        net = build()
        load_pretrained(net, "imagenet")
        assert holds(net, squeezenet)
        served.unlink(missing_ok=True)  # the second time it is in torch.hub's folder
    kept = Path(torch.hub.get_dir()) / "checkpoints" / name
    kept.write_bytes(b"changed since")
    with pytest.raises(InputError, match=f"{name}: its sha256"):
        load_pretrained(build(), "imagenet")


def test_another_file_than_the_published_one(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    (folder / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"something else")
    publish_at(monkeypatch, f"{address}/squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(InputError, match=r"b8a52dc0\.pth: what was fetched has another sha256"):
        load_pretrained(build(), "imagenet")
    assert not list((Path(torch.hub.get_dir()) / "checkpoints").iterdir())


def test_no_network(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    address = server[1]
    publish_at(monkeypatch, f"{address}/absent-b8a52dc0.pth")
    with pytest.raises(InputError, match=r"cannot be fetched to .*404"):
        load_pretrained(build(), "imagenet")
    publish_at(monkeypatch, "http://127.0.0.1:9/absent-b8a52dc0.pth")
    with pytest.raises(InputError, match="put the file there") as caught:
        load_pretrained(build(), "imagenet")
    assert "\n" not in str(caught.value)


def test_a_network_without_published_weights() -> None:
    with pytest.raises(InputError, match="no published ImageNet weights of alexnet_v1"):
        load_pretrained(build("alexnet_v1"), "imagenet")


def test_published_names_carry_their_hash() -> None:
    for origin in pretrained.ORIGINS.values():
        assert origin.url is None or pretrained._HASHED_NAME.search(origin.url)


@pytest.mark.skipif("SOCL_TEST_DATA" not in os.environ, reason="SOCL_TEST_DATA is not set")
@torch.inference_mode()
def test_real_weights_tell_edges_from_blobs() -> None:
    """In a random network an edge and a blob look alike; a pretrained one tells them apart."""
    trunk = Path(os.environ["SOCL_TEST_DATA"]) / "models" / "squeezenet1_1"
    net = build().eval()
    load_pretrained(net, trunk / "squeezenet1_1_imagenet_trunk.npz")
    x, y = torch.meshgrid(torch.arange(127) - 63.0, torch.arange(127) - 63.0, indexing="ij")
    edge, blob = 200.0 * (x > 0), 200 * torch.exp(-(x**2 + y**2) / 400)
    images = torch.stack([edge, blob])[:, None].expand(2, 3, 127, 127)
    similarity = []
    for backbone in (build().eval(), net):
        features = backbone(images)
        assert features.isfinite().all()
        middle = features[:, :, 4:9, 4:9].flatten(1)
        similarity.append(float(torch.cosine_similarity(middle[0], middle[1], dim=0)))
    assert similarity[1] < 0.5 < similarity[0], similarity
