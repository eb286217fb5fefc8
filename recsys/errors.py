"""The exception whose message is written for the user."""


class UserError(Exception):
    """Bad input. The message is one clear sentence that says what to do; commands print it and exit with status 2."""
