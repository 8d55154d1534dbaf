"""The one exception that is meant to be read by a user."""


class UserError(Exception):
    """What was wrong, in which file, key or class, and what to do about it.

    The command line prints its message alone, without a traceback, and exits with status 2.
    """
