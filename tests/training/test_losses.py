import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from trialtune.training.losses import LOSSES, classification_loss


class Answers(nn.Module):
    """A model whose logits are its parameters."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, input_ids, attention_mask):
        return self


def loss_of(name, kind, logits, labels, targets=None):
    batch = {"input_ids": labels, "attention_mask": labels, "labels": labels}
    return classification_loss(name, kind, labels if targets is None else targets)(Answers(logits), batch)


def some_rows(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(6, 4, generator=generator)
    classes = torch.randint(4, (6,), generator=generator)
    labels = torch.eye(4)[classes]
    return logits, labels if kind == "multi_class" else (labels + torch.eye(4)[classes.flip(0)]).clamp(max=1)


def test_plain_losses_are_those_of_torch() -> None:
    logits, labels = some_rows("multi_label")
    expected = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1).sum()
    torch.testing.assert_close(loss_of("plain", "multi_label", logits, labels), expected)
    logits, labels = some_rows("multi_class")
    expected = functional.cross_entropy(logits, labels.argmax(1), reduction="sum")
    torch.testing.assert_close(loss_of("plain", "multi_class", logits, labels), expected)


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
@pytest.mark.parametrize("name", LOSSES)
def test_going_towards_the_labels_lowers_every_loss(name, kind) -> None:
    logits, labels = some_rows(kind)
    better = logits + 2 * (2 * labels - 1)
    assert loss_of(name, kind, better, labels) < loss_of(name, kind, logits, labels)
    model = Answers(logits)
    batch = {"input_ids": labels, "attention_mask": labels, "labels": labels}
    classification_loss(name, kind, labels)(model, batch).backward()
    assert model.logits.grad.isfinite().all() and model.logits.grad.norm() > 0


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
@pytest.mark.parametrize("name", LOSSES)
@given(st.floats(-80, 80))
def test_extreme_logits_give_finite_losses_and_gradients(name, kind, logit) -> None:
    _, labels = some_rows(kind)
    model = Answers(torch.full_like(labels, logit) * (1 - 2 * labels))
    batch = {"input_ids": labels, "attention_mask": labels, "labels": labels}
    loss = classification_loss(name, kind, labels)(model, batch)
    loss.backward()
    assert loss.isfinite() and loss >= 0 and model.logits.grad.isfinite().all()


def test_weighted_loss_charges_more_for_a_missed_rare_class() -> None:
    targets = torch.tensor([[1.0, 0]] * 9 + [[0.0, 1]])
    missed = torch.zeros(1, 2)
    for kind in ("multi_label", "multi_class"):
        common, rare = (
            loss_of("weighted", kind, missed, torch.tensor([label]), targets)
            for label in ([1.0, 0.0], [0.0, 1.0])
        )
        assert rare > 1.5 * common


def test_focal_and_asymmetric_losses_turn_down_what_is_right_already() -> None:
    labels = torch.tensor([[1.0, 0.0]])
    sure, unsure = torch.tensor([[4.0, -4.0]]), torch.tensor([[0.1, -0.1]])
    plain = loss_of("plain", "multi_label", sure, labels) / loss_of("plain", "multi_label", unsure, labels)
    for name in ("focal", "asymmetric"):
        turned = loss_of(name, "multi_label", sure, labels) / loss_of(name, "multi_label", unsure, labels)
        assert turned < plain
