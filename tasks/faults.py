"""What pydantic finds wrong with a message, in our words: one line for each fault, without the value."""

from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bulk_cancel.tasks.utf8 import HALF


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where, such as `orders[3].ordId`; `place` is empty for a message as a whole."""

    place: str
    words: str

    def __str__(self) -> str:
        return f"{self.place or 'message'}: {self.words}"

    @property
    def bare(self) -> str:
        """The line for who knows which message it is about."""
        return str(self) if self.place else self.words


def faults_in(error: ValidationError, *, within: str = "") -> list[str]:
    """One line per validation error: `orders[3].ordId: should be 1 to 20 digits`; values are not shown."""
    return list(map(str, found_in(error, within=within)))


def found_in(error: ValidationError, *, within: str = "") -> list[Fault]:
    """The same as values."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [Fault(_place(within, detail["loc"]), words_of(detail)) for detail in found]


def _place(within: str, loc: tuple[int | str, ...]) -> str:
    # a label's name may be anything, so a name that is no plain word is quoted
    steps = "".join(f".{step}" if str(step).isidentifier() else f"[{step!r:.40}]" for step in loc)
    return (within + steps).lstrip(".")


def words_of(detail: ErrorDetails) -> str:
    """What is wrong, without the place."""
    match detail["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is no field of this message"
        case "string_unicode":
            return HALF
        case "tuple_type":
            return "should be a list"
        case "model_type":
            return "should be an object with instId and an id: ordId, clOrdId, algoId or algoClOrdId"
    return detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
