"""For all tests: signals as a terminal delivers them."""

from __future__ import annotations

import signal

# A shell that starts a job in the background lets it ignore SIGINT, and so do the processes that the tests start.
# What Ctrl-C does is part of what is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
