"""Is a batch that an account has left on another shard begun once more on this one?"""

import pytest

from bulk_cancel.tasks.errors import BatchConflictError
from tests.support.elsewhere import of_several, told_elsewhere
from tests.support.lane_rig import LaneRig, orders


def test_an_id_that_the_account_used_elsewhere_begins_nothing(rig: LaneRig) -> None:
    """Nothing is taken, and the shard that has the batch is named; another id is as good as ever."""
    told_elsewhere(rig, {"a1 old": "b"})
    with pytest.raises(BatchConflictError, match="batch 'old' is known on shard b, where its account a1 was before"):
        of_several(rig, "old", orders(2))
    assert rig.batches.known(["old"]) == []
    assert rig.claim().calls == ()
    assert of_several(rig, "new", orders(2)).new == 2


def test_what_another_account_has_elsewhere_is_not_in_the_way(rig: LaneRig) -> None:
    """Nor what is here already: it is completed."""
    told_elsewhere(rig, {"a2 others": "b"})
    assert of_several(rig, "others", orders(1)).new == 1
    told_elsewhere(rig, {"a1 others": "b"})
    assert of_several(rig, "others", orders(1)).known == 1


def test_each_account_has_its_own(rig: LaneRig) -> None:
    """Two that came from different shards may have left the same id there, as a day's name."""
    told_elsewhere(rig, {"a1 friday": "b"})
    told_elsewhere(rig, {"a2 friday": "c"})
    with pytest.raises(BatchConflictError, match="batch 'friday' is known on shard b"):
        of_several(rig, "friday", orders(1))


def test_a_runner_with_one_redis_asks_nothing(rig: LaneRig) -> None:
    """What is noted there is of no meaning to it."""
    told_elsewhere(rig, {"a1 old": "b"})
    assert rig.submit("old", orders(1)).new == 1


def test_what_is_noted_has_an_end(rig: LaneRig) -> None:
    """With the batches, after which ids may be used again."""
    told_elsewhere(rig, {"a1 old": "b"}, keep_s=60)
    assert 0 < rig.redis.ttl(rig.keys.of("elsewhere")) <= 60
