"""What annotation costs: the paper's unit prices, and what a frame takes.

Settings `costs` has every price; these are its defaults.
"""

BOX_SECONDS = 10.2
"""Drawing one box (paper 1, after Russakovsky et al., CVPR 2015)."""
CLICK_SECONDS = 1.87
"""Clicking one centre (paper 3.1, after Papadopoulos et al., CVPR 2017)."""
TOP_SECONDS = 0.4
"""Computing one TOP map; the paper counts it as annotation (3.1)."""
TRACKING_SECONDS = 0.1
"""Running SoCL-CF over one frame between sparse boxes (paper 3.3)."""
BOX_FEE = 0.036
"""Dollars for one box on Amazon Mechanical Turk (paper 4.5)."""
CLICK_FEE = 0.005
"""Dollars for one click (paper 4.5, after Papadopoulos et al.)."""
GPU_HOUR_FEE = 0.90
"""Dollars for one hour of a p2.xlarge of Amazon EC2 (paper 4.5)."""
BOX_TRAINING_HOURS = 8.0
"""SiamFC on the boxes of GOT-10k, on one GPU (paper 4.5)."""
CLICK_TRAINING_HOURS = 24.0
"""SoCL on the clicks of GOT-10k, on one GPU (paper 4.5)."""


def mixed_cost(
    clicked: float,
    boxed: float,
    click_seconds: float,
    tracking_seconds: float,
    box_seconds: float = BOX_SECONDS,
) -> float:
    """Return the seconds a frame of clicks, sparse boxes and a tracker between them (paper 3.3).

    clicked: share of frames with a click and no box; boxed: share with a box, which needs no
    click. click_seconds: of one click, the TOP map included (`points.seconds_per_frame`).
    tracking_seconds: of the tracker, a frame. The paper's own values give its 3.16 s:
    0.9 x 2.27 + 0.1 x 10.2 + 0.1.
    """
    return clicked * click_seconds + boxed * box_seconds + tracking_seconds
