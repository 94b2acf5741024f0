"""The points of `check` about what a mass cancel of orders would leave: algo orders, spreads, bots and the like."""

from collections.abc import Container, Iterator
from threading import Event
from typing import Final

from bulk_cancel.worker.books.able import Survey
from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.survey import survey
from bulk_cancel.worker.config.users import User, users_of
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.operators.point import Point
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.window import Timing

NAME: Final = "can trade"


def able_points(store: Store, client: OkxClient, let_in: Container[str]) -> Iterator[Point]:
    """One for each User ID of which the exchange lets an account in; raises redis-py's errors."""
    settings = store.settings
    users = [user for user in users_of(settings).values() if any(each.name in let_in for each in user.accounts)]
    if users and not store.redis.hlen(store.keys.of("clock")):
        yield Point(NAME, "warn", "not asked: no worker has used this Redis yet, and windows are kept there", "later")
        return
    book = Book(store.scripts, client, Timing(settings.window_s, settings.http_timeout_s), Event())
    for user in users:
        yield able_point(user, survey(book, user))


def able_point(user: User, seen: Survey) -> Point:
    """Pure: what is able to place orders is in order as such, but nobody may believe that `all` stops it."""
    name = f"account {user.accounts[0].name}"
    barred = f"; not available to it: {', '.join(seen.unavailable)}" if seen.unavailable else ""
    if seen.complete:
        return Point(NAME, "ok", f"{name}: nothing but orders; a mass cancel stops all of it{barred}")
    return Point(NAME, "warn", f"{name}: {seen.words}{barred}", "a mass cancel of orders leaves them")
