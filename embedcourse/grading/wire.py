"""What passes between the judge and the box: plain data as one header of JSON and raw bytes, never a pickle.

Both ends use this file. What comes out of the box was written by somebody else's code: every size is checked before
anything of that size is read or made, and whatever is not exactly of this form is `Malformed`.
"""

import json
import math
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Malformed", "Stranger", "pack", "read_frame", "unpack", "write_frame"]

#: The kinds of numbers that a tensor on the wire may hold.
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
    )
}
HEADER_BYTES = 4_000_000
ITEMS = 20_000
DEPTH = 24
DIMENSIONS = 16
MAGIC = b"EMBED"
LENGTHS = struct.Struct("!QQ")


class Malformed(ValueError):
    """What came is not of the form that this file writes, or larger than allowed."""


class Stranger:
    """Stands for a value that is no plain data: only the name of its type, and how it shows itself.

    `Stranger.of("set", "{1, 2}")` is of a type called set, so that a judge can say what it got.
    """

    text = ""

    @staticmethod
    def of(name: str, text: str) -> "Stranger":
        """A stranger whose type has a name."""
        return type(printable(name, 60), (Stranger,), {"text": printable(text, 200)})()

    def __repr__(self) -> str:
        return self.text


def printable(text: str, most: int) -> str:
    """A text without control characters, cut to a length."""
    return "".join(c for c in text[:most] if c.isprintable()) or "thing"


def pack(value: Any, *, strangers: bool = False) -> bytes:
    """Plain data as bytes: tensors, arrays, None, bool, int, float, str, list, tuple, and dict with plain keys.

    strangers: whether another value is replaced by a `Stranger`, which tells its type, or refused.
    Raises: TypeError for a value that is no plain data; ValueError where it is too deep, or of too many items.
    """
    raw: list[bytes] = []
    packer = Packer(raw, strangers)
    header = json.dumps(packer.tree(value), allow_nan=False, separators=(",", ":")).encode()
    if len(header) > HEADER_BYTES:
        raise ValueError(f"value: its description takes {len(header)} bytes, the limit is {HEADER_BYTES}")
    body = b"".join(raw)
    return b"".join((MAGIC, LENGTHS.pack(len(header), len(body)), header, body))


class Packer:
    """Writes one value as a tree for JSON; the numbers of tensors go to a list of bytes."""

    def __init__(self, raw: list[bytes], strangers: bool) -> None:
        self.raw, self.strangers, self.items = raw, strangers, 0

    def tree(self, value: Any, depth: int = 0) -> Any:
        """One value, and all that it holds."""
        self.items += 1
        if depth > DEPTH or self.items > ITEMS:
            raise ValueError(f"value: it holds more than {ITEMS} items, or more than {DEPTH} inside each other")
        if value is None or type(value) in (bool, str):
            return value
        if isinstance(value, Tensor):
            return self.tensor("tensor", value)
        if isinstance(value, np.ndarray):
            return self.array(value)
        if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
            return self.number(value)
        if isinstance(value, tuple | list):
            plain = {tuple: "tuple", list: "list"}.get(type(value))
            items = [self.tree(item, depth + 1) for item in value]
            if plain is None:
                base = "list" if isinstance(value, list) else "tuple"
                return ["named", base, type(value).__name__, items]
            return [plain, items]
        if isinstance(value, Mapping):
            pairs = [[self.tree(k, depth + 1), self.tree(v, depth + 1)] for k, v in value.items()]
            return ["dict", pairs]
        return self.stranger(value)

    def number(self, value: Real) -> Any:
        """A whole number as it is, another one in hexadecimal, which keeps every bit, NaN and infinity."""
        if isinstance(value, Integral):
            return int(value) if -(2**63) <= int(value) < 2**64 else self.stranger(value, "very large int")
        return ["float", float(value).hex()]

    def tensor(self, kind: str, value: Tensor) -> Any:
        """The form of a tensor; its bytes go to the raw part."""
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype not in DTYPES or value.layout is not torch.strided or value.device.type == "meta":
            return self.stranger(value, f"{type(value).__name__} of another kind")
        plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous().as_subclass(Tensor)
        self.raw.append(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
        return [kind, dtype, list(plain.shape)]

    def array(self, value: np.ndarray) -> Any:
        """A NumPy array, as the tensor with its numbers."""
        try:
            return self.tensor("array", torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape)))
        except (TypeError, ValueError):
            return self.stranger(value)

    def stranger(self, value: Any, name: str | None = None) -> Any:
        """The name of a type in the place of a value."""
        name = name or type(value).__name__
        if not self.strangers:
            raise TypeError(f"value: expected plain data, got a {name}")
        if isinstance(value, Stranger):
            return ["stranger", name, value.text]
        try:
            return ["stranger", name, "" if isinstance(value, Tensor | Integral) else repr(value)[:200]]
        except Exception:  # whoever writes a class writes its __repr__
            return ["stranger", name, ""]


