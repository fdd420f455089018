"""The formulas of naive-Bayes context extension against a plain transcription in double precision."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.nbce import core

INF = math.inf


# the formulas again, with Python's numbers, one token at a time


def plain_truncate(p: list[float], top_p: float | None, top_k: int | None) -> list[float]:
    ranked = sorted(p, reverse=True)
    bound = 0.0
    if top_k is not None and top_k < len(p):
        bound = ranked[top_k - 1]
    if top_p is not None and top_p < 1:
        total = 0.0
        for value in ranked:
            total += value
            if total >= top_p:
                bound = max(bound, value)
                break
    return [value if value >= bound else 0.0 for value in p]


def plain_log(p: list[float]) -> list[float]:
    return [math.log(value) if value > 0 else -INF for value in p]


def plain_step(
    rows: list[list[float]],
    *,
    pooling: str,
    beta: float,
    eta: float,
    top_p: float | None,
    top_k: int | None,
    lift: list[float],
    route: float,
    previous: int,
) -> tuple[list[float], int]:
    """Scores and the chosen row; rows are probabilities, the first one without context."""
    cut = [plain_truncate(row, top_p, top_k) for row in rows]
    size = len(rows[0])
    chosen = 0
    if pooling == "entropy":
        judged = []
        for k in range(1, len(rows)):
            h = -sum(value * math.log(value) for value in cut[k] if value > 0)
            judged.append(h - route * lift[k - 1] - (eta if k == previous else 0.0))
        chosen = 1 + judged.index(min(judged))
        pooled = plain_log(cut[chosen])
    elif pooling == "max":
        pooled = [max(plain_log(row)[v] for row in cut[1:]) for v in range(size)]
    else:
        pooled = [sum(plain_log(row)[v] for row in cut[1:]) / (len(rows) - 1) for v in range(size)]
        if all(value == -INF for value in pooled):
            pooled = [sum(plain_log(row)[v] for row in rows[1:]) / (len(rows) - 1) for v in range(size)]
    scores = []
    for v in range(size):
        if pooled[v] == -INF:
            scores.append(-INF)
        elif cut[0][v] == 0:
            scores.append(pooled[v])
        else:
            scores.append((beta + 1) * pooled[v] - beta * math.log(cut[0][v]))
    return scores, chosen


def random_rows(generator: random.Random, rows: int, size: int) -> list[list[float]]:
    """Distributions from nearly even to nearly certain."""
    found = []
    for _ in range(rows):
        sharp = generator.choice([0.1, 1.0, 4.0])
        weights = [math.exp(sharp * generator.gauss(0, 1)) for _ in range(size)]
        found.append([weight / sum(weights) for weight in weights])
    return found


@pytest.mark.parametrize("pooling", core.POOLINGS)
def test_steps_equal_a_plain_transcription(pooling):
    generator = random.Random(pooling)
    empty_means = 0
    for _ in range(1500):
        count, size = generator.randint(1, 6), generator.randint(2, 24)
        rows = random_rows(generator, count + 1, size)
        options = {
            "pooling": pooling,
            "beta": generator.choice([-1.0, -0.5, 0.0, 0.25, 2.0]),
            "eta": generator.choice([0.0, 0.1, 1.0]),
            "top_p": generator.choice([None, 0.3, 0.95]),
            "top_k": generator.choice([None, 1, 3]),
            "route": generator.choice([0.0, 0.1, 1.0]),
            "previous": generator.randint(0, count),
        }
        lift = [generator.gauss(0, 5) for _ in range(count)]
        scores, chosen = plain_step(rows, lift=lift, **options)
        log_p = torch.tensor(rows, dtype=torch.float64).log()
        found = core.combine(log_p, lift=torch.tensor(lift, dtype=torch.float64), **options)
        assert found.context == chosen
        assert found.scores.tolist() == pytest.approx(scores, abs=1e-9)
        empty_means += pooling == "mean" and all(
            any(row[v] == 0 for row in (plain_truncate(one, options["top_p"], options["top_k"]) for one in rows[1:]))
            for v in range(size)
        )
    assert pooling != "mean" or empty_means > 100  # the rule for no token in common was put to the test


def test_three_tokens_by_hand():
    # nothing: 0.5 0.25 0.25; context 1 is sure of the third token, context 2 knows nothing
    rows = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.1, 0.9], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64).log()
    found = core.combine(rows, beta=1.0, top_p=None)
    assert found.context == 1
    # H = −0.1 ln 0.1 − 0.9 ln 0.9 = 0.3251, and ln 3 = 1.0986
    assert found.entropy.tolist() == pytest.approx([1.5 * math.log(2), 0.325083, 1.098612], abs=1e-6)
    # 2 ln 0.1 − ln 0.25 = ln 0.04; 2 ln 0.9 − ln 0.25 = ln 3.24
    assert found.scores.tolist() == pytest.approx([-INF, math.log(0.04), math.log(3.24)])
    # 0.9 and what context 2 has first: the second token falls out of context 1's nucleus, all stay in the empty one's
    cut = core.combine(rows, beta=1.0, top_p=0.9)
    assert cut.scores.tolist() == pytest.approx([-INF, -INF, math.log(3.24)])
    # the mean is the product, rooted: (0.1/3)^½, (0.9/3)^½
    mean = core.combine(rows, beta=0.0, pooling="mean", top_p=None)
    assert mean.scores.exp().tolist() == pytest.approx([0.0, math.sqrt(0.1 / 3), math.sqrt(0.3)])
    maximum = core.combine(rows, beta=0.0, pooling="max", top_p=None)
    assert maximum.scores.exp().tolist() == pytest.approx([1 / 3, 1 / 3, 0.9])


def test_routing_overrules_a_confident_context_that_does_not_explain_the_question():
    sure, unsure = [0.98, 0.01, 0.01], [0.2, 0.2, 0.6]
    rows = torch.tensor([[1 / 3] * 3, sure, unsure], dtype=torch.float64).log()
    lift = torch.tensor([-6.0, 20.0], dtype=torch.float64)
    assert core.combine(rows, lift=lift, route=0.0, top_p=None).context == 1
    routed = core.combine(rows, lift=lift, route=0.1, top_p=None)
    assert routed.context == 2
    assert int(routed.scores.argmax()) == 2


def test_the_choice_stays_where_it_was_for_eta():
    rows = torch.tensor([[0.5, 0.5], [0.60, 0.40], [0.62, 0.38]], dtype=torch.float64).log()
    assert core.combine(rows, top_p=None, eta=0.1).context == 2
    assert core.combine(rows, top_p=None, eta=0.1, previous=1).context == 1
    assert core.combine(rows, top_p=None, eta=0.0, previous=1).context == 2


def test_the_empty_context_is_never_chosen():
    rows = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.4, 0.6]], dtype=torch.float64).log()
    for pooling in core.POOLINGS:
        found = core.combine(rows, pooling=pooling, top_p=None)
        assert core.context_of(found, 1) in (1, 2)


def test_a_prior_without_a_token_leaves_the_pooled_value_alone():
    pooled = torch.tensor([-1.0, -INF, -2.0, -INF])
    prior = torch.tensor([-INF, -INF, -3.0, -1.0])
    assert core.with_prior(pooled, prior, 0.5).tolist() == [-1.0, -INF, -1.5, -INF]
    # β = −1 gives the prior, where the contexts allow the token at all
    assert core.with_prior(pooled, prior, -1.0).tolist() == [-1.0, -INF, -3.0, -INF]


@given(
    weights=st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=40),
    top_p=st.floats(0.01, 1.0),
    top_k=st.none() | st.integers(1, 50),
)
def test_truncation_keeps_a_nucleus(weights, top_p, top_k):
    # equals are equal as logarithms: two probabilities may differ in a last digit that their logarithms do not have
    log_p = (torch.tensor(weights, dtype=torch.float64) / sum(weights)).log()
    p = log_p.exp()
    kept = ~torch.isneginf(core.truncate(log_p, top_p=top_p, top_k=top_k))
    assert bool(kept[p.argmax()])
    if not bool(kept.all()):
        assert p[kept].min() > p[~kept].max()  # equals are kept together
    if top_k is None:
        assert p[kept].sum() >= top_p - 1e-9
        # without the last one, and its equals, it would not be reached
        assert p[kept & (p > p[kept].min())].sum() < top_p + 1e-9
    else:
        assert int((p[kept] > p[kept].min()).sum()) < top_k


def test_a_nucleus_larger_than_the_shortcut_is_found_too():
    generator = torch.Generator().manual_seed(0)
    flat = torch.log_softmax(torch.randn(3, 4000, generator=generator, dtype=torch.float64) * 0.1, dim=-1)
    kept = (~torch.isneginf(core.truncate(flat, top_p=0.95))).sum(dim=-1)
    for row, count in zip(flat.exp(), kept.tolist(), strict=True):
        values = row.sort(descending=True).values.cumsum(0)
        assert values[count - 1] >= 0.95 > values[count - 2]


def test_sampling_is_greedy_at_zero_and_repeats_with_a_seed():
    scores = torch.tensor([0.1, 2.0, 1.9, -INF])
    assert core.sample(scores) == 1

    def draw(seed: int, **options: float) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [core.sample(scores, temperature=1.0, generator=generator, **options) for _ in range(300)]

    drawn = draw(1)
    assert drawn == draw(1)
    assert drawn != draw(2)
    assert set(drawn) == {0, 1, 2}
    assert set(draw(1, top_p=0.6)) == {1, 2}


def test_drawn_shares_are_the_probabilities():
    generator = torch.Generator().manual_seed(3)
    scores = torch.tensor([0.6, 0.3, 0.1]).log()
    drawn = torch.tensor([core.sample(scores, temperature=1.0, generator=generator) for _ in range(4000)])
    shares = torch.bincount(drawn, minlength=3) / 4000
    assert shares.tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_the_posterior_is_a_softmax():
    assert core.posterior(torch.tensor([math.log(3), 0.0])).tolist() == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_k": 0}, "top_k is 0"),
        ({"pooling": "median"}, "pooling is 'median'; it is one of entropy, mean, max"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    rows = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()
    with pytest.raises(InputError, match=message):
        core.combine(rows, **options)


def test_one_row_is_not_enough():
    with pytest.raises(InputError, match="at least one other"):
        core.combine(torch.zeros(1, 5))
