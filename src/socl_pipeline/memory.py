"""Keep freed memory for the next frame instead of giving it back to the system.

Scoring a frame takes and frees megabytes of arrays. glibc gives them back each time, Dask's
default for its workers (MALLOC_TRIM_THRESHOLD_=65536) even more so, and the system then hands
the same pages out again one by one, filled with zeros: 2,400 page faults a frame of 1920x1080,
about a quarter of the time that it takes.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT_BYTES = 64 * 2**20  # free memory at the end of the heap that a process keeps at most
LARGEST_BYTES = 32 * 2**20  # the most that glibc allows; larger arrays are given back as before


def keep_freed_memory() -> None:
    """Keep freed memory in this process, from now on; without glibc, do nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
