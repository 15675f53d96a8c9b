"""Times in certificates, in the forms that X.690 allows and RFC 5280 does not as well.

RFC 5280 section 4.1.2.5 asks for seconds and 'Z'; certificates without seconds, with an offset or with
fractions of a second are in use, and what they say is clear.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from services.secrets.certificates.encodings import der
from services.secrets.certificates.facts.not_shown import NotShown

_UTC_TIME: Final = 0x17
_FORMS: Final = {
    _UTC_TIME: re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?()(?:Z|([+-])(\d\d)(\d\d))"),
    0x18: re.compile(
        rb"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?(?:Z|([+-])(\d\d)(\d\d))"
    ),
}
"""UTCTime and GeneralizedTime; local time, which does not say when it is, is left out."""
_PIVOT: Final = 50
_MICROSECOND_DIGITS: Final = 6


def moment(element: der.Element) -> datetime:
    """The moment in UTC. Raises ValueError for what is no time, and NotShown for one that names no moment
    between the years 1 and 9999: local time, or the 30th of February."""
    form = _FORMS.get(element.tag)
    found = form.fullmatch(element.body) if form else None
    if form is not None and form.fullmatch(element.body + b"Z"):
        raise NotShown("it is local time, which does not say where")
    if found is None:
        raise ValueError("no time")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if element.tag == _UTC_TIME:
        year += 1900 if year >= _PIVOT else 2000  # RFC 5280 section 4.1.2.5.1
    fraction = (found[7] or b"")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, b"0")
    offset = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0))
    try:
        said = datetime(year, month, day, hour, minute, second, int(fraction), tzinfo=UTC)
        return said + offset if found[8] == b"-" else said - offset
    except (ValueError, OverflowError):
        raise NotShown("it names no moment between the years 1 and 9999") from None
