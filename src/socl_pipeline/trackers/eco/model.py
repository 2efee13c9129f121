"""What ECO knows of its object: projections, filter and samples, for one size of patch."""

import torch
from torch import Tensor

from socl_pipeline.settings.eco import EcoSettings
from socl_pipeline.trackers.eco import spectra
from socl_pipeline.trackers.eco.blocks import Block, Layout
from socl_pipeline.trackers.eco.features import FeatureExtractor
from socl_pipeline.trackers.eco.filter import FilterLearner, Preconditioning, energy
from socl_pipeline.trackers.eco.joint import learn_jointly, principal_components, project
from socl_pipeline.trackers.eco.peak import highest_point
from socl_pipeline.trackers.eco.regulariser import Regulariser, window_coefficients
from socl_pipeline.trackers.eco.samples import SampleSpace


class AppearanceModel:
    """Learns an object from the feature maps of one frame, and goes on learning it.

    Maps are those of a `FeatureExtractor`: a block each, (N, C, n, n). Displacements are shares
    of the sample's side.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        settings: EcoSettings,
        side: int,
        object_size: tuple[float, float],
        maps: list[Tensor],
    ) -> None:
        """Learn from the first frame.

        side: of the sample, px. object_size: w, h in px of the patch. maps: of one patch.
        """
        self._settings = settings
        device = extractor.device
        cells = [m.shape[-1] for m in maps]
        highest = [spectra.highest_frequency(n) for n in cells]
        kept = [f.kept for f in extractor.features]
        self._layout = Layout([Block(k, c) for k, c in zip(highest, kept, strict=True)], device)
        self._windows = [_hann(n).to(device) for n in cells]
        self._interpolations = [
            spectra.interpolation(n, offset).to(device)
            for n, offset in zip(cells, extractor.offsets, strict=True)
        ]
        self._learn_first(maps, side, object_size)

    def _learn_first(self, maps: list[Tensor], side: int, object_size: tuple[float, float]) -> None:
        s = self._settings
        along_x, along_y = window_coefficients(
            side, object_size, s.window_minimum, s.window_edge, s.window_threshold
        )
        regulariser = Regulariser(self._layout, along_x, along_y)
        sigma = s.label_sigma * (object_size[0] * object_size[1]) ** 0.5 / side
        label = spectra.gaussian_label(self._layout.highest, sigma).to(self._layout.device)
        mix = Preconditioning(s.mix_data, s.mix_regularisation, s.mix_projection)
        full = [x[0].permute(1, 2, 0).contiguous() for x in self._series(maps)]
        start = [
            principal_components(m[0], b.channels)
            for m, b in zip(maps, self._layout.blocks, strict=True)
        ]
        filters, self._projections = learn_jointly(
            self._layout,
            full,
            start,
            label,
            regulariser,
            penalty=s.projection_penalty,
            mix=mix,
            outer=s.first_outer,
            inner=s.first_inner,
        )
        sample = project(self._layout, full, self._projections)
        self._space = SampleSpace(self._layout, s.samples, s.learning_rate)
        self._space.add(sample)
        self._energies = energy(self._layout, sample)
        self._learner = FilterLearner(self._layout, label, regulariser, mix, filters)

    def samples(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the projected series of N patches, a block each: (rows, columns, N, channels)."""
        projected = [
            (p.T @ m.flatten(2)).unflatten(2, m.shape[2:])  # einsum would copy maps
            for m, p in zip(maps, self._projections, strict=True)
        ]
        return [x.permute(2, 3, 0, 1).contiguous() for x in self._series(projected)]

    def locate(self, samples: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the highest score (N,) and the object's displacement x, y (N, 2) in N samples."""
        scores = self._learner.responses(samples)
        return highest_point(scores.permute(2, 0, 1), self._settings.newton)

    def learn(self, samples: list[Tensor], index: int, displacement: tuple[float, float]) -> None:
        """Take in sample `index` with the object moved back to the middle."""
        blocks = []
        for block, x in zip(self._layout.blocks, samples, strict=True):
            rows, columns = spectra.moved(block.highest, (-displacement[0], -displacement[1]))
            factor = torch.outer(rows, columns).to(x.device)
            blocks.append(x[:, :, index] * factor[:, :, None])
        sample = self._layout.join(blocks)
        self._space.add(sample)
        rate = self._settings.learning_rate
        self._energies = (1 - rate) * self._energies + rate * energy(self._layout, sample)

    def train(self) -> None:
        """Improve the filter on the samples as they are."""
        s = self._settings
        forgetting = (1 - s.learning_rate) ** s.forgetting
        self._learner.train(self._space, self._energies, s.iterations, forgetting)

    def _series(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the series (N, C, rows, columns) of windowed maps."""
        return [
            spectra.half_spectrum(m * w) * b
            for m, w, b in zip(maps, self._windows, self._interpolations, strict=True)
        ]


def _hann(cells: int) -> Tensor:
    """Return the Hann window (cells, cells) of length cells + 2 without its zero ends."""
    window = torch.hann_window(cells + 2, periodic=False)[1:-1]
    return torch.outer(window, window)
