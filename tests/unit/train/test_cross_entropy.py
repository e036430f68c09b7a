"""The loss at the head, chunk by chunk, is cross-entropy with cross-entropy's gradient."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from trainer.train import loss
from trainer.train.loss import chunked_loss
from trainer.train.settings import MAX_MICRO_TOKENS, micro_tokens


def plain(weight):
    return lambda hidden: hidden @ weight


def capped(weight):
    return lambda hidden: torch.tanh(hidden @ weight / 3) * 3


@pytest.mark.parametrize("kind", [plain, capped], ids=["a plain head", "a head with a soft cap"])
def test_the_loss_and_its_gradient_are_those_of_cross_entropy(kind, monkeypatch):
    monkeypatch.setattr(loss, "CHUNK", 7)
    torch.manual_seed(3)
    head = kind(torch.randn(5, 11, dtype=torch.float64))
    hidden = torch.randn(20, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 11, (20,))
    expected = cross_entropy(head(hidden), targets, reduction="sum")
    found = chunked_loss(hidden, targets, head)
    gradients = [torch.autograd.grad(each, hidden)[0] for each in (expected / 20, found / 20)]
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-10, atol=1e-12)


PREFIXES = [
    pytest.param("cpu", 0, 256, id="rows that share nothing"),
    pytest.param("cpu", 20, 256, id="a short prefix is a small share anyway"),
    pytest.param("cpu", 90, 900, id="a longer one may be a tenth of a part"),
    pytest.param("cpu", 400, MAX_MICRO_TOKENS, id="memory is bounded all the same"),
    pytest.param("cuda", 400, 16384, id="a GPU takes large parts in any case"),
]


@pytest.mark.parametrize(("device", "prefix", "expected"), PREFIXES)
def test_a_shared_prefix_makes_the_parts_larger(device, prefix, expected):
    assert micro_tokens(device, prefix) == expected
