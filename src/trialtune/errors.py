"""The two ways a user's input can be wrong, each with the exit code the command line returns."""


class TrialtuneError(Exception):
    """A problem the user can mend; its message names the file, row or field and the mend."""

    exit_code = 1


class DataError(TrialtuneError):
    """A file, row or field holds something that cannot be used (exit code 1)."""


class UsageError(TrialtuneError):
    """The command, option or recipe asks for something that does not exist (exit code 2)."""

    exit_code = 2
