from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from ironwok.errors import InputError
from ironwok.models import (
    RoFormerV2Config,
    RoFormerV2ForMaskedLM,
    RoFormerV2ForMultipleChoice,
    RoFormerV2ForNextSentencePrediction,
    RoFormerV2ForPreTraining,
    RoFormerV2ForQuestionAnswering,
    RoFormerV2ForSequenceClassification,
    RoFormerV2ForTokenClassification,
)

Make = Callable[..., RoFormerV2Config]
Batch = dict[str, torch.Tensor]
AUTO = {
    AutoModelForMaskedLM: RoFormerV2ForMaskedLM,
    AutoModelForNextSentencePrediction: RoFormerV2ForNextSentencePrediction,
    AutoModelForSequenceClassification: RoFormerV2ForSequenceClassification,
    AutoModelForTokenClassification: RoFormerV2ForTokenClassification,
    AutoModelForMultipleChoice: RoFormerV2ForMultipleChoice,
    AutoModelForQuestionAnswering: RoFormerV2ForQuestionAnswering,
}


def made(model_class: type[PreTrainedModel], config: RoFormerV2Config) -> PreTrainedModel:
    torch.manual_seed(0)
    return model_class(config).eval()


@pytest.mark.parametrize("auto", list(AUTO))
def test_auto_classes_find_them_in_a_pre_training_checkpoint(auto: type, tiny: Make, tmp_path: Path) -> None:
    pretrained = made(RoFormerV2ForPreTraining, tiny())
    pretrained.save_pretrained(tmp_path)
    model, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert type(model) is AUTO[auto]
    assert not [name for name in info["missing_keys"] if not name.startswith("classifier.")]
    assert not info["unexpected_keys"]
    ours = model.roformer.encoder.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in pretrained.roformer.encoder.state_dict().items())


