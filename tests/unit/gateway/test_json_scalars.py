"""Values that look right and are not."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from gateway.json_output import time_text
from gateway.json_scalars import Misfit, read_bytes, read_time, reader_of, text_reader_of

OPTIONS = descriptor_pb2.FieldOptions.DESCRIPTOR.fields_by_name
FIELD = descriptor_pb2.FieldDescriptorProto.DESCRIPTOR.fields_by_name


@pytest.mark.parametrize("value", [True, 1.0, "1", 2**31, -(2**31) - 1, [1], {}, 1e3])
def test_an_int32_is_an_integer_in_range_and_nothing_else(value: object) -> None:
    with pytest.raises(Misfit):
        reader_of(FIELD["number"])(value)


@pytest.mark.parametrize("value", [0, -(2**31), 2**31 - 1])
def test_the_bounds_of_an_int32_are_in_range(value: int) -> None:
    assert reader_of(FIELD["number"])(value) == value


@pytest.mark.parametrize("value", [0, 1, "true", None, "false", []])
def test_a_bool_is_true_or_false(value: object) -> None:
    with pytest.raises(Misfit):
        reader_of(OPTIONS["deprecated"])(value)


def test_an_enum_is_its_exact_name() -> None:
    read = reader_of(FIELD["type"])
    assert read("TYPE_BYTES") == descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    for value in ("type_bytes", "TYPE_NONE", 12, None, True, ["TYPE_BYTES"]):
        with pytest.raises(Misfit, match="TYPE_BYTES"):
            read(value)


@given(st.binary())
def test_canonical_base64_is_read(data: bytes) -> None:
    assert read_bytes(base64.b64encode(data).decode("ascii")) == data


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AB==", "AA==\n", "A A=", "AA=A", "-_8=", "ä===", "AA===", 5, "===="]
)
def test_sloppy_base64_is_refused(text: object) -> None:
    with pytest.raises(Misfit):
        read_bytes(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-03-15T12:00:00Z", "2026-03-15T12:00:00.000Z"),
        ("2026-03-15t12:00:00.5z", "2026-03-15T12:00:00.500Z"),
        ("2026-03-15T12:00:00.1239999999999Z", "2026-03-15T12:00:00.123Z"),
        ("2026-03-15T12:00:00-00:00", "2026-03-15T12:00:00.000Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z"),
        ("2024-02-29T23:59:59.999-23:59", "2024-03-01T23:58:59.999Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
    ],
)
def test_times_that_exist(text: str, written: str) -> None:
    assert time_text(read_time(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-03-15", "2026-03-15T12:00:00", "2026-03-15 12:00:00Z", "20260315T120000Z",
        "2026-3-15T12:00:00Z", "2026-03-15T12:00Z", "2026-03-15T12:00:00.Z",
        "2026-03-15T12:00:00,5Z", "2026-03-15T12:00:00Z\n", " 2026-03-15T12:00:00Z",
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-03-15T24:00:00Z",
        "2026-03-15T12:60:00Z", "2026-03-15T12:00:60Z", "2026-03-15T12:00:61Z",
        "2026-03-15T12:00:00+24:00", "2026-03-15T12:00:00+01:60", "2026-03-15T12:00:00+0100",
        "2026-03-15T12:00:00+1:00", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z", "\uff12026-03-15T12:00:00Z",
        "2026-03-15T12:00:00UTC", 1773576000, None, True,
    ],
)  # fmt: skip
def test_times_that_do_not(text: object) -> None:
    with pytest.raises(Misfit):
        read_time(text)


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_any_time_python_writes_is_read_as_the_same_instant(when: dt.datetime) -> None:
    read = read_time(when.isoformat())
    assert read.seconds == int(
        (when - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1)
    )
    assert read.nanos == when.microsecond * 1000


@given(st.text(max_size=40))
def test_any_other_text_is_a_misfit_and_no_crash(text: str) -> None:
    with contextlib.suppress(Misfit):
        assert isinstance(read_time(text), Timestamp)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-1", -1), ("2147483647", 2147483647), ("12", 12)]
)
def test_integers_in_text(text: str, value: int) -> None:
    assert text_reader_of(FIELD["number"])(text) == value


@pytest.mark.parametrize(
    "text",
    ["", " 1", "+1", "01", "1_000", "1.0", "0x1", "\u0661", "-", "--1", "9" * 400, "2147483648"],
)
def test_integers_in_text_are_plain_decimals(text: str) -> None:
    with pytest.raises(Misfit):
        text_reader_of(FIELD["number"])(text)


def test_bools_in_text() -> None:
    read: Any = text_reader_of(OPTIONS["deprecated"])
    assert read("true") is True
    assert read("false") is False
    for text in ("", "1", "True", "yes"):
        with pytest.raises(Misfit):
            read(text)
