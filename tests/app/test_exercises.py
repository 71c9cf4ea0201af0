import numpy as np
import pytest

from geolib.app.exercises import check, must_be_right


@pytest.mark.parametrize(
    ("answer", "says"),
    [(..., "Your turn"), (41.99, "Right."), (40.0, "Not yet. Add them up."), ("42", "Right."), ([42, 42], "Not yet")],
)
def test_check_says_what_to_do(capsys, answer, says):
    check(answer, 42, "Add them up.")
    assert says in capsys.readouterr().out


def test_arrays_and_words_are_compared_whole(capsys):
    check(np.array([1.0, 2.0]), [1.0, 2.0], "no")
    check("Peru", "Peru", "no")
    assert capsys.readouterr().out.count("Right.") == 2


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        (1e-17, 0, True),
        (-1e-12, 0.0, True),
        (1e-6, 0, False),
        ([1e-14, 5000], [0, 5000], True),
        ([1e-3, 5000], [0, 5000], False),
        (0, 1e-12, False),
        (1.01e-12, 1e-12, False),
        ([0.0, 2.0], [0.0, np.inf], False),
        ([0.0, np.inf], [0.0, np.inf], True),
    ],
)
def test_rounding_at_zero_is_right_and_small_numbers_are_not_zero(capsys, answer, expected, right):
    check(answer, expected, "no")
    assert capsys.readouterr().out.startswith("Right." if right else "Not yet.")


def test_a_wrong_solution_fails_its_notebook():
    must_be_right(1.0, 1.0)
    with pytest.raises(AssertionError, match=r"gives 2\.0, expected 1\.0"):
        must_be_right(2.0, 1.0)
