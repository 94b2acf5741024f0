"""What pydantic finds wrong with a message, in our words: one line for each fault, without the value."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bulk_cancel.tasks.utf8 import HALF


def faults_in(error: ValidationError, *, within: str = "") -> list[str]:
    """One line per validation error: `orders[3].ordId: should be 1 to 20 digits`; values are not shown."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [f"{_place(within, detail['loc'])}: {_words(detail)}" for detail in found]


def _place(within: str, loc: tuple[int | str, ...]) -> str:
    # a label's name may be anything, so a name that is no plain word is quoted
    steps = "".join(f".{step}" if str(step).isidentifier() else f"[{step!r:.40}]" for step in loc)
    return (within + steps).lstrip(".") or "message"


def _words(detail: ErrorDetails) -> str:
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
