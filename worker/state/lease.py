"""Which of all workers does it this time? Whoever takes the lease: a key that ends by itself."""

from redis import Redis


def take_lease(redis: Redis, key: str, *, for_ms: int, longest_ms: int = 0) -> bool:
    """True for one of all that ask, until `for_ms` are over; raises redis-py's errors.

    Redis ends a key by its wall clock: after a step back a lease lasts as much longer, with nobody left to end it. One
    that would last longer than `for_ms` (`longest_ms`, if others take it for longer) is taken over; two workers that do
    so at once both get it.
    """
    if redis.set(key, "1", nx=True, px=for_ms):
        return True
    outlasts = redis.pttl(key) > max(for_ms, longest_ms)
    return outlasts and bool(redis.set(key, "1", px=for_ms))
