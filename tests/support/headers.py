"""What the header of a verb says that it answers, compared with what it answers.

A header writes an object as `{field, field [item], field {field}}`, one by any names as `{name: item}`, a list as
`[item]`, one of fixed length as `[first, second]`, and what else may be answered after `or`. The rest are words, and in
parentheses explanations.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from redis import Redis

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.worker.state.formats import FORMATS, Formats
from bulk_cancel.worker.state.scripts import Scripts, source

T = TypeVar("T")

_EXPLAINED = re.compile(r"\([^()]*\)")
_TOKEN = re.compile(r"[{}\[\],:]|[^{}\[\],:]+")
_ANY = "*"

Shape = dict[str, "Shape"] | list["Shape"] | None
"""An object by field, a list of its one item or of as many as it has, or (None) a plain value."""


class CheckedScripts(Scripts):
    """Runs verbs, and compares every answer with its verb's header; `seen` are the paths of all that was answered."""

    def __init__(
        self, redis: Redis, prefix: str, *, formats: Formats = FORMATS, text_of: Callable[[str], str] = source
    ) -> None:
        super().__init__(redis, prefix, formats=formats, text_of=text_of)
        self.seen: set[str] = set()

    def _call(self, verb: str, text: str) -> Asking[dict[str, Any]]:
        reply = yield from super()._call(verb, text)
        self.seen |= set(_found(verb, reply))
        return reply


def _found(verb: str, reply: dict[str, Any]) -> Iterator[str]:
    said = answers_of(verb)
    alike = [number for number, shape in enumerate(said) if isinstance(shape, dict) and shape.keys() == reply.keys()]
    assert alike, f"{verb} answered {sorted(reply)}, its header says {said}"
    return walk(said[alike[0]], reply, f"{verb}/{alike[0]}")


def header_of(verb: str) -> str:
    """The comment at the top of the verb, as one line."""
    comment = (files("bulk_cancel.worker.state") / "lua" / f"{verb}.lua").read_text("utf-8").partition("\n\n")[0]
    return " ".join(line.removeprefix("--").strip() for line in comment.splitlines())


@cache
def answers_of(verb: str) -> list[Shape]:
    """The objects that the verb may answer, as its header says."""
    text = header_of(verb).partition("return   JSON: ")[2].partition(" uses ")[0]
    while _EXPLAINED.search(text):
        text = _EXPLAINED.sub("", text)
    return [_shape(_tokens(each)) for each in text.split(" or ")]


def _tokens(text: str) -> list[str]:
    return [token for found in _TOKEN.findall(text) if (token := found.strip())]


def paths(verb: str) -> Iterator[str]:
    """The paths of all that the verb may answer."""
    for number, shape in enumerate(answers_of(verb)):
        yield from walk(shape, shape, f"{verb}/{number}")


def walk(shape: Shape, value: object, path: str) -> Iterator[str]:
    """The paths of all that is in the value; AssertionError where it is not as the shape says."""
    yield path
    if isinstance(shape, dict):
        assert isinstance(value, dict), f"{path} is no object: {value}"
        known = shape if _ANY not in shape else dict.fromkeys(value, shape[_ANY])
        assert known.keys() == value.keys(), f"{path} has {sorted(value)}, its header says {sorted(known)}"
        for name, item in value.items():
            yield from walk(known[name], item, f"{path}.{_ANY if _ANY in shape else name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{path} is no list: {value}"
        items = shape * len(value) if len(shape) == 1 else shape
        for each, item in zip(items, value, strict=True):
            yield from walk(each, item, f"{path}[]")
    else:
        assert not isinstance(value, dict | list), f"{path} is no plain value: {value}"


def _shape(tokens: list[str]) -> Shape:
    """Takes one value from the front."""
    match tokens.pop(0):
        case "{":
            return dict(_items(tokens, _field))
        case "[":
            return list(_items(tokens, _shape))
        case _:
            return None


def _items(tokens: list[str], item: Callable[[list[str]], T]) -> Iterator[T]:
    """Takes items from the front, with the commas between them and the bracket behind them."""
    while tokens[0] not in "}]":
        yield item(tokens)
        if tokens[0] == ",":
            tokens.pop(0)
    tokens.pop(0)


def _field(tokens: list[str]) -> tuple[str, Shape]:
    name = tokens.pop(0)
    if tokens[0] == ":":
        tokens.pop(0)
        return _ANY, _shape(tokens)
    return name, _shape(tokens) if tokens[0] in "{[" else None
