"""Sets of small numbers as bytes, and as integers whose bits are the members: quick to combine and to count."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import compress

_SPARSE, _DENSE = b"S", b"D"
_TO_FLAGS = bytes.maketrans(b"01", b"\0\1")
_NUMBER = "I"
"""Four bytes each."""


def encode(bits: int) -> bytes:
    """The shorter of two forms: a bit map, or the members one after the other."""
    size = (bits.bit_length() + 7) // 8
    if bits.bit_count() * 4 < size:
        return _SPARSE + array(_NUMBER, members(bits)).tobytes()
    return _DENSE + bits.to_bytes(size, "little")


def decode(data: bytes) -> int:
    """The inverse of `encode`."""
    if data[:1] == _DENSE:
        return int.from_bytes(data[1:], "little")
    return of(numbers(data))


def numbers(data: bytes) -> array[int]:
    """The members of an encoded set, ascending."""
    if data[:1] == _DENSE:
        return array(_NUMBER, members(int.from_bytes(data[1:], "little")))
    found = array(_NUMBER)
    found.frombytes(data[1:])
    return found


def of(found: Iterable[int]) -> int:
    """The set of these numbers."""
    flags = bytearray()
    size = 0
    for number in found:
        place = number >> 3
        if place >= size:
            flags.extend(bytes(place + 1 - size + size // 2))
            size = len(flags)
        flags[place] |= 1 << (number & 7)
    return int.from_bytes(flags, "little")


def flags(bits: int, size: int) -> bytes:
    """A byte for every number below `size`, 1 for members."""
    return f"{bits:b}".encode()[::-1].translate(_TO_FLAGS).ljust(size, b"\0")


def members(bits: int) -> Iterator[int]:
    """All members, ascending."""
    size = bits.bit_length()
    if bits.bit_count() * 64 < size:
        return _few(bits)
    return compress(range(size), flags(bits, size))


def _few(bits: int) -> Iterator[int]:
    text = f"{bits:b}"[::-1]
    place = text.find("1")
    while place >= 0:
        yield place
        place = text.find("1", place + 1)
