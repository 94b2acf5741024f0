"""The classes that derive from one, wherever in our packages they are defined."""

import importlib
import pkgutil
from functools import cache
from typing import Final, TypeVar

ROOMS: Final = ("bulk_cancel.tasks", "bulk_cancel.worker")
PROGRAMS: Final = ("__main__", "bulk_cancel.worker.celery")
"""Modules that run when they are imported."""

T = TypeVar("T")


def subclasses(root: type[T]) -> list[type[T]]:
    """Every class of ours below `root`, each before its own subclasses."""
    import_all()
    found = dict.fromkeys(each for kind in root.__subclasses__() for each in (kind, *subclasses(kind)))
    return [kind for kind in found if kind.__module__.startswith(ROOMS)]


@cache
def import_all() -> None:
    """Imports every module of ours but the programs."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not module.name.endswith(PROGRAMS):
                importlib.import_module(module.name)
