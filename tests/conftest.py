"""For all tests: repeatable examples, signals as a terminal delivers them, a tiny extraction model."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from single_thread import on_one_thread

# The same examples on every run and machine, and no verdict by the clock: a red run is then about the change that it
# judges. HYPOTHESIS_PROFILE=explore draws new examples instead.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("explore", parent=settings.get_profile("repeatable"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# Beside each other (pytest-xdist) tests, and what they start, take one thread each: before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts a job in the background lets it ignore SIGINT, and so do the processes that the tests start.
# What Ctrl-C does is part of what is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory) -> Path:
    """The folder of an encoder with random weights that knows the characters of the samples."""
    from extraction_samples import save_encoder

    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def event_run(tiny_encoder, tmp_path_factory) -> Path:
    """The folder of a finished run whose model knows the events of the samples by heart."""
    from extraction_samples import train_tiny

    folder = tmp_path_factory.mktemp("events")
    with on_one_thread():
        assert train_tiny(folder, "events", tiny_encoder).metrics["event_f1"] == 1.0
    return folder / "run"
