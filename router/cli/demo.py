"""placeholder while the rest is tried out"""


def demo() -> None:
    """x"""
