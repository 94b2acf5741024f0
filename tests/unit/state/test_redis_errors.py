"""Is a refusal of Redis told by its code, on every version, within a script and without?"""

import pytest
from redis import Redis
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as Away
from redis.exceptions import RedisError, ResponseError

from bulk_cancel.worker.state.redis_errors import ELSEWHERE, LATER, code_of, is_full

SCRIPT = "f_0a9f75e991483d02789696e4c90d26c10395863e"
WORDS = {
    "OOM": "command not allowed when used memory > 'maxmemory'.",
    "READONLY": "You can't write against a read only replica.",
    "NOREPLICAS": "Not enough good replicas to write.",
    "MASTERDOWN": "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF": "Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "BUSY": "Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "LOADING": "Redis is loading the dataset in memory",
    "NOPERM": "this user has no permissions to run the 'set' command",
}
FORMS = {
    "a command": "{code} {words}",
    "a script on Redis 6.2": "ERR Error running script (call to "
    + SCRIPT
    + "): @user_script:1: @user_script: 12: -{code} {words}",
    "a script on Redis 7.0": "{code} {words} script: 0a9f75e991483d02789696e4c90d26c10395863e, on @user_script:1.",
    "a script on Valkey": "{code} {words} script: on @user_script:1.",
}


def error(line: str) -> RedisError:
    """What redis-py makes of this answer; its text as servers sent it (6.2.14, 7.0.15, Valkey 9.1.2)."""
    made = BaseParser.parse_error(line)  # type: ignore[no-untyped-call]
    assert isinstance(made, RedisError)
    return made


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("code", [code for code in WORDS if code != "LOADING"])
def test_a_refusal_is_known_by_its_code(code: str, form: str) -> None:
    """redis-py takes some codes out of the text and leaves others in it."""
    made = error(form.format(code=code, words=WORDS[code]))
    assert code_of(made) == code
    assert is_full(made) is (code == "OOM")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("code", [code for code in WORDS if code != "LOADING"])
def test_so_it_is_in_a_pipeline(code: str, form: str) -> None:
    """redis-py puts the command before the answer; it changes the error itself."""
    made = error(form.format(code=code, words=WORDS[code]))
    Redis().pipeline().annotate_exception(made, 1, ("SET", "a", "b) of c\n(d"))  # type: ignore[no-untyped-call]
    assert str(made).startswith("Command # 1 (SET a b")
    assert code_of(made) == code


def test_what_has_no_code_is_none() -> None:
    """An error of a script's own, a connection that is gone, a word that only looks like one."""
    assert code_of(error("ERR unknown command 'FOO'")) == "ERR"
    assert code_of(error("ERR Error running script (call to " + SCRIPT + "): @user_script:3: OOM is my word")) == "ERR"
    assert code_of(Away("OOM command not allowed")) == ""
    assert code_of(ResponseError("no code")) == ""


def test_each_code_has_one_meaning() -> None:
    """What passes by itself is not what another server takes."""
    assert not LATER & ELSEWHERE
    assert not {"OOM", "NOPERM"} & (LATER | ELSEWHERE)
