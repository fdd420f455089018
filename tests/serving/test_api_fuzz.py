"""Schemathesis asks the API what its own OpenAPI document allows, and what it does not."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from served import NAME, HeldScorer, NumberExtractor, Parrot, serving

from ironwok.serving import Limits, Services, create_app
from ironwok.zero_shot import ZeroShotClassifier
from ironwok.zero_shot.registry import load_judge

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


@pytest.fixture(scope="module")
def api():
    services = Services(
        ZeroShotClassifier(scorer=HeldScorer()),
        NAME,
        NumberExtractor(),
        "numbers",
        answerer=Parrot(),
        answerer_name="parrot",
        judge=load_judge("relations"),
        judge_name="ironwok-small",
    )
    with serving(services, limits=Limits(batch_seconds=0)) as running:
        yield f"http://127.0.0.1:{running.client.port}"


schema = schemathesis.openapi.from_dict(create_app(Services()).openapi())


OPERATIONS = [found.ok() for found in schema.get_all_operations()]


# pytest.mark.parametrize and not the one of the schema, whose tests all have one name, by which pytest-xdist knows them
@pytest.mark.parametrize("operation", OPERATIONS, ids=[one.label for one in OPERATIONS])
def test_every_answer_is_one_that_the_document_promises(operation, api):
    @given(operation.as_strategy())
    @settings(
        max_examples=25,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        response = case.call_and_validate(base_url=api, checks=CHECKS)
        assert "Traceback" not in response.text
        assert "site-packages" not in response.text

    ask()