def unpack(data: bytes) -> Any:
    """The value that `pack` wrote.

    Raises: Malformed for bytes that `pack` would not write.
    """
    if data[: len(MAGIC)] != MAGIC or len(data) < len(MAGIC) + LENGTHS.size:
        raise Malformed("it does not begin as a message begins")
    header_bytes, body_bytes = LENGTHS.unpack_from(data, len(MAGIC))
    start = len(MAGIC) + LENGTHS.size
    if header_bytes > HEADER_BYTES or start + header_bytes + body_bytes != len(data):
        raise Malformed("it is not as long as it says")
    try:
        text = bytes(data[start : start + header_bytes]).decode()
        tree = json.loads(text, parse_constant=refuse, parse_float=refuse, object_pairs_hook=refuse)
        unpacker = Unpacker(memoryview(data)[start + header_bytes :])
        value = unpacker.value(tree)
        if unpacker.at != body_bytes:
            raise Malformed("some of its bytes belong to nothing")
        return value
    except Malformed:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, RuntimeError) as error:
        raise Malformed(f"it cannot be read ({type(error).__name__})") from None


def refuse(_: Any) -> None:
    """What JSON knows and this form does not use."""
    raise Malformed("its header holds what no header holds")


class Unpacker:
    """Reads one tree of JSON; numbers of tensors are taken from the raw bytes in the order of the tree."""

    def __init__(self, raw: memoryview) -> None:
        self.raw, self.at, self.items = raw, 0, 0
        self.kinds: dict[str, Callable[..., Any]] = {
            "float": lambda depth, text: float.fromhex(text),
            "list": lambda depth, items: list(self.all_of(items, depth)),
            "tuple": lambda depth, items: tuple(self.all_of(items, depth)),
            "named": self.named,
            "dict": self.mapping,
            "tensor": lambda depth, dtype, shape: self.tensor(dtype, shape),
            "array": lambda depth, dtype, shape: self.tensor(dtype, shape).numpy(),
            "stranger": lambda depth, name, text: Stranger.of(name, text),
        }

    def value(self, tree: Any, depth: int = 0) -> Any:
        """One value, and all that it holds."""
        self.items += 1
        if depth > DEPTH or self.items > ITEMS:
            raise Malformed("it holds too much")
        if tree is None or isinstance(tree, bool | str | int):
            if type(tree) is int and not -(2**63) <= tree < 2**64:
                raise Malformed("it holds a number that is too large")
            return tree
        if not isinstance(tree, list) or not tree or not isinstance(tree[0], str) or tree[0] not in self.kinds:
            raise Malformed("it holds a kind of value that is not known")
        return self.kinds[tree[0]](depth, *tree[1:])

    def all_of(self, items: Any, depth: int) -> Iterator[Any]:
        """Each item of a list."""
        if not isinstance(items, list):
            raise Malformed("its items are no list")
        return (self.value(item, depth + 1) for item in items)

    def named(self, depth: int, base: str, name: str, items: Any) -> Any:
        """A tuple or a list of a class of its own, such as what `torch.topk` returns."""
        kind = {"tuple": tuple, "list": list}[base]
        return type(printable(name, 60), (kind,), {})(self.all_of(items, depth))

    def mapping(self, depth: int, pairs: Any) -> dict:
        """A dictionary."""
        found = {}
        for pair in pairs:
            key, value = self.all_of(pair, depth)
            found[key] = value
        return found

    def tensor(self, dtype: str, shape: Any) -> Tensor:
        """A tensor whose bytes come next; its size is checked before anything of that size is made."""
        if not isinstance(shape, list) or len(shape) > DIMENSIONS:
            raise Malformed("a tensor has too many dimensions")
        if not all(type(n) is int and 0 <= n < 2**31 for n in shape) or math.prod(max(n, 1) for n in shape) > 2**40:
            raise Malformed("a tensor has no possible shape")
        size = math.prod(shape) * DTYPES[dtype].itemsize
        if size > len(self.raw) - self.at:
            raise Malformed("a tensor is larger than what was sent")
        numbers = torch.empty(size, dtype=torch.uint8)
        if size:
            memoryview(numbers.numpy())[:] = self.raw[self.at : self.at + size]
        self.at += size
        if DTYPES[dtype] is torch.bool:
            numbers = numbers.ne(0).view(torch.uint8)  # a byte that is neither 0 nor 1 is no bool
        return numbers.view(DTYPES[dtype]).reshape(shape)


FRAME = struct.Struct("!Q")


def write_frame(line: socket.socket, data: bytes) -> None:
    """Send one message, with its length before it.

    Raises: OSError where the other end is gone.
    """
    line.sendall(FRAME.pack(len(data)))
    line.sendall(data)


def read_frame(line: socket.socket, most: int) -> bytes:
    """Wait for one message of at most so many bytes.

    Raises: EOFError where the other end is gone; Malformed where the message is longer.
    """
    (length,) = FRAME.unpack(exactly(line, FRAME.size))
    if length > most:
        raise Malformed(f"a message of {length} bytes, and {most} are allowed")
    return exactly(line, length)


def exactly(line: socket.socket, count: int) -> bytes:
    """So many bytes, however they arrive.

    Raises: EOFError where the other end is gone.
    """
    data = bytearray()
    while len(data) < count:
        part = line.recv(min(count - len(data), 1 << 20))
        if not part:
            raise EOFError("the other end is gone")
        data += part
    return bytes(data)
