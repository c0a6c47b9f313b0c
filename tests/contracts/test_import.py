"""Importing the package costs next to nothing over torch."""

import subprocess
import sys

ADDED = """
import time, torch
started = time.perf_counter()
import embedcourse, embedcourse.distances
print(time.perf_counter() - started)
"""


def test_the_package_adds_at_most_a_fifth_of_a_second_to_torch():
    runs = [subprocess.run([sys.executable, "-c", ADDED], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) <= 0.2
