"""Errors as a page of their own and in a terminal."""

import io

from rich.console import Console

from trialtune.reports.errors import class_errors, errors_to_rich, write_errors_page


def test_classes_without_errors_are_left_out(made_up_errors) -> None:
    assert [found.label for found in class_errors(made_up_errors)] == ["Regulatory", "Covid19"]


def test_importance_is_relative_to_the_text_s_greatest(made_up_errors) -> None:
    [error] = class_errors(made_up_errors)[0].groups[0].worst
    shares = {word.text: round(word.share, 3) for word in error.words}
    assert shares == {"… the ": 0, "agency": 1, " closed all ": 0, "offices": 0.176}
    assert error.telling == "agency +0.710, offices −0.125"


def test_the_page_stands_alone(made_up_errors, tmp_path) -> None:
    path = tmp_path / "new" / "errors.html"
    write_errors_page(made_up_errors, path)
    text = path.read_text()
    assert "1,204 of 3,117 rows" in text
    assert "http:" not in text and "https:" not in text and "<script" not in text
    assert text.count("<mark") >= 2


def test_the_terminal_shows_text_and_reasons(made_up_errors) -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(errors_to_rich(made_up_errors))
    text = console.export_text()
    assert "… the agency closed all offices" in text
    assert "Covid19: missed 1" in text
