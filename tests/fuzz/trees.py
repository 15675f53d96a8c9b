"""Changes to DER and BER that leave most of it sound, so that they reach what random bytes never reach.

A value is taken apart leniently (what a string holds is taken for a structure when it reads as one),
changed in one place, and put together again with every length around that place set right, or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

CONSTRUCTED: Final = 0x20
MAX_DEPTH: Final = 24
MAX_BYTES: Final = 400_000

_OIDS: Final = (
    "2a864886f70d010101 2a864886f70d01010a 2a8648ce3d0201 2a8648ce380401 2b6570 2b6571 2b656e"
    " 2a864886f70d010701 2a864886f70d010702 2a864886f70d010703 2a864886f70d010706"
    " 2a864886f70d010c0a0101 2a864886f70d010c0a0102 2a864886f70d010c0a0103 2a864886f70d010c0a0104"
    " 2a864886f70d010c0a0105 2a864886f70d010c0a0106 2a864886f70d01091601 2a864886f70d01091602"
    " 2a864886f70d010914 2a864886f70d010915 2a864886f70d010c0101 2a864886f70d010c0102"
    " 2a864886f70d010c0103 2a864886f70d010c0104 2a864886f70d010c0105 2a864886f70d010c0106"
    " 2a864886f70d01050d 2a864886f70d01050c 2a864886f70d01050e 2a864886f70d010503"
    " 2b06010401da47040b 2a864886f70d0209 2a864886f70d0207 2b0e03021a 608648016503040201"
    " 60864801650304012a 608648016503040106 2a864886f70d0307 2a864886f70d0302 2b0e030207"
    " 551d11 551d13 551d0f 551d0e 551d23 2a864886f70d010901 550403 550406"
    " 2a864886f70d01010b 2a864886f70d010105 2a864886f70d010104 608648016503040311 88378103"
)
OIDS: Final = tuple(bytes.fromhex(oid) for oid in _OIDS.split())
"""Of keys, content types, bags, attributes, schemes, ciphers, digests, extensions and names."""
NUMBERS: Final = (
    0, 1, -1, 2, 3, 5, 127, 128, 255, 2**15, 2**16, 10**7, 2**31 - 1, 2**31, 2**63, 2**64, -(2**64),
)  # fmt: skip
TAGS: Final = (
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0C, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1C, 0x1E, 0x1F, 0x24,
    0x30, 0x31, 0x80, 0x81, 0x82, 0x84, 0x86, 0x87, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xBF, 0xFF, 0x00,
)  # fmt: skip
STRINGS: Final = (
    b"", b"\0", b"\0" * 9, b"\xff" * 9, b"\x1b[31m\r\n", "\u202e\ufeffä".encode(), b"\xd8\x00\xd8\x00",
    b"*" * 300,
    b"99991231235959Z", b"00000101000000Z", b"500101000000Z", b"260230000000Z", b"20260101000000.5+0100",
)  # fmt: skip


@dataclass
class Node:
    """A tag with bytes or with children; `before` stands in a BIT STRING before what it holds."""

    tag: int
    body: bytes = b""
    children: list[Node] = field(default_factory=list)
    before: bytes = b""
    form: str = "der"
    """How the length is written: der, ber (indefinite), long (more octets), short or wide (a lie)."""

    def encode(self) -> bytes:
        """The bytes, lies included."""
        body = self.before + b"".join(child.encode() for child in self.children)
        body = body if self.children else self.before + self.body
        if self.form == "ber":
            return bytes([self.tag | CONSTRUCTED, 0x80]) + body + b"\0\0"
        lie = {"short": -1, "wide": 1, "huge": 2**31}.get(self.form, 0)
        return bytes([self.tag]) + _length(max(0, len(body) + lie), self.form == "long") + body

    def walk(self, depth: int = 0) -> Iterator[Node]:
        """This node and all below."""
        yield self
        for child in self.children:
            yield from child.walk(depth + 1)


def _length(length: int, long: bool) -> bytes:
    if length < 0x80 and not long:
        return bytes([length])
    octets = length.to_bytes(max(1, (length.bit_length() + 7) // 8), "big")
    octets = b"\0" * long + octets
    return bytes([0x80 | len(octets)]) + octets


def parse(data: bytes, depth: int = 0) -> list[Node] | None:
    """The values side by side in `data`, or None when it is no such thing."""
    nodes: list[Node] = []
    at = 0
    while at < len(data):
        if at + 2 > len(data) or depth > MAX_DEPTH:
            return None
        tag, length, start = data[at], data[at + 1], at + 2
        if length > 0x80:
            octets = length & 0x7F
            length = int.from_bytes(data[start : start + octets], "big")
            start += octets
        if start + length > len(data) or data[at + 1] == 0x80:
            return None
        nodes.append(_node(tag, data[start : start + length], depth + 1))
        at = start + length
    return nodes


def _node(tag: int, body: bytes, depth: int) -> Node:
    before = b"\0" if tag == 0x03 and body[:1] == b"\0" else b""
    inside = body[len(before) :]
    may_hold = tag & CONSTRUCTED or (tag in (0x03, 0x04) and len(inside) > 4)
    children = parse(inside, depth) if may_hold else None
    return Node(tag, inside, children or [], before)


def change(data: bytes, other: bytes, random: Random) -> bytes:
    """`data`, changed in one place; `other` is where something may be taken from."""
    roots = parse(data)
    if not roots or random.random() < 0.1:
        return _flip(data, random)
    holder = Node(0x30, children=roots)
    targets = [(parent, at) for parent in holder.walk() for at in range(len(parent.children))]
    parent, at = targets[random.randrange(len(targets))]
    random.choice(_CHANGES)(parent, at, other, random)
    return b"".join(child.encode() for child in holder.children)[:MAX_BYTES]


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return bytes([random.randrange(256)])
    at = random.randrange(len(data))
    how = random.randrange(4)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
    if how == 2:
        return data[:at] + random.randbytes(random.randrange(1, 9)) + data[at:]
    return data + random.randbytes(random.randrange(1, 9))


def _tag(parent: Node, at: int, _: bytes, random: Random) -> None:
    parent.children[at].tag = random.choice(TAGS)


def _form(parent: Node, at: int, _: bytes, random: Random) -> None:
    parent.children[at].form = random.choice(("ber", "long", "short", "wide", "huge"))


def _drop(parent: Node, at: int, _: bytes, random: Random) -> None:
    del parent.children[at : at + random.choice((1, 1, 1, 2, 99))]
    if not parent.children:
        parent.body = b""


def _repeat(parent: Node, at: int, _: bytes, random: Random) -> None:
    most = MAX_BYTES // (len(parent.children[at].encode()) + 1)
    times = min(most, random.choice((1, 1, 2, 3, 20, 200, 2000)))
    parent.children[at:at] = [parent.children[at]] * times


def _swap(parent: Node, at: int, _: bytes, random: Random) -> None:
    to = random.randrange(len(parent.children))
    parent.children[at], parent.children[to] = parent.children[to], parent.children[at]


def _nest(parent: Node, at: int, _: bytes, random: Random) -> None:
    node = parent.children[at]
    tag = random.choice((0x30, 0x31, 0x24, 0x04, 0xA0))
    form = random.choice(("der", "der", "ber"))
    if random.random() < 0.05:  # by hand, as a tree this deep cannot be walked
        body = node.encode()
        for _level in range(random.choice((30, 300, 3000))):
            body = bytes([tag]) + _length(len(body), long=False) + body
        node.body, node.children, node.before = body, [], b""
        return
    for _level in range(random.choice((1, 1, 2, 7))):
        node = Node(tag, children=[node], form=form)
    parent.children[at] = node


def _unwrap(parent: Node, at: int, _: bytes, random: Random) -> None:
    parent.children[at : at + 1] = parent.children[at].children or [Node(0x05)]


def _split(parent: Node, at: int, _: bytes, random: Random) -> None:
    """A constructed string, as BER has it."""
    node = parent.children[at]
    body = node.encode()[2:] if node.children else node.body
    cut = random.randrange(len(body) + 1)
    form = random.choice(("der", "ber"))
    parts = [Node(node.tag & ~CONSTRUCTED, body[:cut]), Node(node.tag & ~CONSTRUCTED, body[cut:])]
    parent.children[at] = Node(node.tag | CONSTRUCTED, children=parts, form=form)


def _value(parent: Node, at: int, _: bytes, random: Random) -> None:
    node = parent.children[at]
    number = random.choice(NUMBERS)
    if node.tag == 0x06:
        node.body = random.choice(OIDS)
    elif node.tag == 0x02:
        node.body = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    elif not node.children:
        node.body = random.choice(STRINGS) if random.random() < 0.7 else _flip(node.body, random)
    else:
        node.body, node.children = b"", []


def _bytes(parent: Node, at: int, _: bytes, random: Random) -> None:
    node = parent.children[at]
    body = b"".join(child.encode() for child in node.children) or node.body
    node.body, node.children = _flip(body, random), []


def _take(parent: Node, at: int, other: bytes, random: Random) -> None:
    found = parse(other)
    if found:
        nodes = [node for root in found for node in root.walk()]
        parent.children[at] = random.choice(nodes)


def _long(parent: Node, at: int, _: bytes, random: Random) -> None:
    node = parent.children[at]
    size = random.choice((65, 300, 5000, 70_000))
    node.body, node.children = (node.body or b"a") * (size // max(1, len(node.body)) + 1), []


_CHANGES: Final[tuple[Callable[[Node, int, bytes, Random], None], ...]] = (
    _tag, _form, _drop, _repeat, _swap, _nest, _unwrap, _split, _value, _value, _value, _bytes, _take, _take,
    _long,
)  # fmt: skip
