"""Text from elsewhere is made safe to print."""

import pytest

from geolib.common.texts import one_line


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Ada \n\t L.\x1b[31m ", "Ada L.[31m"),
        ("a\u200bb\u202ec", "abc"),
        ("", ""),
        (ValueError("two\nlines"), "two lines"),
        (KeyError(), "KeyError"),
    ],
)
def test_a_text_is_one_printable_line(given, shown):
    assert one_line(given) == shown


def test_a_long_text_is_cut_and_ends_in_no_space():
    assert one_line("word " * 100, 50) == ("word " * 10).strip()
