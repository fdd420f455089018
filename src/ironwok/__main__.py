"""``python -m ironwok``: the command line, also for launchers that start modules (torchrun, accelerate)."""

from __future__ import annotations

import sys

from ironwok.cli import main

if __name__ == "__main__":
    sys.exit(main())
