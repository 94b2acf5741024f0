"""How is the command line started without being installed? `python -m bulk_cancel.worker.cli`."""

from bulk_cancel.worker.cli import main

if __name__ == "__main__":
    main()
