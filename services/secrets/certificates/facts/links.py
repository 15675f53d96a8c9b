"""Which certificate of a file issued which: by name, and by signature.

Names are compared byte for byte first; where that finds nobody, as they read, since CAs have issued
certificates whose issuer is written in another string type or case than their own subject (RFC 5280
section 7.1 asks to see these as equal). The signature decides in both cases.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

from services.secrets.certificates.facts.fields import issuer, subject
from services.secrets.certificates.facts.signatures import verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from services.secrets.certificates.facts.certificate import Certificate
    from services.secrets.certificates.facts.signatures import Verdict

Name = TypeVar("Name", bytes, "str | None")

MAX_SIGNATURE_CHECKS: Final = 64
"""In one file; an honest chain takes five. The dearest (RSA-16384) takes 4 ms, so that a file made of
look-alikes costs a quarter of a second. What is not checked any more is no link."""


class Links:
    """Answers for the certificates of one file; remembers each signature that it checked."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._certificates = certificates
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self._subjects = [certificate.structure.subject for certificate in certificates]
        self._issuers = [certificate.structure.issuer for certificate in certificates]
        self._by_subject = _positions(self._subjects)

    def namesakes(self, at: int, known: Collection[int]) -> list[int]:
        """The positions of those that have the name of this one's issuer, in file order.

        When all the others are `known`, nobody is looked for beyond the exact name."""
        exact = self._by_subject.get(self._issuers[at], [])
        return exact if exact or len(known) == len(self._certificates) else self._alike(at)

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
        return self._issuers[at] == self._subjects[at]

    def is_self_signed(self, at: int) -> bool:
        """The same, and its own key signed it (where that can be verified)."""
        return self.is_self_issued(at) and self.verdict(at, at) != "refuted"

    def is_named_as_issuer(self, at: int) -> bool:
        """Whether another certificate of the file, with another subject, names it as its issuer, and its
        signature does not say otherwise."""
        name = self._subjects[at]
        return any(
            issuer == name and self._subjects[other] != name and self._holds(other, at)
            for other, issuer in enumerate(self._issuers)
        )

    def has_issued_another(self, at: int) -> bool:
        """The same, but the name may also be one that only reads alike."""
        name = self._subjects[at]
        return any(
            subject != name and at in self.namesakes(other, ()) and self._holds(other, at)
            for other, subject in enumerate(self._subjects)
        )

    def _holds(self, at: int, issuer_at: int) -> bool:
        return self.verdict(at, issuer_at) != "refuted"

    def _alike(self, at: int) -> list[int]:
        name = self._issuer_texts[at]
        return [] if name is None else self._by_text.get(name, [])

    @cached_property
    def _issuer_texts(self) -> list[str | None]:
        """Each name is rendered once: a file may hold half a megabyte of them."""
        return [_text(issuer, certificate) for certificate in self._certificates]

    @cached_property
    def _by_text(self) -> dict[str | None, list[int]]:
        return _positions([_text(subject, certificate) for certificate in self._certificates])


def _positions(names: Sequence[Name]) -> dict[Name, list[int]]:
    found: dict[Name, list[int]] = defaultdict(list)
    for at, name in enumerate(names):
        found[name].append(at)
    return dict(found)


def _text(read: Callable[[Certificate], str], certificate: Certificate) -> str | None:
    """The name as it reads, None for an empty or unreadable one."""
    try:
        return " ".join(read(certificate).casefold().split()) or None
    except ValueError:
        return None
