"""Data on the wire: plain data comes back as it went, and nothing else comes through."""

import json
import math
import socket
import struct
import tracemalloc

import numpy as np
import pytest
import torch

from embedcourse.checks import all_tasks
from embedcourse.checks.answer import unchanged
from embedcourse.grading.wire import LENGTHS, MAGIC, Malformed, Stranger, pack, read_frame, unpack, write_frame

PLAIN = [
    *(None, True, False, 0, -(2**63), 2**64 - 1, "", "Ähre\n\0<b>", [], (), {}, 1.5, -0.0, math.inf, 5e-324),
    *([1, [2.0, (3,)]], {"a": (1,), "b": {"c": None}}, {1: "x", None: "y"}, (True, 1, 1.0)),
]
DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float64]


def message(tree: object, raw: bytes = b"") -> bytes:
    """A message with a header that `pack` would perhaps not write."""
    header = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return MAGIC + LENGTHS.pack(len(header), len(raw)) + header + raw


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_data_comes_back_as_it_went(value):
    again = unpack(pack(value))
    assert again == value
    assert type(again) is type(value)


def test_nan_and_the_sign_of_zero_are_kept():
    assert math.isnan(unpack(pack(math.nan)))
    assert math.copysign(1, unpack(pack(-0.0))) == -1


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 4)], ids=str)
def test_tensors_come_back_to_the_bit(dtype, shape, generator):
    value = (torch.rand(shape, generator=generator) * 100).to(dtype)
    again = unpack(pack(value))
    assert again.dtype == dtype
    assert torch.equal(again, value)


def test_tensors_keep_nan_and_infinity_and_lose_only_their_strides():
    value = torch.tensor([[math.nan, math.inf], [-math.inf, -0.0]]).T
    again = unpack(pack([value, value[1:], value != value]))
    assert torch.equal(again[0].view(torch.int32), value.contiguous().view(torch.int32))
    assert torch.equal(again[1], value[1:])
    assert again[2].tolist() == [[True, False], [False, False]]


def test_a_tensor_that_wants_a_gradient_is_sent_as_its_numbers():
    again = unpack(pack(torch.nn.Parameter(torch.ones(2))))
    assert not again.requires_grad
    assert type(again) is torch.Tensor


def test_a_numpy_array_is_an_array_on_the_other_side(generator):
    again = unpack(pack(np.arange(6.0).reshape(2, 3), strangers=True))
    assert isinstance(again, np.ndarray)
    assert again.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_a_class_of_its_own_holds_keeps_the_name_of_the_class():
    again = unpack(pack(torch.topk(torch.arange(5.0), 2), strangers=True))
    assert type(again).__name__ == "topk"
    assert isinstance(again, tuple)
    assert again[1].tolist() == [4, 3]


@pytest.mark.parametrize("value", [{1, 2}, b"x", 1j, len, object(), 2**70, np.True_], ids=lambda v: type(v).__name__)
def test_what_is_no_plain_data_is_refused_or_replaced_by_its_type(value):
    with pytest.raises(TypeError, match="value: expected plain data, got a"):
        pack([value])
    stranger = unpack(pack([value], strangers=True))[0]
    assert isinstance(stranger, Stranger)
    assert type(stranger).__name__ in (type(value).__name__, "very large int")


def test_a_stranger_whose_words_fail_is_still_one():
    class Mute:
        def __repr__(self):
            raise RuntimeError

    assert type(unpack(pack(Mute(), strangers=True))).__name__ == "Mute"


def test_a_stranger_shows_nothing_that_moves_the_cursor():
    stranger = Stranger.of("evil\x1b[2J", "a\nb" * 1000)
    assert type(stranger).__name__ == "evil[2J"
    assert repr(stranger) == "ab" * 66 + "a"


def test_a_value_without_end_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match="more than"):
        pack(endless)
    with pytest.raises(ValueError, match="more than"):
        pack([0] * 25_000)


