"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    # A shell starts what runs in its background with Ctrl-C ignored, and the tests of Ctrl-C need it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
