"""Is a primary that became a replica left, although it still answers?"""

import pytest
from redis import Redis
from redis.exceptions import ReadOnlyError

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.scripts import Scripts


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("demoted", [False, True])
def test_a_verb_leaves_a_primary_that_takes_no_writes(demoted: bool, single: bool) -> None:  # noqa: FBT001
    """Within a script the refusal looks like any script's error; it must end the connection all the same."""
    with (
        EmbeddedRedis() as server,
        Redis.from_url(server.url, decode_responses=True, protocol=2, single_connection_client=single) as client,
    ):
        scripts = Scripts(client, "t", attempts=1)
        scripts.run("adopt", {})
        if demoted:
            client.replicaof("127.0.0.1", 1)
        else:
            client.config_set("min-replicas-to-write", 1)
        before = client.client_id()
        with pytest.raises(ReadOnlyError):
            scripts.run("adopt", {})
        assert client.client_id() != before
