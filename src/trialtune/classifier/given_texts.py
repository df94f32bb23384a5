"""The texts that a caller gives, checked."""

from collections.abc import Iterable, Mapping

from trialtune.errors import UsageError


def given_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list; raises UsageError for anything else, with what to give instead."""
    if isinstance(texts, str | bytes):
        raise UsageError(f"texts is one {type(texts).__name__}, not a list of texts; write [text]")
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):  # would yield its column names
        raise UsageError(f"texts is a table ({type(texts).__name__}); use predict_frame")
    if not isinstance(texts, Iterable):
        raise UsageError(f"texts is {texts!r:.60}, not a list of texts")
    given = list(texts)
    for place, text in enumerate(given):
        if not isinstance(text, str):
            raise UsageError(
                f"texts[{place}] is {text!r:.60} ({type(text).__name__}), not a text; leave it out or use"
                " predict_frame with a table, which keeps rows without text"
            )
    return given
