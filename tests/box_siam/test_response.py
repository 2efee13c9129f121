import pytest
import torch

from socl_pipeline.box_siam.loss import COSINE_GAIN, OUT_SCALE, response_logits
from socl_pipeline.models import build_backbone
from socl_pipeline.trackers.siamfc import SiamFC, SiamFCSettings, correlate


@pytest.mark.parametrize(
    ("similarity", "normalize", "gain"),
    [("correlation", "none", 1.0), ("cosine", "cell", COSINE_GAIN)],
)
def test_is_the_response_of_the_tracker(textured, similarity, normalize, gain):
    backbone = build_backbone("alexnet_v1", 0).eval()
    tracker = SiamFC(backbone, SiamFCSettings(normalize=normalize))
    exemplar, search = textured(1, 127, 127), textured(2, 159, 159)
    expected = correlate(tracker._template(exemplar), tracker._features(search[None]))[0]

    def features(image):
        with torch.no_grad():
            return backbone(torch.from_numpy(image).permute(2, 0, 1)[None].float())

    found = response_logits(features(exemplar), features(search), similarity)[0]
    assert found.shape == (5, 5)
    torch.testing.assert_close(found, gain * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("similarity", ["correlation", "cosine"])
def test_each_template_meets_its_own_search(similarity):
    rng = torch.Generator().manual_seed(0)
    templates = torch.randn(3, 8, 4, 4, generator=rng)
    searches = torch.randn(3, 8, 9, 9, generator=rng)
    together = response_logits(templates, searches, similarity)
    for i in range(3):
        alone = response_logits(templates[i : i + 1], searches[i : i + 1], similarity)
        torch.testing.assert_close(together[i : i + 1], alone)


def test_float32_under_autocast():
    rng = torch.Generator().manual_seed(0)
    template = torch.randn(1, 256, 6, 6, generator=rng).bfloat16()
    search = torch.randn(1, 256, 8, 8, generator=rng).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = response_logits(template, search, "correlation")
    exact = (search.float()[0, :, 1:7, 1:7] * template.float()[0]).sum() * OUT_SCALE
    assert found.dtype == torch.float32
    assert float(found[0, 1, 1]) == pytest.approx(float(exact), rel=1e-4)
