"""What a record of the sex task is about, where that all but gives the answer away."""

import re

OTHER = "other"
# The topics that all but give a sex away, in the order in which they are tried.
TOPICS = {
    "prostate": r"prostat\w*|BPH",
    "breast": r"breast (?:cancer|neoplasm|carcinoma|tumou?r|disease|lesion)\w*|mammogra\w*|mastectom\w*",
    "pregnancy": r"pregnan\w*|obstetric\w*|labou?r|birth|postpartum|(?:pre|ante|peri)natal|ca?esarean"
    r"|(?:pre)?eclampsia",
    "gynaecology": r"ovar\w*|uter\w*|cervi(?:x|cal cancer|cal intra)\w*|endometri\w*|vagin\w*|vulv\w*"
    r"|menopaus\w*|menstrua\w*|gyna?ecolog\w*|contracept\w*",
    "urology": r"urolog\w*|bladder|urinary|erectile|testic\w*|testosterone|hypogonad\w*|kidney stones?"
    r"|urolithiasis",
}

_PATTERNS = {topic: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for topic, words in TOPICS.items()}

_BODY = re.compile(r"\b(?:(?:in|ex)clusion(?: criteria)?|summary|description)\b:?|\bcriteria:", re.IGNORECASE)
# Old records that say nothing of who may take part: the registry's answer can only be guessed.
UNSTATED = "no criteria stated"

_UNSTATED = re.compile(r"\bCriteria: (?:no eligibility criteria|please contact site)", re.IGNORECASE)

_HEAD = 60  # words of title and conditions at most


def topic_of(text: str) -> str:
    """The first of `TOPICS` that the title and conditions at the head of a sex task's text speak of.

    "other" where they speak of none; "no criteria stated" where a record says so in so many words.
    """
    if _UNSTATED.search(text):
        return UNSTATED
    head = " ".join(_BODY.split(text, maxsplit=1)[0].split()[:_HEAD])
    return next((topic for topic, pattern in _PATTERNS.items() if pattern.search(head)), OTHER)
