"""The training step that benchmarks measure: the trainer's own, on batches that they choose."""

import numpy as np
import torch

from socl_pipeline.models import Backbone
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import SoclModelSettings, TransTModelSettings
from socl_pipeline.socl.objective import SoclObjective
from socl_pipeline.socl.prior import feature_grid
from socl_pipeline.training.accumulation import backward
from socl_pipeline.training.build import build_network, starting_backbone
from socl_pipeline.training.network import make_optimizer
from socl_pipeline.training.objective import Draws, Objective
from socl_pipeline.training.ranks import Ranks
from socl_pipeline.transt.objective import TransTObjective

CLIP = 0.1  # of the paper, at 255 pixels


class TrainStep:
    """A network with its loss and optimiser; calling it makes a step on a batch."""

    def __init__(
        self,
        settings: SoclModelSettings | TransTModelSettings,
        patch_size: int,
        device: torch.device,
    ) -> None:
        """Build what settings ask for, for patches of so many pixels."""
        self.settings, self.device = settings, device
        backbone = starting_backbone(settings)
        self.objective: Objective
        if isinstance(settings, TransTModelSettings):
            self.objective = TransTObjective(settings, patch_size)
        else:
            assert isinstance(backbone, Backbone)
            self.grid = feature_grid(backbone.eval(), settings.window)
            self.channels = backbone.channels
            self.objective = SoclObjective(settings, self.grid, CLIP, patch_size)
        self.network = build_network(settings, backbone.train())
        self.network.to(device=device, memory_format=torch.channels_last)
        self.optimizer = make_optimizer(self.network, settings)
        self.rng = np.random.default_rng(0)

    def draws(self, videos: int) -> Draws:
        """Return what is random in a step of so many videos, on the device."""
        drawn = self.objective.draw(videos, self.rng)
        return {n: values.to(self.device, non_blocking=True) for n, values in drawn.items()}

    def __call__(self, batch: PatchBatch) -> None:
        """Make a step on a batch of 2N patches."""
        draws = self.draws(len(batch.images) // 2)
        self.optimizer.zero_grad(set_to_none=True)
        on_device = batch.to(self.device, non_blocking=True)
        chunk = self.settings.chunk_videos
        backward(self.objective, self.network, on_device, draws, Ranks(), chunk)
        self.optimizer.step()

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
