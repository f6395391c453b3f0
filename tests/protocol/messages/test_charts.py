"""The web client's workplace: captured shapes, and anything where none was captured."""

from __future__ import annotations

from typing import Any

import pytest

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.charts import (
    AddPriceAlert,
    Chart,
    Charts,
    CreateIndicator,
    Favorites,
    Indicators,
    LoadFavorites,
    LoadIndicators,
    LoadOrderChart,
    LoadPriceAlerts,
    PriceAlerts,
    RemovePriceAlert,
    SaveCharts,
)
from potrio.protocol.messages.codec import decode_client_event, decode_server_event, encode


def test_the_captured_charts() -> None:
    payload = rb'[{"chart_id":"chart-1","settings":"{\"chartId\":\"chart-1\",\"symbol\":\"#AXP_otc\"}"}]'
    message = decode_server_event("updateCharts", payload)

    assert message == Charts([Chart("chart-1", '{"chartId":"chart-1","symbol":"#AXP_otc"}')])
    assert encode(message) == ("updateCharts", payload)


def test_settings_may_be_anything() -> None:
    assert decode_server_event(
        "updateCharts", b'[{"chart_id":"a","settings":{"x":1}},{"settings":1}]'
    ) == Charts([Chart("a", {"x": 1})], rejected=1)


@pytest.mark.parametrize(
    ("message", "name", "payload"),
    [
        (Indicators([]), "successindicator/load", b"[]"),
        (Indicators([{"id": 1}]), "successindicator/load", b'[{"id":1}]'),
        (Favorites([], []), "successfavorite/load", b'{"list":[],"favorites":[]}'),
        (Favorites(["A"], [{"a": 1}]), "successfavorite/load", b'{"list":["A"],"favorites":[{"a":1}]}'),
        (PriceAlerts([]), "successprice-alert/load", b"[]"),
    ],
)
def test_what_a_venue_answers(message: Message, name: str, payload: bytes) -> None:
    assert encode(message) == (name, payload)
    assert decode_server_event(name, payload) == message


def test_favourites_may_be_missing() -> None:
    assert decode_server_event("successfavorite/load", b"") == Favorites()


@pytest.mark.parametrize(
    ("message", "name", "payload"),
    [
        (LoadIndicators(), "indicator/load", None),
        (LoadFavorites(), "favorite/load", None),
        (LoadPriceAlerts(), "price-alert/load", None),
        (CreateIndicator({"type": "sma", "period": 14}), "indicator/create", b'{"type":"sma","period":14}'),
        (SaveCharts(), "saveCharts", None),
        (AddPriceAlert(1.25, 66), "price-alert/add", b'{"price":1.25,"assetId":66}'),
        (RemovePriceAlert(7), "price-alert/remove", b'{"id":7}'),
        (RemovePriceAlert("7d"), "price-alert/remove", b'{"id":"7d"}'),
        (LoadOrderChart(id="x", time_from=1, time_to=2, digits=5, price=1.5, open_timestamp=1, symbol_id=66),
         "order-chart/load",
         b'{"id":"x","timeFrom":1,"timeTo":2,"digits":5,"price":1.5,"openTimestamp":1,"symbolId":66}'),
    ],
)  # fmt: skip
def test_what_a_client_asks(message: Message, name: str, payload: Any) -> None:
    assert encode(message) == (name, payload)
    assert decode_client_event(name, payload or b"") == message


def test_shapes_that_are_known_are_checked() -> None:
    with pytest.raises(PayloadInvalid):
        decode_client_event("price-alert/add", b'{"price":"1.25","assetId":66}')
