"""Which release this is, as its distribution says."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def release() -> str:
    """Such as `1.1.0`; `unknown` where the code runs without having been installed."""
    try:
        return version("bulk-cancel")
    except PackageNotFoundError:
        return "unknown"
