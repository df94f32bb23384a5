"""Topics of records of the sex task that nearly determine the label."""

import re

OTHER = "other"
# Topics that nearly determine the sex, in order of precedence.
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
# Old records without any information on participants: the registry's value can only be guessed.
UNSTATED = "no criteria stated"

_UNSTATED = re.compile(r"\bCriteria: (?:no eligibility criteria|please contact site)", re.IGNORECASE)

_HEAD = 60  # words of title and conditions at most


def topic_of(text: str) -> str:
    """The first of `TOPICS` in the title and conditions at the start of a sex task's text.

    "other" where there is none; "no criteria stated" where a record says so explicitly.
    """
    if _UNSTATED.search(text):
        return UNSTATED
    head = " ".join(_BODY.split(text, maxsplit=1)[0].split()[:_HEAD])
    return next((topic for topic, pattern in _PATTERNS.items() if pattern.search(head)), OTHER)
