"""Losses for classifier training, including ones for rare classes."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from trialtune.training.prefetch import Batch
from trialtune.training.settings import LossName

LOSSES: tuple[LossName, ...] = ("plain", "weighted", "focal", "asymmetric")

_FOCUS = 2.0  # exponent of focal loss, and of asymmetric loss on negatives
_MARGIN = 0.05  # asymmetric loss ignores negatives below this probability
_HEAVIEST = 10.0  # weight of the rarest class


def classification_loss(
    name: LossName, kind: str, targets: torch.Tensor
) -> Callable[[nn.Module, Batch], torch.Tensor]:
    """The summed loss of a batch, for targets [rows, labels]: 0/1, or probabilities of a teacher.

    For multi-label rows it is the mean over their labels. `plain` is cross entropy. `weighted` weighs
    each class's positives by the square root of negatives per positive in `targets`, at most
    10. `focal` down-weights well-classified examples (Lin et al., 2017, arXiv:1708.02002);
    `asymmetric` does so only for negatives (Ridnik et al., 2021, arXiv:2009.14119).
    """
    share = targets.mean(dim=0).clamp(1e-6, 1 - 1e-6)
    if kind == "multi_label":
        weights = ((1 - share) / share).sqrt().clamp(1, _HEAVIEST)
        rows_loss = _LABEL_LOSSES[name]
    else:
        weights = (1 / (share * len(share))).sqrt().clamp(1 / _HEAVIEST, _HEAVIEST)
        rows_loss = _CLASS_LOSSES[name]

    def loss_of(model: nn.Module, batch: Batch) -> torch.Tensor:
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.float()
        return rows_loss(logits, batch["labels"], weights.to(logits.device)).sum()

    return loss_of


_RowsLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _binary(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def _plain_labels(logits: torch.Tensor, labels: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return _binary(logits, labels).mean(dim=1)


def _weighted_labels(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    each = functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="none")
    return each.mean(dim=1)


def _focal_labels(logits: torch.Tensor, labels: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    missed = (logits.sigmoid() - labels).abs()
    return (missed**_FOCUS * _binary(logits, labels)).mean(dim=1)


def _asymmetric_labels(logits: torch.Tensor, labels: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    counted = (logits.sigmoid() - _MARGIN).clamp(min=0)  # the probability of negatives in the loss
    positives = labels * functional.logsigmoid(logits)
    negatives = (1 - labels) * counted**_FOCUS * torch.log1p(-counted)
    return -(positives + negatives).mean(dim=1)


def _plain_classes(logits: torch.Tensor, labels: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, labels, reduction="none")


def _weighted_classes(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, labels, weight=weights, reduction="none")


def _focal_classes(logits: torch.Tensor, labels: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    log_shares = logits.log_softmax(dim=1)
    return -(labels * (1 - log_shares.exp()) ** _FOCUS * log_shares).sum(dim=1)


_LABEL_LOSSES: dict[LossName, _RowsLoss] = {
    "plain": _plain_labels,
    "weighted": _weighted_labels,
    "focal": _focal_labels,
    "asymmetric": _asymmetric_labels,
}
_CLASS_LOSSES: dict[LossName, _RowsLoss] = {
    "plain": _plain_classes,
    "weighted": _weighted_classes,
    "focal": _focal_classes,
    "asymmetric": _focal_classes,  # one class is right: positives and negatives depend on each other
}
