"""The worst errors: the right rows, cut around what mattered."""

from hypothesis import given
from hypothesis import strategies as st

from trialtune.classifier.explain import Span
from trialtune.evaluation.error_report import Piece
from trialtune.stages.errors import cut


def whole(pieces) -> str:
    return "".join(piece.text for piece in pieces)


def test_a_short_text_stays_whole_with_its_words_marked() -> None:
    text = "No funding and slow start"
    pieces = cut(text, [Span(0, 2, 0.001), Span(3, 10, 0.4), Span(15, 19, -0.2)])
    assert whole(pieces) == text
    marked = [(piece.text, piece.importance) for piece in pieces if piece.importance is not None]
    assert marked == [("funding", 0.4), ("slow", -0.2)]  # the first word moves nothing


def test_a_long_text_is_cut_around_what_mattered() -> None:
    text = "word " * 500 + "funding" + " word" * 500
    pieces = cut(text, [Span(0, 4, 0.1), Span(2500, 2507, 0.4)])
    assert whole(pieces).startswith("… ") and whole(pieces).endswith(" …")
    assert Piece(text="funding", importance=0.4) in pieces
    assert len(whole(pieces)) <= 310
    assert whole(cut(text, [])).startswith("word")


@given(st.text("ab \n", min_size=0, max_size=400), st.data())
def test_any_cut_is_a_piece_of_the_text(text, data) -> None:
    starts = data.draw(st.lists(st.integers(0, max(len(text) - 1, 0)), unique=True, max_size=8))
    spans = [Span(start, start + 1, 0.3) for start in sorted(starts) if start < len(text)]
    shown = whole(cut(text, spans, shown=60))
    assert shown.removeprefix("… ").removesuffix(" …") in text
    assert len(shown) <= 64
