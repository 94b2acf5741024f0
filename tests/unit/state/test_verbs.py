"""Lua as it is written: what headers and comments say holds, and a verb is sent with what it uses and no more."""

import re
from importlib.resources import files

import pytest

from bulk_cancel.worker.state.scripts import LIBRARY, VERBS, source
from tests.support.headers import answers_of, header_of, walk


def shared(part: str) -> str:
    """The text of a part of the library."""
    return (files("bulk_cancel.worker.state") / "lua" / "lib" / f"{part}.lua").read_text("utf-8")


def own(verb: str) -> str:
    """The text of a verb, without what it uses of the library."""
    return (files("bulk_cancel.worker.state") / "lua" / f"{verb}.lua").read_text("utf-8")


def code(text: str) -> str:
    """Lua without comments and strings."""
    return re.sub(r"--.*|'[^'\n]*'", "", text)


def defined(text: str) -> set[str]:
    """The functions and values that a part of the library has for others."""
    found = re.findall(r"^local (?:function )?(\w+(?:, \w+)*)", text, re.MULTILINE)
    return {name for names in found for name in names.split(", ")}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_s_header_names_all_that_it_reads(verb: str) -> None:
    """Purpose, guarantee, KEYS, ARGV with every field used, return, and what it uses."""
    header = header_of(verb)
    assert re.match(rf"{verb}: .*Guarantee: .*KEYS\[1\] .*ARGV\[1\] .*return   JSON: .*uses     ", header)
    fields = set(re.findall(r"\binput\.(\w+)", own(verb)))
    assert {field for field in fields if not re.search(rf"\b{field}\b", header)} == set()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_s_header_names_the_libraries_whose_parts_it_uses_itself(verb: str) -> None:
    """Those of which some part was put before it."""
    before, _, body = source(verb).rpartition(f"-- {verb}: ")
    names = {part: defined(shared(part)) & defined(before) for part in LIBRARY}
    used = [part for part in LIBRARY if any(re.search(rf"(?<!\.)\b{name}\b", code(body)) for name in names[part])]
    assert header_of(verb).partition(" uses     ")[2].split(", ") == used


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_what_it_uses_of_the_library_and_nothing_else(verb: str) -> None:
    """Once, and before its use: what is not there yet would be a global, which is nil."""
    text = code(source(verb))
    for name in _shared_functions():
        places = [found.start() for found in re.finditer(rf"(?<![\w.]){name}\(", text)]
        ends = [found.end() - 1 - len(name) for found in re.finditer(rf"^local function {name}\(", text, re.MULTILINE)]
        assert places[:1] == ends, name
        assert not places or len(re.findall(rf"(?<!\.)\b{name}\b", text)) > 1, name


def test_blank_lines_part_the_functions_of_the_library() -> None:
    """The verbs are put together from what is between them."""
    for part in LIBRARY:
        assert all(re.match(r"local |--", piece) for piece in shared(part).split("\n\n")), part


@pytest.mark.parametrize("text", [*map(shared, LIBRARY), *map(own, VERBS)], ids=[*LIBRARY, *VERBS])
def test_a_comment_bears_the_name_of_its_function(text: str) -> None:
    """Where it begins with a name at all."""
    named = re.findall(r"^-- (\w+)(?:\([\w, ]*\))?: (?:.*\n--)*.*\nlocal function (\w+)", text, re.MULTILINE)
    assert [pair for pair in named if pair[0] != pair[1]] == []


@pytest.mark.parametrize("text", [*map(shared, LIBRARY), *map(own, VERBS)], ids=[*LIBRARY, *VERBS])
def test_a_number_has_a_name(text: str) -> None:
    """Small ones count things, and 1000 makes milliseconds of µs."""
    unnamed = re.sub(r"^ *local [A-Z_, ]+ = .*", "", code(text), flags=re.MULTILINE)
    assert set(re.findall(r"(?<![\w.])\d{2,}\b", unnamed)) <= {"1000"}


@pytest.mark.parametrize("verb", VERBS)
def test_redis_gets_numbers_without_their_names(verb: str) -> None:
    """A name would cost time at each run."""
    texts = "\n".join([*map(shared, LIBRARY), own(verb)])
    names = set(re.findall(r"^local ([A-Z_]+) = \d", texts, re.MULTILINE))
    assert {"INF", "SECOND_US", "URGENT_BELOW"} < names
    assert names & set(re.findall(r"\w+", code(source(verb)))) == set()


class TestAnswers:
    """What a header says of answers; tests with a real Redis compare them."""

    def test_objects_lists_and_maps_are_told_apart(self) -> None:
        """As `admit` has them all."""
        full, short, *_ = answers_of("admit")
        assert isinstance(full, dict)
        assert (full["status"], full["lanes"], full["paused"]) == (None, {"*": [None, None, None, None]}, [None])
        assert short == {"status": None}

    @pytest.mark.parametrize(
        "value",
        [{"due": {}}, {"due": {}, "calls": [], "more": 1}, {"due": 1, "calls": []}, {"due": {"l": [1]}, "calls": []},
         {"due": {}, "calls": {}}, {"due": {}, "calls": [{"stale": 0}]}, {"due": {}, "calls": [1]}],
    )  # fmt: skip
    def test_another_answer_is_found(self, value: object) -> None:
        """A field too few, one too many, or of another kind, however deep."""
        with pytest.raises(AssertionError):
            list(walk(answers_of("record")[0], value, "record"))

    def test_the_right_answer_is_walked_through(self) -> None:
        """All of it."""
        value = {"due": {"l": -1}, "calls": [{"stale": 0, "rested": ["s"]}]}
        found = list(walk(answers_of("record")[0], value, "r"))
        assert found == ["r", "r.due", "r.due.*", "r.calls", "r.calls[]", "r.calls[].stale", "r.calls[].rested",
                         "r.calls[].rested[]"]  # fmt: skip


def _shared_functions() -> list[str]:
    return re.findall(r"^local function (\w+)\(", "\n".join(map(shared, LIBRARY)), re.MULTILINE)
