"""Normal form and hash of texts, and keyword rules."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping


def wording_hash(text: str, *, digits: int = 12) -> str:
    """Hex digits of the SHA-256 of the normalized text: same wording, same hash."""
    return hashlib.sha256(normalize_text(text).encode()).hexdigest()[:digits]


Rules = Mapping[str, re.Pattern[str]]  # label -> pattern in its texts


def words(*expressions: str) -> re.Pattern[str]:
    """One of these expressions, starting at a word boundary."""
    return re.compile(rf"\b(?:{'|'.join(expressions)})", re.IGNORECASE)


def ended(text: str) -> str:
    """`text` with a full stop unless it ends in punctuation."""
    return text if text[-1] in ".:;!?" else text + "."


def plain_name(column: str) -> str:
    """A column's name in lower case with underscores."""
    return column.strip().lower().replace(" ", "_")


_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


def normalize_text(text: str) -> str:
    """`text` without case, width variants, punctuation and spacing: equal means same wording."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Folding can undo the normal form of a few letters, so it is restored.
    return _NOT_ALPHANUMERIC.sub(" ", unicodedata.normalize("NFKC", folded)).strip()
