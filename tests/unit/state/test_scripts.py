"""Which refusals of Redis pass by themselves, so that whoever calls a verb keeps what it has in hand?"""

from typing import cast

import pytest
from redis import Redis, exceptions

from bulk_cancel.worker.state.scripts import TRANSIENT, Scripts

_WRAPPED = "ERR Error running script (call to f_1): @user_script:9: @user_script: 9: "


class Refusing:
    """A Redis that answers each verb with an error."""

    connection = None
    connection_pool = type("Pool", (), {"disconnect": lambda *_, **__: None})()

    def __init__(self, words: str) -> None:
        self._words = words

    def evalsha(self, *_: object) -> object:
        """The error."""
        raise exceptions.ResponseError(self._words)


def refused(words: str) -> exceptions.RedisError:
    """What a caller of a verb gets."""
    scripts = Scripts(cast("Redis", Refusing(words)), "t", attempts=1)
    with pytest.raises(exceptions.RedisError) as raised:
        scripts.run("record", {})
    return raised.value


@pytest.mark.parametrize("wrapped", ["", _WRAPPED])
@pytest.mark.parametrize(
    "words",
    [
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "READONLY You can't write against a read only replica.",
        "NOREPLICAS Not enough good replicas to write.",
    ],
)
def test_a_refusal_that_passes_is_one_to_wait_for(words: str, wrapped: str) -> None:
    """Nothing was written yet; a result that is given up now would be sent again later."""
    assert isinstance(refused(wrapped + words), TRANSIENT)


@pytest.mark.parametrize(
    "words", ["OOM command not allowed when used memory > 'maxmemory'.", _WRAPPED + "attempt to index"]
)
def test_any_other_refusal_is_final(words: str) -> None:
    """Waiting would not help."""
    assert not isinstance(refused(words), TRANSIENT)
