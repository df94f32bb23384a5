"""Turns exceptions into messages for the user."""

import errno

from pydantic import ValidationError

from trialtune.errors import TrialtuneError, UsageError
from trialtune.extras import MissingExtraError

INTERRUPTED = 130  # the shells' code for Ctrl-C


def explain(error: BaseException) -> tuple[str, int]:
    """One message with the remedy, and the exit code: 2 for usage, 1 for data and the machine."""
    error = MissingExtraError.of(error) or error
    if isinstance(error, TrialtuneError):
        return f"error: {error}", error.exit_code
    if isinstance(error, ValidationError):
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return f"error: {'; '.join(problems)}", UsageError.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "stopped; run the same command again to resume", INTERRUPTED
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
        return (
            f"error: the disk is full ({text}); free some space, then run the same command again to resume",
            1,
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) or "Permission denied" in text:
        return f"error: no permission ({text}); choose another place with --out", 1
    if isinstance(error, OSError):
        return f"error: {text}", 1
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return (
            f"error: out of memory ({text.splitlines()[0] if text else 'MemoryError'}); halve the batch size",
            1,
        )
    return (
        f"error: unexpected {type(error).__name__}: {text}; add --debug to see where, and please report it",
        1,
    )
