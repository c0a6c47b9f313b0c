"""The parts of the zygote that can be tried outside its box; what it promises is tried in `test_forked`."""

import mmap
import os
import threading
from pathlib import Path

import pytest

from embedcourse.grading import zygote


def test_a_process_with_threads_is_not_forked():
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="started threads"):
            zygote.require_one_thread()
    finally:
        wait.set()
        thread.join()


def test_a_call_that_the_kernel_refuses_is_an_error():
    with pytest.raises(OSError, match="mount: ") as caught:
        zygote.mount("none", "/nowhere", "tmpfs", zygote.MS_NODEV)
    assert caught.value.errno in (1, 2)  # not allowed, or no such folder
    assert not os.path.exists("/nowhere")


def test_settings_that_are_none_are_an_error(monkeypatch):
    monkeypatch.setattr(zygote.sys, "argv", ["zygote.py", "no settings"])
    with pytest.raises(ValueError, match="Expecting value"):
        zygote.main()


def test_memory_that_children_would_share_is_refused():
    private = "7f00-7f01 rw-p 00000000 00:00 0\n7f01-7f02 r--s 00000000 08:01 5 /usr/lib/gconv.cache\n"
    zygote.require_nothing_shared(private)
    with pytest.raises(RuntimeError, match="shares memory: 7f02"):
        zygote.require_nothing_shared(private + "7f02-7f03 rw-s 00000000 00:01 7 /dev/zero (deleted)\n")
    held = mmap.mmap(-1, 4096)
    with pytest.raises(RuntimeError, match="shares memory"):
        zygote.require_nothing_shared(Path("/proc/self/maps").read_text())
    held.close()