MALFORMED = {
    "nothing": b"",
    "a pickle": b"\x80\x04\x95\x0f\x00\x00\x00",
    "another beginning": b"WRONG" + LENGTHS.pack(4, 0) + b"null",
    "a header longer than all": MAGIC + LENGTHS.pack(2**60, 0) + b"null",
    "a body longer than all": MAGIC + LENGTHS.pack(4, 2**60) + b"null",
    "bytes that belong to nothing": message(None, b"x"),
    "no JSON": message(b"{["),
    "no text": message(b"\xff\xfe"),
    "an object": message({"a": 1}),
    "a number with a point": message(1.5),
    "NaN": message(b"NaN"),
    "a number too large": message(10**30),
    "a number without end": message(b"9" * 10_000),
    "an unknown kind": message(["pickle", "x"]),
    "a kind that is no text": message([["list"], []]),
    "an empty list": message([]),
    "items that are no list": message(["list", "abc"]),
    "too many arguments": message(["list", [], []]),
    "pairs that are none": message(["dict", [["list", []]]]),
    "a key that is no key": message(["dict", [[["list", []], None]]]),
    "a float that is none": message(["float", "a lot"]),
    "a tensor without bytes": message(["tensor", "float32", [4]], b"1234"),
    "a tensor of objects": message(["tensor", "object", [1]], b"12345678"),
    "a tensor of a quintillion": message(["tensor", "int64", [2**30, 2**30]]),
    "an empty tensor of a quintillion": message(["tensor", "int64", [0, 2**30, 2**30]]),
    "a negative shape": message(["tensor", "uint8", [-1]]),
    "a shape of text": message(["tensor", "uint8", ["1"]], b"x"),
    "a shape of bools": message(["tensor", "uint8", [True]], b"x"),
    "too many dimensions": message(["tensor", "uint8", [1] * 40], b"x"),
    "too deep for the form": message(b'["list",[' * 100 + b"]]" * 100),
    "too deep for JSON": message(b"[" * 200_000),
    "too many items": message(["list", [0] * 25_000]),
    "a stranger without a name": message(["stranger", 1, 2]),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_malformed_is_refused_and_costs_no_memory(data):
    tracemalloc.start()
    with pytest.raises(Malformed):
        unpack(data)
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


def test_a_bool_is_true_or_false_whatever_byte_it_comes_as():
    assert unpack(message(["tensor", "bool", [3]], b"\x00\x02\xff")).tolist() == [False, True, True]


def test_cut_or_changed_anywhere_it_is_malformed_or_plain(generator):
    data = pack({"a": [torch.arange(3), 1.5, "x"], "b": (None, True)})
    for i in range(len(data)):
        with pytest.raises(Malformed):
            unpack(data[:i])
        byte = int(torch.randint(256, (), generator=generator))
        try:
            unpack(data[:i] + bytes([byte]) + data[i + 1 :])
        except Malformed:
            continue


def test_frames_arrive_whole_however_they_are_cut():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for byte in struct.pack("!Q", 3) + b"abc":
            theirs.send(bytes([byte]))
        assert read_frame(ours, 3) == b"abc"
        write_frame(theirs, b"")
        assert read_frame(ours, 3) == b""


def test_a_frame_that_says_it_is_long_is_not_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(struct.pack("!Q", 2**40))
        with pytest.raises(Malformed, match="1099511627776 bytes, and 100 are allowed"):
            read_frame(ours, 100)


def test_a_frame_that_ends_early_is_the_end():
    ours, theirs = socket.socketpair()
    with ours:
        theirs.send(struct.pack("!Q", 3) + b"a")
        theirs.close()
        with pytest.raises(EOFError):
            read_frame(ours, 100)


def test_the_arguments_of_tasks_come_back_as_they_went():
    for task in all_tasks()[::6]:
        for case in task.cases(0):
            assert unchanged(case.arguments, unpack(pack(case.arguments))), task.id
