"""Does the whole runner work over TLS as a user of Redis's ACL, and never show the password?"""

from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError

from bulk_cancel.worker.state.store import adopt, open_store
from tests.support.rig import Rig
from tests.system.chaos.drill import QUICK, all_off_book, place, quick_exchange, submit
from tests.system.chaos.report import Witness
from tests.system.chaos.tls_redis import PASSWORD, tls_redis


def test_redis_over_tls_with_an_acl_user(witness: Witness, tmp_path: Path) -> None:
    """State and broker; without the password there is no way in, and no log holds it in any spelling."""
    with tls_redis(tmp_path) as url, Rig(workers=0, config=quick_exchange(), settings=QUICK) as rig:
        rig.log_file = tmp_path / "worker.log"
        rig.configure(REDIS_URL=url, LOG_LEVEL="DEBUG")
        rig.store = open_store(rig._settings())
        adopt(rig.store)
        rig.start_workers(1)
        submit(rig, "b", place(rig, 300, lanes=2))
        all_off_book(rig, "b")
        witness.judge(rig)
        login = url.partition("//")[2].rpartition("@")[0].partition(":")[2]
        logged = rig.log_file.read_text("utf-8")
        assert "worker_ready" in logged
        assert PASSWORD not in logged
        assert login not in logged
        rig.configure(REDIS_URL=url.replace(login, "wrong"))
        with pytest.raises(AuthenticationError):
            open_store(rig._settings()).redis.ping()
