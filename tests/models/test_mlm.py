"""The head on masked positions alone equals the dense path, in every family."""

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import (
    CamembertConfig,
    ConvBertConfig,
    EsmConfig,
    FNetConfig,
    MobileBertConfig,
    RobertaConfig,
)

from trialtune.corpus.masking import IGNORE
from trialtune.errors import DataError, UsageError
from trialtune.models.mlm import MaskedLM, head_parameters, load_head, save_head, start_head_bias


def test_equals_the_dense_path_in_loss_and_every_gradient(config, build, batch) -> None:
    input_ids, labels, attention = batch
    dense = build(config)
    plain = dense(input_ids=input_ids, attention_mask=attention, labels=labels)
    plain.loss.backward()
    ours = build(config)
    wrapped = MaskedLM(ours)
    assert wrapped.head is not None
    chosen = labels != IGNORE
    loss = wrapped(input_ids, labels, attention) / chosen.sum()
    loss.backward()
    torch.testing.assert_close(loss, plain.loss)
    losses, correct = wrapped.score(input_ids, labels, attention)
    torch.testing.assert_close(losses.mean(), plain.loss)
    assert torch.equal(correct, plain.logits.argmax(-1)[chosen] == labels[chosen])
    gradients = dict(ours.named_parameters())
    for name, parameter in dense.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name].grad, parameter.grad, msg=name, rtol=1e-4, atol=1e-6)


def test_an_unknown_family_takes_the_dense_path_with_a_message(build, batch, shape, caplog) -> None:
    input_ids, labels, attention = batch
    model = build(CamembertConfig(**shape))
    plain = model(input_ids=input_ids, attention_mask=attention, labels=labels)
    loss = MaskedLM(model)(input_ids, labels, attention) / (labels != IGNORE).sum()
    torch.testing.assert_close(loss, plain.loss)
    assert "'camembert'" in caplog.text


def test_documents_apart_do_not_see_one_another(build) -> None:
    model = build()
    wrapped = MaskedLM(model, separator=2)
    ids = torch.randint(5, 99, (1, 12), generator=torch.Generator().manual_seed(3))
    ids[0, 5] = 2  # the first document ends here
    other = ids.clone()
    other[0, 8] = 7 if ids[0, 8] != 7 else 8
    labels = torch.full_like(ids, IGNORE)
    labels[0, [1, 3]] = ids[0, [1, 3]]
    assert torch.equal(wrapped.score(ids, labels)[0], wrapped.score(other, labels)[0])
    assert not torch.equal(MaskedLM(model).score(ids, labels)[0], MaskedLM(model).score(other, labels)[0])


def test_head_round_trip_and_tied_decoder(build, tmp_path) -> None:
    model, other = build(), build()
    start_head_bias(model, torch.arange(99))
    save_head(model, tmp_path)
    # the tied matrix belongs to the encoder and is not in the head's file
    assert all(tensor.shape != (99, 32) for tensor in load_file(tmp_path / "mlm_head.safetensors").values())
    load_head(other, tmp_path)
    for name, value in head_parameters(model).items():
        assert torch.equal(head_parameters(other)[name], value)
    assert other.get_output_embeddings().weight is other.get_input_embeddings().weight


def test_a_head_of_another_encoder_is_refused(build, shape, tmp_path) -> None:
    save_head(build(), tmp_path)
    with pytest.raises(DataError, match=r"mlm_head\.safetensors.*does not fit"):
        load_head(build(RobertaConfig(**shape)), tmp_path)


def test_a_fresh_bias_gives_the_unigram_distribution(build) -> None:
    model = build()
    counts = torch.arange(99)
    start_head_bias(model, counts)
    expected = (counts + 1.0) / (counts + 1.0).sum()
    torch.testing.assert_close(model.get_output_embeddings().bias.softmax(0), expected)


APART = {"deberta": False, "deberta-v2": False, "modernbert": False, "longformer": False}  # all others: True


def test_documents_are_kept_apart_or_it_is_refused(family, small_config, build) -> None:
    model = build(small_config(family)).train()
    if not APART.get(family, True):
        with pytest.raises(UsageError, match=f"documents_apart: '{family}' models cannot separate"):
            MaskedLM(model, separator=2)
        return
    wrapped = MaskedLM(model, separator=2)
    assert model.training  # as it was
    model.eval()
    ids = torch.randint(5, 99, (1, 40), generator=torch.Generator().manual_seed(3))
    ids[0, 20] = 2
    other = ids.clone()
    other[0, 21:] = ids[0, 21:].flip(0)
    labels = torch.full_like(ids, IGNORE)
    labels[0, :20:3] = ids[0, :20:3]
    assert torch.equal(wrapped.score(ids, labels)[0], wrapped.score(other, labels)[0])
    assert not torch.equal(MaskedLM(model).score(ids, labels)[0], MaskedLM(model).score(other, labels)[0])


@pytest.mark.parametrize(
    ("family", "more"),
    [
        (ConvBertConfig, {"embedding_size": 16}),
        (MobileBertConfig, {"embedding_size": 16, "intra_bottleneck_size": 32}),
        (FNetConfig, {}),
        (EsmConfig, {"mask_token_id": 4, "max_position_embeddings": 128}),
    ],
    ids=["convbert", "mobilebert", "fnet", "esm"],
)
def test_families_that_let_the_other_document_through_are_refused(family, more, build, shape) -> None:
    config = family(**shape, **more)
    with pytest.raises(UsageError, match=f"documents_apart: '{config.model_type}' models cannot separate"):
        MaskedLM(build(config), separator=2)


@pytest.mark.parametrize(
    ("family", "more", "has_bias"),
    [("EsmConfig", {"mask_token_id": 4}, True), ("EuroBertConfig", {"num_key_value_heads": 2}, False)],
    ids=["esm", "eurobert"],
)
def test_a_head_whose_decoder_has_no_bias(family, more, has_bias, build, shape) -> None:
    if not hasattr(transformers, family):
        pytest.skip(f"transformers {transformers.__version__} has no {family}")
    config = getattr(transformers, family)(**shape, **more)
    model, counts = build(config), torch.arange(99)
    assert model.get_output_embeddings().bias is None
    before = {name: value.clone() for name, value in model.named_parameters()}
    start_head_bias(model, counts)
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert moved == (["lm_head.bias"] if has_bias else [])
    if has_bias:
        expected = (counts + 1.0) / (counts + 1.0).sum()
        torch.testing.assert_close(model.lm_head.bias.softmax(0), expected)
