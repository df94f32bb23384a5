"""Keyword rules for sex eligibility: written from the definitions, without looking at data."""

from trialtune.tasks.text import Rules, words

KEYWORDS: Rules = {
    "FEMALE": words(
        r"wom[ae]n\b",
        r"females?\b",
        r"girls?\b",
        r"pregnan\w+",
        r"\w*menopaus\w*",
        r"breast[ -]?feed\w*",
        r"ovar\w+",
        r"uter\w+",
        r"cervical cancer",
        r"vagin\w+",
        r"gyn(?:a?e)col\w+",
        r"mothers?\b",
    ),
    "MALE": words(
        r"m[ae]n\b", r"males?\b", r"boys?\b", r"prostat\w+", r"testic\w+", r"erectile", r"vasectom\w+"
    ),
}  # both or neither: open to all
