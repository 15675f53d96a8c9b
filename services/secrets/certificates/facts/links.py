"""Which certificate of a file issued which: by name, and by signature.

Names are compared byte for byte first; where that finds nobody, as they read, since CAs have issued
certificates whose issuer is written in another string type or case than their own subject (RFC 5280
section 7.1 asks to see these as equal). The signature decides in both cases.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

from services.secrets.certificates.facts.fields import issuer, issuer_name, subject, subject_name
from services.secrets.certificates.facts.signatures import verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.secrets.certificates.facts.certificate import Certificate
    from services.secrets.certificates.facts.signatures import Verdict

Name = TypeVar("Name", bytes, str)

MAX_SIGNATURE_CHECKS: Final = 128
"""In one file; an honest chain takes five. The dearest (RSA-16384) takes 4 ms, so that a file made of
look-alikes costs half a second at most. What is not checked any more is no link."""


class Links:
    """Answers for the certificates of one file; remembers each signature that it checked."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._certificates = certificates
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self._subjects = [_name(subject_name, certificate) for certificate in certificates]
        self._issuers = [_name(issuer_name, certificate) for certificate in certificates]
        self._by_subject = _positions(self._subjects)
        self._by_text: dict[str, list[int]] | None = None

    def namesakes(self, at: int) -> list[int]:
        """The positions of those that have the name of this one's issuer, in file order."""
        name = self._issuers[at]
        exact = self._by_subject.get(name, []) if name is not None else []
        return exact or self._alike(at)

    def verdict(self, at: int, issuer_at: int) -> Verdict:
        """Whether the key of the one at `issuer_at` signed the one at `at`."""
        pair = (at, issuer_at)
        if pair not in self._verdicts:
            if len(self._verdicts) == MAX_SIGNATURE_CHECKS:
                return "refuted"
            signed, by = self._certificates[at], self._certificates[issuer_at]
            self._verdicts[pair] = verdict(signed, by)
        return self._verdicts[pair]

    def is_self_issued(self, at: int) -> bool:
        """Issuer and subject are one."""
        return self._issuers[at] is not None and self._issuers[at] == self._subjects[at]

    def is_self_signed(self, at: int) -> bool:
        """The same, and its own key signed it (where that can be verified)."""
        return self.is_self_issued(at) and self.verdict(at, at) != "refuted"

    def is_named_as_issuer(self, at: int) -> bool:
        """Whether another certificate of the file, with another subject, names it as its issuer."""
        name = self._subjects[at]
        return name is not None and any(
            issuer == name and self._subjects[other] != name
            for other, issuer in enumerate(self._issuers)
        )

    def _alike(self, at: int) -> list[int]:
        if len(self._certificates) == 1:
            return []
        if self._by_text is None:
            texts = [_name(subject, certificate) for certificate in self._certificates]
            self._by_text = _positions([text and _folded(text) for text in texts])
        name = _name(issuer, self._certificates[at])
        return self._by_text.get(_folded(name), []) if name else []


def _positions(names: Sequence[Name | None]) -> dict[Name, list[int]]:
    found: dict[Name, list[int]] = defaultdict(list)
    for at, name in enumerate(names):
        if name:
            found[name].append(at)
    return dict(found)


def _name(read: Callable[[Certificate], Name], certificate: Certificate) -> Name | None:
    try:
        return read(certificate)
    except ValueError:
        return None


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
