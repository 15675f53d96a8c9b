"""RC2 in CBC mode, decryption only, with any number of effective key bits (RFC 2268).

`cryptography` has RC2 with 128 bits alone, and PKCS#12 files of twenty years hold their certificates
under 40. A second cryptographic library for one broken cipher would be a worse bargain than this.
Nothing is ever encrypted with it, and it makes no promise about timing: the cipher protects nothing.

In CBC all blocks can be decrypted at once, and here they are: each of the four 16-bit words of all
blocks is one large integer with a lane of 32 bits per block, so that half a megabyte takes
milliseconds and not a second.
"""

from __future__ import annotations

from typing import Final

BLOCK: Final = 8  # bytes

_LANE: Final = 4  # bytes: 16 bits of a word, and room for carries
_WORD_BITS: Final = 16
_SHIFTS: Final = (1, 2, 3, 5)
_MASHED_AFTER: Final = (4, 10)  # RFC 2268 section 3: 5, 6 and 5 rounds with a mash in between
_ROUNDS: Final = 16

_PI: Final = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)


def decrypt_cbc(key: bytes, effective_bits: int, vector: bytes, data: bytes) -> bytes:
    """The plaintext with its padding. `data` and `vector` are whole blocks, `data` not empty.

    `key` has 1 to 128 bytes, `effective_bits` is 1 to 1,024. Raises ValueError for other sizes.
    """
    if not data or len(data) % BLOCK or len(vector) != BLOCK:
        raise ValueError("not whole blocks")
    words = _Lanes(data)
    words.decrypt(_expanded(key, effective_bits))
    plain, before = words.joined(), vector + data[:-BLOCK]
    mixed = int.from_bytes(plain, "big") ^ int.from_bytes(before, "big")
    return mixed.to_bytes(len(data), "big")


def _expanded(key: bytes, effective_bits: int) -> list[int]:
    """The 64 words of RFC 2268 section 2."""
    if not (1 <= len(key) <= 128 and 1 <= effective_bits <= 1024):  # noqa: PLR2004 - the RFC's own
        raise ValueError("a key size that RC2 does not have")
    size, table = len(key), bytearray(key)
    effective = (effective_bits + 7) // 8
    for at in range(size, 128):
        table.append(_PI[(table[at - 1] + table[at - size]) & 0xFF])
    table[128 - effective] = _PI[table[128 - effective] & (0xFF >> (-effective_bits % 8))]
    for at in range(127 - effective, -1, -1):
        table[at] = _PI[table[at + 1] ^ table[at + effective]]
    return [table[at] | table[at + 1] << 8 for at in range(0, 128, 2)]


class _Lanes:
    """The four words of every block, each as one integer with a lane per block."""

    def __init__(self, data: bytes) -> None:
        self._size = len(data) // BLOCK * _LANE
        self._ones = int.from_bytes(b"\1\0\0\0" * (len(data) // BLOCK), "little")
        self._mask = self._ones * 0xFFFF
        self._words = [self._joined(data[at::BLOCK], data[at + 1 :: BLOCK]) for at in (0, 2, 4, 6)]

    def decrypt(self, key: list[int]) -> None:
        """RFC 2268 section 4, the rounds in reverse."""
        for number in reversed(range(_ROUNDS)):
            for word in (3, 2, 1, 0):
                self._unmix(word, key[4 * number + word])
            if number - 1 in _MASHED_AFTER:
                for word in (3, 2, 1, 0):
                    self._unmash(word, key)

    def joined(self) -> bytes:
        """The blocks again."""
        data = bytearray(self._size // _LANE * BLOCK)
        for number, word in enumerate(self._words):
            octets = word.to_bytes(self._size, "little")
            data[2 * number :: BLOCK] = octets[::_LANE]
            data[2 * number + 1 :: BLOCK] = octets[1::_LANE]
        return bytes(data)

    def _unmix(self, at: int, key: int) -> None:
        words, shift = self._words, _SHIFTS[at]
        value = (words[at] >> shift | words[at] << (_WORD_BITS - shift)) & self._mask
        last, second, third = words[at - 1], words[at - 2], words[at - 3]
        self._subtract(
            at, value, self._ones * key + (last & second) + ((last ^ self._mask) & third)
        )

    def _unmash(self, at: int, key: list[int]) -> None:
        indices = self._words[at - 1].to_bytes(self._size, "little")[::_LANE]
        low = bytes(key[index & 63] & 0xFF for index in range(256))
        high = bytes(key[index & 63] >> 8 for index in range(256))
        chosen = self._joined(indices.translate(low), indices.translate(high))
        self._subtract(at, self._words[at], chosen)

    def _subtract(self, at: int, value: int, less: int) -> None:
        """Modulo 2**16 in each lane; `less` is at most three words, lent beforehand."""
        self._words[at] = (value + self._ones * (3 << _WORD_BITS) - less) & self._mask

    def _joined(self, low: bytes, high: bytes) -> int:
        octets = bytearray(self._size)
        octets[::_LANE], octets[1::_LANE] = low, high
        return int.from_bytes(octets, "little")
