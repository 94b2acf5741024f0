"""Where the checkout is that is tested: for its files, and for processes that import `tests` or `bench`."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
