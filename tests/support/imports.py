"""Which modules Python has imported after some code has run, in a process of its own."""

import subprocess
import sys

_TELL = "; import sys as _sys; _sys.stderr.write('\\n' + '\\n'.join(_sys.modules))"


def imported_by(code: str) -> set[str]:
    """Full names of all modules; `code` is one line, and what it writes is of no interest."""
    ended = subprocess.run([sys.executable, "-c", code + _TELL], capture_output=True, text=True, check=True, timeout=30)
    return set(ended.stderr.splitlines())
