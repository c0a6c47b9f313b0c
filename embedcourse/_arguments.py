"""What losses, training and evaluation ask of their numbers."""


def check_positive(**numbers: float) -> None:
    """Refuse numbers that are not above 0, by name.

    Raises: ValueError.
    """
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name} must be above 0, got {number!r}")


def check_not_negative(**numbers: float) -> None:
    """Refuse numbers below 0, by name.

    Raises: ValueError.
    """
    for name, number in numbers.items():
        if not number >= 0:
            raise ValueError(f"{name} must be 0 or above, got {number!r}")
