"""What annotation costs, in seconds of work a frame."""

BOX_SECONDS = 10.2  # what drawing one box takes (paper, section 1)


def mixed_cost(
    clicked: float, boxed: float, click_seconds: float, tracking_seconds: float
) -> float:
    """Return the seconds a frame of clicks, sparse boxes and a tracker between them (paper 3.3).

    clicked: share of frames with a click and no box; boxed: share with a box, which needs no
    click. click_seconds: of one click, the TOP map included (`points.seconds_per_frame`).
    tracking_seconds: of the tracker, a frame. The paper's own values give its 3.16 s:
    0.9 x 2.27 + 0.1 x 10.2 + 0.1.
    """
    return clicked * click_seconds + boxed * BOX_SECONDS + tracking_seconds
