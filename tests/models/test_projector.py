"""The projector is the perceptron that the papers write down."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from embedcourse.models.projector import Projector


def test_two_layers_are_simclrs_equation(device, generator):
    projector = Projector(6, 5, 3).to(device)
    first, norm, _, second = projector
    h = torch.randn(16, 6, generator=generator).to(device)
    hidden = h @ first.weight.T
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
    torch.testing.assert_close(projector(h), F.relu(hidden) @ second.weight.T, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("widths", "layers"), [((8, 4), 1), ((8, 8, 4), 2), ((8, 16, 16, 32), 3)])
def test_hidden_layers_are_normalised_and_the_last_is_linear_alone(widths, layers):
    projector = Projector(*widths)
    linear = [layer for layer in projector if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == list(pairwise(widths))
    assert all(layer.bias is None for layer in linear)
    assert [type(layer) for layer in projector] == [nn.Linear, nn.BatchNorm1d, nn.ReLU] * (layers - 1) + [nn.Linear]
    assert projector(torch.randn(5, 8)).shape == (5, widths[-1])


@pytest.mark.usefixtures("as_a_user")
def test_bad_widths_and_rows_are_refused_by_name():
    for widths in ((), (3,), (3, 0), (3, -1, 2)):
        with pytest.raises(ValueError, match="widths must be two or more numbers of at least 1, got"):
            Projector(*widths)
    with pytest.raises(ValueError, match=r"h must have shape \(n, 4\), got \(2, 3\)"):
        Projector(4, 2)(torch.zeros(2, 3))
