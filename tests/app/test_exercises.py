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


def test_a_wrong_solution_fails_its_notebook():
    must_be_right(1.0, 1.0)
    with pytest.raises(AssertionError, match=r"gives 2\.0, expected 1\.0"):
        must_be_right(2.0, 1.0)