@pytest.mark.parametrize("model_class", list(AUTO.values()))
def test_each_saves_and_loads(model_class: type[PreTrainedModel], tiny: Make, batch: Batch, tmp_path: Path) -> None:
    model = made(model_class, tiny())
    model.save_pretrained(tmp_path)
    loaded, info = model_class.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    inputs = {name: value[:, None] for name, value in batch.items()} if "Multiple" in model_class.__name__ else batch
    for ours, theirs in zip(model(**inputs).to_tuple(), loaded(**inputs).to_tuple(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_masked_lm_equals_pre_training(tiny: Make, batch: Batch, tmp_path: Path) -> None:
    pretrained = made(RoFormerV2ForPreTraining, tiny())
    pretrained.save_pretrained(tmp_path)
    model = RoFormerV2ForMaskedLM.from_pretrained(tmp_path)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    output = model(**batch, labels=labels)
    assert torch.equal(output.logits, pretrained(**batch).prediction_logits)
    torch.testing.assert_close(output.loss, pretrained(**batch, labels=labels).mlm_loss)
    assert model.roformer.pooler is None


def test_next_sentence_equals_pre_training(tiny: Make, batch: Batch, tmp_path: Path) -> None:
    pretrained = made(RoFormerV2ForPreTraining, tiny())
    pretrained.save_pretrained(tmp_path)
    model = RoFormerV2ForNextSentencePrediction.from_pretrained(tmp_path)
    follows = torch.tensor([0, 1, -100])
    output = model(**batch, labels=follows)
    assert torch.equal(output.logits, pretrained(**batch).seq_relationship_logits)
    torch.testing.assert_close(output.loss, pretrained(**batch, next_sentence_label=follows).nsp_loss)


def test_sequence_classification_losses(tiny: Make, batch: Batch) -> None:
    classes = made(RoFormerV2ForSequenceClassification, tiny(num_labels=5))
    output = classes(**batch, labels=torch.tensor([0, 4, 2]))
    assert output.logits.shape == (3, 5)
    expected = -output.logits.log_softmax(-1)[torch.arange(3), torch.tensor([0, 4, 2])].mean()
    torch.testing.assert_close(output.loss, expected)

    several = torch.tensor([[1.0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    independent = classes(**batch, labels=several)
    chances = independent.logits.sigmoid()
    expected = -(several * chances.log() + (1 - several) * (1 - chances).log()).mean()
    torch.testing.assert_close(independent.loss, expected)

    number = made(RoFormerV2ForSequenceClassification, tiny(num_labels=1))
    regressed = number(**batch, labels=torch.tensor([0.5, 1.0, -2.0]))
    expected = (regressed.logits[:, 0] - torch.tensor([0.5, 1.0, -2.0])).square().mean()
    torch.testing.assert_close(regressed.loss, expected)

    told = made(RoFormerV2ForSequenceClassification, tiny(num_labels=5, problem_type="multi_label_classification"))
    torch.testing.assert_close(told(**batch, labels=several.long()).loss, independent.loss)


def test_token_classification(tiny: Make, batch: Batch) -> None:
    model = made(RoFormerV2ForTokenClassification, tiny(num_labels=3))
    labels = torch.full((3, 9), -100)
    labels[0, 1], labels[2, 3] = 2, 0
    output = model(**batch, labels=labels)
    assert output.logits.shape == (3, 9, 3)
    expected = -(output.logits[0, 1].log_softmax(-1)[2] + output.logits[2, 3].log_softmax(-1)[0]) / 2
    torch.testing.assert_close(output.loss, expected)


def test_multiple_choice_scores_each_choice_alone(tiny: Make, batch: Batch) -> None:
    model = made(RoFormerV2ForMultipleChoice, tiny())
    twice = {name: torch.stack((value, value.roll(1, 0)), dim=1) for name, value in batch.items()}
    output = model(**twice, labels=torch.tensor([0, 1, 1]))
    assert output.logits.shape == (3, 2)
    torch.testing.assert_close(output.logits[:, 1], output.logits[:, 0].roll(1), rtol=1e-4, atol=1e-5)
    expected = torch.nn.functional.cross_entropy(output.logits, torch.tensor([0, 1, 1]))
    torch.testing.assert_close(output.loss, expected)
    with pytest.raises(InputError, match="batch, choices, tokens"):
        model(**batch)


def test_question_answering(tiny: Make, batch: Batch) -> None:
    model = made(RoFormerV2ForQuestionAnswering, tiny())
    starts, ends = torch.tensor([1, 2, 9]), torch.tensor([3, 2, 12])  # the third lies beyond the text
    output = model(**batch, start_positions=starts, end_positions=ends)
    assert output.start_logits.shape == output.end_logits.shape == (3, 9)
    first = torch.nn.functional.cross_entropy(output.start_logits[:2], starts[:2])
    last = torch.nn.functional.cross_entropy(output.end_logits[:2], ends[:2])
    torch.testing.assert_close(output.loss, (first + last) / 2)
    assert model(**batch).loss is None
    with pytest.raises(InputError, match="both"):
        model(**batch, start_positions=starts)


@pytest.mark.parametrize("model_class", list(AUTO.values()))
def test_dropout_and_gradients_reach_every_weight(model_class: type[PreTrainedModel], tiny: Make, batch: Batch) -> None:
    config = tiny(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.2, classifier_dropout=0.3)
    model = made(model_class, config).train()
    inputs = {name: value[:, None] for name, value in batch.items()} if "Multiple" in model_class.__name__ else batch
    first, second = model(**inputs).to_tuple()[0], model(**inputs).to_tuple()[0]
    assert not torch.equal(first, second)
    first.square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("model_class", list(AUTO.values()))
def test_tuples(model_class: type[PreTrainedModel], tiny: Make, batch: Batch) -> None:
    model = made(model_class, tiny())
    inputs = {name: value[:, None] for name, value in batch.items()} if "Multiple" in model_class.__name__ else batch
    assert isinstance(model(**inputs, return_dict=False), tuple)


def test_memorises_four_classified_texts(tiny: Make) -> None:
    model = made(RoFormerV2ForSequenceClassification, tiny(num_labels=4)).train()
    generator = torch.Generator().manual_seed(0)
    texts, labels = torch.randint(5, 50, (4, 8), generator=generator), torch.tensor([2, 0, 3, 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        loss = model(texts, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(model.eval()(texts).logits.argmax(-1), labels)
