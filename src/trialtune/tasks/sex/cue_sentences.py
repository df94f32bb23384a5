"""The sentences of a record on which sex it is open to, shortened to the words around the cues."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from trialtune.tasks.text import ended

# Words for participants.
NAMES = re.compile(
    r"\b(?:(?:fe)?males?|wom[ae]n|m[ae]n|boys?|girls?|ladies|sex(?:es)?|genders?|(?:grand)?mothers?|fathers?"
    r"|husbands?|wi(?:fe|ves)|widows?|(?:pre|post|peri)?menopaus\w*|trans(?:gender|wom[ae]n|m[ae]n)|MSM"
    r"|(?:nulli|primi|multi)par(?:ous|as?)|(?:primi)?gravid\w*|parturients?"
    r"|pregnant (?:patients?|subjects?|volunteers?|participants?|adolescents?))\b",
    re.IGNORECASE,
)
# Words for organs, pregnancy and contraception: weak cues, often in sentences about one of both sexes.
HINTS = re.compile(
    r"\b(?:pregnan\w*|lactat\w*|breast-? ?(?:feed|fed)\w*|nursing(?! (?:home|facilit|staff|care)\w*)"
    r"|contracept\w*|birth control|condoms?|child-? ?bearing|menstrua\w*|menses|gestation\w*|obstetric\w*"
    r"|(?:dys|a)menorrh\w*|c(?:a?es)arean|labou?r|post-?partum|(?:ante|pre)natal|trimester|(?:in)?fertil\w*|IVF|ICSI|tubal"
    r"|sterili[sz]\w*|breast (?:cancer|neoplasm|carcinoma|tumou?r)\w*|mastectom\w*|ovar\w*|uter(?:us|ine)"
    r"|cervix|cervical (?:cancer|neoplas|carcinoma|intraep|ripen|dysplas)\w*|vagin\w*|vulv\w*|endometri\w*"
    r"|hysterectom\w*|oophorectom\w*|gyn\w*|PCOS|PSA|prostat\w*|testic\w*|testes|vasectom\w*|sperm\w*|semen"
    r"|erectile|penile|penis|hypogonad\w*|androgen\w*|h(?:a?e)mophili\w*)\b",
    re.IGNORECASE,
)
_WORDS_AROUND = 15
_HEADING = re.compile(
    r"(?:^|(?<=[\n.;:*-])|(?<= ))[ \t]*\W{0,3}(?:(?:key|main|major|general|study|subject|patient|participant"
    r"|other|specific)\s+)?(?:inclusion|eligibility|(?P<exclusion>exclusion|non-?inclusion))(?:\s+criteria)?"
    r"(?:\s+(?:for|of)\s+[^:\n]{1,40})?\s*(?:\([^()\n]{1,40}\))?\s*(?::|(?=\n)|$|(?=\s\(?(?:\d|[-*•])))",
    re.IGNORECASE,
)
_BREAK = re.compile(
    r"\n+|(?:(?<=[a-z)%][.;?!])|(?<=\d\d[.;?!])) +(?=[A-Z(≥>\d*-])| +[*•▪·-] +(?=[A-Z(≥>])"
    r"|(?<=[a-z).;]) +(?=\(?\d{1,2}[.)] *[A-Z])"
)


def sentences(text: str) -> list[str]:
    """The sentences and list items of `text`, without bullets."""
    return [bare for piece in _BREAK.split(text) if (bare := piece.strip(" \t-*•·"))]


def divide_criteria(criteria: str) -> tuple[list[str], list[str]]:
    """The sentences under inclusion and under exclusion headings; those before any heading include."""
    headings = list(_HEADING.finditer(criteria))
    starts = [0, *(heading.end() for heading in headings)]
    ends = [*(heading.start() for heading in headings), len(criteria)]
    excluding = [False, *(bool(heading["exclusion"]) for heading in headings)]
    divided: tuple[list[str], list[str]] = ([], [])
    for start, end, side in zip(starts, ends, excluding, strict=True):
        divided[side].extend(sentences(criteria[start:end]))
    return divided


def around(sentence: str, telling: re.Pattern[str]) -> str:
    """The words of `sentence` within 15 of a cue; `…` marks omitted words."""
    words = [match.span() for match in re.finditer(r"\S+", sentence)]
    starts = [start for start, _ in words]
    kept: set[int] = set()
    for match in telling.finditer(sentence):
        first, last = (bisect_right(starts, place) - 1 for place in (match.start(), match.end() - 1))
        kept.update(range(max(0, first - _WORDS_AROUND), min(len(words), last + _WORDS_AROUND + 1)))
    shown = sorted(kept)
    pieces = [sentence[slice(*words[place])] for place in shown[:1]]
    for before, place in pairwise(shown):
        pieces.append(("" if place == before + 1 else "… ") + sentence[slice(*words[place])])
    return " ".join(pieces)


class Snippets:
    """Pieces of a record with cues, in the order added, without repeats."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.pieces: list[str] = []
        self._known = [_key(text) for text in known]

    def take(
        self,
        texts: Sequence[str],
        telling: re.Pattern[str],
        *,
        words: int,
        name: str = "",
        but: re.Pattern[str] | None = None,
    ) -> None:
        """Add up to `words` words around `telling` from sentences without `but`, under `name`."""
        taken: list[str] = []
        for sentence in texts:
            if not telling.search(sentence) or (but and but.search(sentence)):
                continue
            piece = around(sentence, telling)
            words -= len(piece.split())
            if taken and words < 0:
                break
            key = _key(piece)
            if not any(key in known for known in self._known):
                self._known.append(key)
                taken.append(ended(piece))
        if taken:
            self.pieces.append(" ".join(filter(None, [name, *taken])))


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()
