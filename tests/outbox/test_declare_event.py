"""Declaring events: what the catalogue takes, refuses and publishes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from flowledger.outbox.events import (
    EventRefused,
    PayloadTooLarge,
    event,
    event_type,
    event_type_of,
    published_catalogue,
)
from flowledger.tenancy.models import Organization
from tests.outbox.parcels import ParcelSent


class Speed(StrEnum):
    SLOW = "slow"


@dataclass(frozen=True)
class ParcelWeighed:
    """A parcel was put on the scales."""

    parcel_id: int
    price: Decimal
    at: datetime
    speed: str = "fast"
    stops: tuple[int, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


WEIGHED = ParcelWeighed(
    parcel_id=7,
    price=Decimal("1.50"),
    at=datetime(2025, 1, 2, tzinfo=UTC),
    speed=Speed.SLOW,
    stops=(1, 2),
    extra={"a": [None, True]},
)


class TestDeclareEvent:
    def test_the_payload_survives_the_way_through_json(self):
        entry = event_type_of(event("parcel.weighed", item="parcel")(ParcelWeighed) and WEIGHED)
        text = entry.encode(WEIGHED)
        assert '"price":"1.50"' in text
        assert '"speed":"slow"' in text
        assert entry.decode(text) == WEIGHED
        assert entry.item_id_of(WEIGHED) == 7

    def test_a_payload_of_a_newer_release_is_read_without_its_new_field(self):
        assert event_type("parcel.sent").decode('{"parcel_id": 4, "note": "", "colour": "red"}') == ParcelSent(4)

    def test_is_published_with_schema_and_description(self):
        published = {entry["name"]: entry for entry in published_catalogue()}["parcel.sent"]
        assert published["item_type"] == "parcel"
        assert published["description"] == "A parcel left the house."
        assert published["schema"]["properties"]["parcel_id"]["type"] == "integer"
        assert published["schema"]["required"] == ["parcel_id"]

    @pytest.mark.parametrize("name", ["parcel", "Parcel.sent", "parcel.", "parcel sent", "parcel.sent2"])
    def test_a_malformed_name_is_refused(self, name):
        with pytest.raises(TypeError, match=r"noun\.verb"):
            event(name, item="parcel")(ParcelWeighed)

    def test_a_second_declaration_of_a_name_is_refused(self):
        with pytest.raises(TypeError, match="already declared by ParcelSent"):
            event("parcel.sent", item="parcel")(ParcelWeighed)

    def test_a_class_that_can_change_is_refused(self):
        @dataclass
        class ParcelOpened:
            """Doc."""

            parcel_id: int

        with pytest.raises(TypeError, match="frozen dataclass"):
            event("parcel.opened", item="parcel")(ParcelOpened)

    def test_a_class_without_docstring_is_refused(self):
        @dataclass(frozen=True)
        class ParcelOpened:
            parcel_id: int

        with pytest.raises(TypeError, match="docstring"):
            event("parcel.opened", item="parcel")(ParcelOpened)

    def test_a_class_without_the_items_key_is_refused(self):
        with pytest.raises(TypeError, match="no field 'letter_id'"):
            event("letter.sent", item="letter")(ParcelWeighed)

    def test_a_field_that_is_no_json_is_refused(self):
        @dataclass(frozen=True)
        class ParcelOpened:
            """Doc."""

            parcel_id: int
            by: Organization

        with pytest.raises(Exception, match=r"Organization|JSON"):
            event("parcel.opened", item="parcel")(ParcelOpened)
        with pytest.raises(EventRefused):
            event_type("parcel.opened")

    def test_an_event_without_item_has_no_item_key(self):
        @dataclass(frozen=True)
        class PostClosed:
            """Doc."""

            reason: str

        entry = event_type_of(event("post.closed", item="")(PostClosed) and PostClosed("strike"))
        assert (entry.item, entry.item_id_of(PostClosed("strike"))) == ("", None)


class TestEncodeEvent:
    @pytest.mark.parametrize("wrong", [ParcelSent("7"), ParcelSent(7, note=5), ParcelSent(None)])  # type: ignore[arg-type]
    def test_a_value_of_another_type_is_refused(self, wrong):
        with pytest.raises(EventRefused, match="does not fit its schema"):
            event_type("parcel.sent").encode(wrong)

    def test_a_model_instance_in_an_open_field_is_refused(self):
        entry = event_type_of(event("parcel.weighed", item="parcel")(ParcelWeighed) and WEIGHED)
        with pytest.raises(EventRefused, match="does not fit its schema"):
            entry.encode(ParcelWeighed(1, Decimal(1), WEIGHED.at, extra={"who": Organization(name="x")}))

    def test_the_limit_is_exact_and_said(self, settings):
        entry = event_type("parcel.sent")
        settings.OUTBOX_MAX_PAYLOAD_BYTES = len(entry.encode(ParcelSent(1, note="é" * 10)).encode())
        entry.encode(ParcelSent(1, note="é" * 10))
        with pytest.raises(PayloadTooLarge, match="the limit is") as refused:
            entry.encode(ParcelSent(1, note="é" * 11))
        assert refused.value.status == 413

    def test_an_undeclared_class_is_refused(self):
        with pytest.raises(EventRefused, match="not in the event catalogue"):
            event_type_of(WEIGHED)
