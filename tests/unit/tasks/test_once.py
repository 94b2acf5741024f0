"""Is a name that stands twice in one object found, however many names there are?"""

import pytest

from bulk_cancel.tasks.once import TwiceError, once, twice

MANY = [(str(number), number) for number in range(300_000)]


def test_an_object_with_each_name_once_is_what_it_is() -> None:
    """Of any size."""
    assert once([("a", 1), ("b", 2)]) == {"a": 1, "b": 2}
    assert once(MANY) == dict(MANY)


def test_the_first_name_that_comes_again_is_told() -> None:
    """Also the last of very many: who counts each one anew would hold up its reader for an hour."""
    with pytest.raises(TwiceError, match=r"^names 'b' twice in one object; keep one of them$"):
        once([("a", 1), ("b", 2), ("c", 3), ("c", 4), ("b", 5)])
    with pytest.raises(TwiceError, match="'299999'"):
        once([*MANY, MANY[-1]])
    assert twice("abcab") == ["a", "b"]
