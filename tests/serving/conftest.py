"""Servers for the tests of HTTP."""

from __future__ import annotations

import pytest
from served import NAME, HeldScorer, NumberExtractor, serving

from ironwok.serving import Services
from ironwok.zero_shot import ZeroShotClassifier


@pytest.fixture
def scorer():
    held = HeldScorer()
    yield held
    held.go.set()


@pytest.fixture
def services(scorer):
    return Services(
        classifier=ZeroShotClassifier(scorer=scorer),
        classifier_name=NAME,
        extractor=NumberExtractor(),
        extractor_name="numbers",
    )


@pytest.fixture
def client(services):
    with serving(services) as running:
        yield running.client
