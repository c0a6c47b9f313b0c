"""Tasks are found by id and by chapter."""

import pytest

from embedcourse import checks
from embedcourse.checks import find_task


def test_find_task_finds_every_task():
    assert all(find_task(task.id) is task for task in checks.all_tasks())
    with pytest.raises(ValueError, match="has no tasks"):
        checks.chapter_tasks("knitting")
