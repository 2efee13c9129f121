"""The one exception that users are meant to read, and how it lists names."""

from collections.abc import Sequence


class InputError(ValueError):
    """Something a user can mend: bad config, data or arguments.

    Its message is one sentence: which file, which line or key, what was expected, what to do.
    The command line prints it without a traceback.
    """


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names for a sentence: `a, b, c`, or the first few and that there are others."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
