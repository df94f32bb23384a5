"""The two ways a user's input can be wrong, each with the exit code the command line returns."""


class TrialtuneError(Exception):
    """A problem the user can fix; its message names the file, row or field and the remedy."""

    exit_code = 1


class DataError(TrialtuneError):
    """A file, row or field is invalid or unusable (exit code 1)."""


class UsageError(TrialtuneError):
    """A command, option or recipe is invalid (exit code 2)."""

    exit_code = 2
