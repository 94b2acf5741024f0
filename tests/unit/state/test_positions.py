"""Does a position say where a reader of several shards is, and lose none?"""

import pytest

from bulk_cancel.tasks.errors import NotAPositionError
from bulk_cancel.worker.state.positions import compose, parse, parse_for_one


def test_a_position_is_read_as_it_was_written() -> None:
    """A shard that came later is read from its beginning, one that went stays named."""
    at = {"default": "5-1", "a": "7-0"}
    assert compose(at) == "a=7-0;default=5-1"
    assert parse(compose(at), ["default", "a", "b"]) == {**at, "b": "0"}
    assert parse(compose(at), ["default"]) == at


@pytest.mark.parametrize(("position", "default", "a"), [("0", "0", "0"), ("1764", "1764", "1764"), ("9-2", "9-2", "0")])
def test_a_plain_position_has_a_meaning_for_all(position: str, default: str, a: str) -> None:
    """A time is everybody's; what was read when there was one Redis was that one's."""
    assert parse(position, ["default", "a"]) == {"default": default, "a": a}


@pytest.mark.parametrize(
    "position",
    [
        "",
        "junk",
        "-",
        "+",
        "$",
        "5-",
        "-5",
        "5-0\n",
        "\u0665",
        "18446744073709551616",
        "a=",
        "=5-0",
        "a=5-0;",
        "a=5-0;b",
    ],
)
def test_nonsense_is_refused(position: str) -> None:
    """Not read as the beginning of something, nor left to Redis, whose refusals are repeated."""
    with pytest.raises(NotAPositionError, match="is no position") as error:
        parse(position, ["a"])
    assert str(error.value).startswith(repr(position))
    with pytest.raises(NotAPositionError):
        parse_for_one(position, "a")


def test_a_single_redis_takes_its_part() -> None:
    """What was read of several is not told again; without its part it is not known where its reader was."""
    assert parse_for_one("a=0;default=5-1", "default") == "5-1"
    assert [parse_for_one(plain, "default") for plain in ("0", "1764", "9-2")] == ["0", "1764", "9-2"]
    with pytest.raises(NotAPositionError, match="'a=5-1' is no position"):
        parse_for_one("a=5-1", "default")
