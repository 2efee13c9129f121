"""Boxes between sparse ones, tracked or interpolated, and how good they are."""
