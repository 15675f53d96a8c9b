"""Faults hit what they name, as often as they say."""

from __future__ import annotations

import pytest

from devcloud.faults import ConnectionDropped, Fault, FaultKind, Faults


def test_a_fault_hits_its_operation_and_resource_only() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.THROTTLE, "Decrypt", "key-1"))
    assert faults.take("Decrypt", "key-1") == {FaultKind.THROTTLE}
    assert not faults.take("Encrypt", "key-1")
    assert not faults.take("Decrypt", "key-2")
    assert not faults.take("Decrypt", None)


def test_a_fault_without_a_resource_hits_all_and_ends_after_its_times() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.GARBAGE, times=2))
    hit = [bool(faults.take("Encrypt", name)) for name in ("a", None, "b")]
    assert hit == [True, True, False]
    assert faults.in_force() == ()


def test_a_drop_is_raised_and_other_faults_add_up() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.CORRUPT))
    faults.add(Fault(FaultKind.GARBAGE))
    assert faults.take("Decrypt", "k") == {FaultKind.CORRUPT, FaultKind.GARBAGE}
    faults.add(Fault(FaultKind.DROP, resource="k"))
    with pytest.raises(ConnectionDropped):
        faults.take("Decrypt", "k")
    faults.clear("k")
    assert faults.take("Decrypt", "k") == {FaultKind.CORRUPT, FaultKind.GARBAGE}
    faults.clear()
    assert not faults.take("Decrypt", "k")


def test_closing_wakes_who_waits() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.LATENCY, seconds=3600))
    faults.close()
    assert faults.take("Decrypt", "k") == {FaultKind.LATENCY}
