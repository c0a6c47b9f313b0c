"""How much memory a computation takes at most, told by its largest tensor."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["LargestTensor"]


class LargestTensor(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation makes inside its `with` block, on any device.

    A view counts with the whole of what it looks at, and so adds nothing to what made that.
    """

    def __init__(self) -> None:
        super().__init__()
        #: The bytes of the largest tensor so far.
        self.bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave torch's compiler out of it, which torch would load, for a second, to be told so."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Run the operation and look at what it made."""
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, tuple | list) else (out,):
            if isinstance(made, Tensor):
                self.bytes = max(self.bytes, made.untyped_storage().nbytes())
        return out
