"""The one exception that users are meant to read."""


class InputError(ValueError):
    """Something a user can mend: bad config, data or arguments.

    Its message is one sentence: which file, which line or key, what was expected, what to do.
    The command line prints it without a traceback.
    """
