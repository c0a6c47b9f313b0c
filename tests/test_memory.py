"""The largest tensor is found, wherever it is made."""

import subprocess
import sys

import torch

from embedcourse.memory import LargestTensor


def test_the_largest_of_several_is_kept(device):
    with LargestTensor() as largest:
        x = torch.zeros(100, device=device)
        y = x[:, None] - x
        y.sum(1)
    assert largest.bytes == 100 * 100 * 4


def test_views_and_what_was_made_before_add_nothing(device):
    x = torch.zeros(1000, device=device)
    with LargestTensor() as largest:
        small = torch.ones(10, dtype=torch.uint8, device=device)
        small.reshape(2, 5)[0].expand(300, 5)
    assert largest.bytes == 10
    with LargestTensor() as largest:
        x.view(10, 100)  # a view of 4,000 bytes looks at them all
    assert largest.bytes == 4000


def test_several_results_and_the_backward_pass_are_seen(device):
    x = torch.ones(50, device=device, requires_grad=True)
    with LargestTensor() as largest:
        (x[:, None] * x).sum().backward()
    assert largest.bytes == 50 * 50 * 4
    with LargestTensor() as largest:
        torch.zeros(64, device=device).sort()
    assert largest.bytes == 64 * 8  # the places, as 64-bit integers


def test_it_loads_no_compiler():
    program = "import sys, torch; from embedcourse.memory import LargestTensor\n"
    program += "with LargestTensor() as largest: torch.zeros(3)\nprint(largest.bytes, 'torch._dynamo' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "12 False\n"
