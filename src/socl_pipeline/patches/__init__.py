"""Stage `patches`: what training reads instead of frames."""
