"""Faults of the machine that pass or that a user can end: a network disk that stutters, a full one.

What is wrong with the data themselves is an InputError and is never tried again.
"""

import errno
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# What NFS and Lustre answer while a server is restarted or a lock is moved; each passes by itself
TRANSIENT = frozenset(
    (
        errno.EIO,
        errno.ESTALE,
        errno.EAGAIN,
        errno.EINTR,
        errno.EBUSY,
        errno.ETIMEDOUT,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ECONNRESET,
        errno.EREMOTEIO,
    )
)
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
PAUSES_S = (0.2, 2.0, 10.0)  # a stale handle heals at once, a restarted server in seconds


def retried(call: Callable[[], Result], pauses: Sequence[float] | None = None) -> Result:
    """Return `call()`, tried again after each pause (s) while a transient OSError stops it.

    The error that is left after the last pause is raised, any other at once.
    """
    for pause in PAUSES_S if pauses is None else pauses:
        try:
            return call()
        except OSError as error:
            if error.errno not in TRANSIENT:
                raise
            logger.warning("%s; trying again in %g s", error, pause)
            time.sleep(pause)
    return call()


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error, or the one that caused it, is a full disk or a used-up quota."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError) and chain.errno in FULL:
            return True
        chain = chain.__cause__ or chain.__context__
    return False
