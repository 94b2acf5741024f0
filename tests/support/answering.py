"""Does a Redis answer?"""

from redis import Redis
from redis.exceptions import RedisError


def answers(client: Redis) -> bool:
    """Whether it is there, and has read what it kept."""
    try:
        return bool(client.ping())
    except RedisError:
        return False
