"""PEM whose line breaks were lost: environment variables, JSON and some forms keep a text on one line.

Either the two characters \\n stand where the line breaks were, or blanks do, or nothing at all. Only a line
that is nothing but such blocks is read so: between other words (JSON with several members, a comment) a
block may be one among others, and nobody could say which is meant.
"""

import re
from typing import Final

_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 #-]{1,40}?)-----")
_BETWEEN: Final = re.compile(r"(?:[ \t]|\\[rn])*+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=\s]++")
_SEEMS_FOLDED: Final = re.compile(r"-----BEGIN [A-Z0-9 #-]{1,40}?-----[^\r\n]")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


def unfolded(text: str) -> str:
    """The text with line breaks around and in every block of a line that is nothing but blocks.

    A block with RFC 1421 headers keeps its blanks, as they do not tell where a header ends; `scan` then
    refuses it. Any other line stays as it is.
    """
    if not _SEEMS_FOLDED.search(text):
        return text
    lines = _LINE_END.split(text)
    return "\n".join("\n".join(_blocks(line) or [line]) for line in lines)


def _blocks(line: str) -> list[str] | None:
    """The blocks that the line consists of, each in lines; None when there is anything else on it."""
    found: list[str] = []
    at = _end_of_gap(line, 0)
    while at < len(line):
        begin = _BEGIN.match(line, at)
        if begin is None:
            return None
        label = begin[1]
        stop = line.find(f"-----END {label}-----", begin.end())
        body = "" if stop < 0 else _in_lines(line[begin.end() : stop])
        if not body:
            return None
        found.append(f"-----BEGIN {label}-----\n{body}\n-----END {label}-----")
        at = _end_of_gap(line, stop + len(f"-----END {label}-----"))
    return found


def _end_of_gap(line: str, at: int) -> int:
    gap = _BETWEEN.match(line, at)
    return at if gap is None else gap.end()


def _in_lines(body: str) -> str:
    """ "" when it cannot be the inside of a block. `\\/` is how PHP writes a slash in JSON."""
    if "\\n" in body:
        body = body.replace("\\r", "").replace("\\n", "\n").replace("\\/", "/")
        body, encoded = body.strip(), "".join(one for one in body.split("\n") if ":" not in one)
    else:
        body = encoded = body.strip()
    return body if _BASE64.fullmatch(encoded) else ""
