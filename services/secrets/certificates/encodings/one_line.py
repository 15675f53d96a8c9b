"""PEM whose line breaks were lost: environment variables, JSON and some forms keep a text on one line.

Either the two characters \\n stand where the line breaks were, or blanks do, or nothing at all. A BEGIN
and the END of the same label on one line, with base64 between them, can mean nothing else.
"""

import re
from typing import Final

_BLOCK: Final = re.compile(
    r"(?:\\r|\\n)*-----BEGIN ([A-Z0-9 #]{1,40})-----"
    r"([^-\r\n]*+(?:-(?!----)[^-\r\n]*+)*+)"
    r"-----END \1-----(?:\\r|\\n)*"
)
_BASE64: Final = re.compile(r"[ \t]*+[A-Za-z0-9+/]{16}[A-Za-z0-9+/ \t]*+=*[ \t]*+")
"""A line of prose that names both markers has words between them."""


def unfolded(text: str) -> str:
    """The text with line breaks around and in every block that stands on one line.

    A block with RFC 1421 headers keeps its blanks, as they do not tell where a header ends; `scan` then
    refuses it. Text without such a block is returned as it is.
    """
    return _BLOCK.sub(_in_lines, text) if "-----BEGIN " in text else text


def _in_lines(block: re.Match[str]) -> str:
    label, body = block[1], block[2]
    if "\\n" in body:
        body = body.replace("\\r", "").replace("\\n", "\n")
    elif not _BASE64.fullmatch(body):
        return block[0]
    return f"\n-----BEGIN {label}-----\n{body.strip()}\n-----END {label}-----\n"
