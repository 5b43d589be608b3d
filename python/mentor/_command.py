"""The command ``mentor``."""

import signal
import sys


def main() -> None:
    """Runs the command line as the binary does."""
    from mentor._mentor import command_line

    # The command line watches for Ctrl-C itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(command_line(["mentor", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
