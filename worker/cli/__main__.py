"""Starts the command line without its script: `python -m bulk_cancel.worker.cli`."""

from bulk_cancel.worker.cli import main

if __name__ == "__main__":
    main()
