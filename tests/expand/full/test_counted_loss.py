"""A loss that counts what is right leaves the loss as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from expand.full.counted_loss import CountedLoss

LOGITS = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]], requires_grad=True)


def test_it_counts_clips_until_it_is_cleared() -> None:
    loss, labels = CountedLoss(nn.CrossEntropyLoss()), torch.tensor([0, 0, 0])
    assert loss.share() is None
    assert torch.equal(loss(LOGITS, labels), nn.CrossEntropyLoss()(LOGITS, labels))
    assert loss.counts() == (2, 3)
    assert loss.share() == pytest.approx(2 / 3)
    again = CountedLoss(nn.CrossEntropyLoss())
    again.restore(loss.counts())
    again(LOGITS[:1], labels[:1])
    assert again.counts() == (3, 4)
    again.clear()
    assert again.share() is None


def test_clips_with_several_labels_have_no_share() -> None:
    loss, flags = CountedLoss(nn.BCEWithLogitsLoss()), torch.ones(3, 2)
    assert torch.equal(loss(LOGITS, flags), nn.BCEWithLogitsLoss()(LOGITS, flags))
    assert loss.share() is None
