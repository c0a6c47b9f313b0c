"""Results stay on the device of their inputs, agree with those of the CPU, and two devices are not mixed."""

import pytest
import torch

from embedcourse.distances import METRICS, GaussianReference, cdist, hamming, mahalanobis, nearest, pack_bits, whiten


def points(n, metric, generator, dtype):
    if metric == "packed_hamming":
        return torch.randint(0, 256, (n, 16), generator=generator).to(torch.uint8)
    return torch.randn(n, 16, dtype=dtype, generator=generator)


def options_for(metric, x):
    return {"covariance": torch.eye(16, dtype=x.dtype, device=x.device) + 0.2} if metric == "mahalanobis" else {}


@pytest.mark.parametrize("metric", METRICS)
def test_every_device_agrees_with_the_cpu(metric, device, dtype, generator):
    x, y = points(60, metric, generator, dtype), points(50, metric, generator, dtype)
    there, back = x.to(device), y.to(device)
    got = cdist(there, back, metric, **options_for(metric, there))
    assert got.device == there.device
    torch.testing.assert_close(got.cpu(), cdist(x, y, metric, **options_for(metric, x)))
    found = nearest(there, back, 5, metric, **options_for(metric, there))
    assert {found.values.device, found.indices.device} == {there.device}
    assert torch.equal(found.indices.cpu(), nearest(x, y, 5, metric, **options_for(metric, x)).indices)


def test_the_reference_stays_on_the_device(device, dtype, generator):
    x = torch.randn(40, 5, dtype=dtype, generator=generator).to(device)
    reference = GaussianReference(shrinkage="oas").fit(x)
    results = (reference.mean, reference.covariance, reference.distance(x))
    white = whiten(x, reference.mean, reference.covariance)
    assert {tensor.device for tensor in (*results, white, pack_bits(x > 0))} == {x.device}


@pytest.mark.usefixtures("as_a_user")
def test_two_devices_are_not_mixed():
    here, elsewhere = torch.zeros(2, 3), torch.zeros(2, 3, device="meta")
    for function in (hamming, cdist, lambda x, y: nearest(x, y, 1)):
        with pytest.raises(ValueError, match="on one device, got cpu and meta"):
            function(here, elsewhere)
    with pytest.raises(ValueError, match="covariance must be on one device, got cpu and meta"):
        mahalanobis(here, here, torch.eye(3, device="meta"))
