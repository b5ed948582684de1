"""Search forms of texts: words without case, diacritics and separators."""

import pytest

from searchapp.files.text_form import make_search_form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("IMG_2201.jpg", " img 2201 jpg "),
        ("img2201", " img 2201 "),
        ("Straße", " strasse "),
        ("Zürich, Ärger", " zurich arger "),
        ("Zu\u0308rich", " zurich "),  # NFD, as some file systems write it
        ("東京タワー2019", " 東 京 タ ワ ー 2019 "),
        ("서울역", " 서 울 역 "),
        ("ﬁne Ⅳ", " fine iv "),  # NFKC
        ("が", " が "),  # The mark of a kana makes another letter.
        ("a\udcffb", " a b "),  # a byte that is not UTF-8
        ("-_. ", ""),
    ],
)
def test_search_form(text: str, form: str) -> None:
    """Texts that a person calls the same have the same form."""
    assert make_search_form(text) == form
