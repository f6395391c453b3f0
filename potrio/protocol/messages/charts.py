"""The web client's workplace: charts, indicators, drawings, favourites, price alerts. Nothing of it trades."""

from __future__ import annotations

from typing import Final

import msgspec

from potrio.protocol.messages.base import Integer, Json, Message, Price, Stamp, Text, WholeStamp
from potrio.protocol.messages.wire import bare, opaque, rows, single, structured

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "AddPriceAlert",
    "ChangeFavorite",
    "Chart",
    "Charts",
    "CreateIndicator",
    "DeleteAllIndicators",
    "DeleteChart",
    "DeleteIndicator",
    "FavIndicator",
    "Favorites",
    "Indicators",
    "LoadFavorites",
    "LoadIndicators",
    "LoadOrderChart",
    "LoadPriceAlerts",
    "LockDrawings",
    "PriceAlerts",
    "RemovePriceAlert",
    "SaveCharts",
    "SetIndicatorVisible",
    "UnfavIndicator",
    "UpdateDrawingPoints",
    "UpdateIndicator",
]

# --- charts and drawings; events of the family `drawing/` are `families.Drawing` -------------------------------------


class Chart(msgspec.Struct, frozen=True):
    """One saved chart; ``settings`` is JSON within a string, as the wire has it."""

    chart_id: Text
    settings: Json


class Charts(Message, frozen=True):
    """Server: ``updateCharts``: the user's saved charts, after login."""

    charts: list[Chart]
    rejected: int = 0


class SaveCharts(Message, frozen=True):
    """Client: ``saveCharts``."""

    state: Json = None


class DeleteChart(Message, frozen=True):
    """Client: ``deleteChart``."""

    state: Json = None


class UpdateDrawingPoints(Message, frozen=True):
    """Client: ``updateDrawingPoints``."""

    state: Json = None


class LockDrawings(Message, frozen=True):
    """Client: ``lockDrawings``."""

    state: Json = None


class LoadOrderChart(Message, frozen=True, kw_only=True):
    """Client: ``order-chart/load``: the chart around one past order."""

    id: Integer | Text
    time_from: WholeStamp | Stamp
    time_to: WholeStamp | Stamp
    digits: Integer
    price: Price
    open_timestamp: WholeStamp | Stamp
    symbol_id: Integer


# --- indicators ------------------------------------------------------------------------------------------------------


class LoadIndicators(Message, frozen=True):
    """Client: ``indicator/load``; answered by `Indicators`."""


class CreateIndicator(Message, frozen=True):
    """Client: ``indicator/create``."""

    indicator: Json = None


class UpdateIndicator(Message, frozen=True):
    """Client: ``indicator/update``."""

    indicator: Json = None


class DeleteIndicator(Message, frozen=True):
    """Client: ``indicator/delete``."""

    indicator: Json = None


class DeleteAllIndicators(Message, frozen=True):
    """Client: ``indicator/deleteAll``."""

    argument: Json = None


class FavIndicator(Message, frozen=True):
    """Client: ``indicator/fav``."""

    indicator: Json = None


class UnfavIndicator(Message, frozen=True):
    """Client: ``indicator/unfav``."""

    indicator: Json = None


class SetIndicatorVisible(Message, frozen=True):
    """Client: ``indicator/setVisible``."""

    indicator: Json = None


class Indicators(Message, frozen=True):
    """Server: ``successindicator/load``."""

    indicators: list[Json]


# --- favourites and price alerts -------------------------------------------------------------------------------------


class LoadFavorites(Message, frozen=True):
    """Client: ``favorite/load``; answered by `Favorites`."""


class ChangeFavorite(Message, frozen=True):
    """Client: ``favorite/change``."""

    change: Json = None


class Favorites(Message, frozen=True, omit_defaults=False):
    """Server: ``successfavorite/load``: ``{"list":[],"favorites":[]}``."""

    items: list[Json] = msgspec.field(default_factory=list, name="list")
    favorites: list[Json] = msgspec.field(default_factory=list)


class LoadPriceAlerts(Message, frozen=True):
    """Client: ``price-alert/load``; answered by `PriceAlerts`."""


class AddPriceAlert(Message, frozen=True):
    """Client: ``price-alert/add``: tell me when an asset (by its id in the table) reaches a price."""

    price: Price
    asset_id: Integer


class RemovePriceAlert(Message, frozen=True):
    """Client: ``price-alert/remove``."""

    id: Integer | Text


class PriceAlerts(Message, frozen=True):
    """Server: ``successprice-alert/load``."""

    alerts: list[Json]


# --- wire ------------------------------------------------------------------------------------------------------------

CLIENT_EVENTS: Final = (
    opaque(SaveCharts, "saveCharts"),
    opaque(DeleteChart, "deleteChart"),
    opaque(UpdateDrawingPoints, "updateDrawingPoints"),
    opaque(LockDrawings, "lockDrawings"),
    structured(LoadOrderChart, "order-chart/load"),
    bare(LoadIndicators, "indicator/load"),
    opaque(CreateIndicator, "indicator/create"),
    opaque(UpdateIndicator, "indicator/update"),
    opaque(DeleteIndicator, "indicator/delete"),
    opaque(DeleteAllIndicators, "indicator/deleteAll"),
    opaque(FavIndicator, "indicator/fav"),
    opaque(UnfavIndicator, "indicator/unfav"),
    opaque(SetIndicatorVisible, "indicator/setVisible"),
    bare(LoadFavorites, "favorite/load"),
    opaque(ChangeFavorite, "favorite/change"),
    bare(LoadPriceAlerts, "price-alert/load"),
    structured(AddPriceAlert, "price-alert/add"),
    structured(RemovePriceAlert, "price-alert/remove"),
)

SERVER_EVENTS: Final = (
    rows(Charts, Chart, "updateCharts"),
    single(Indicators, list[Json], "successindicator/load"),
    structured(Favorites, "successfavorite/load", optional=True),
    single(PriceAlerts, list[Json], "successprice-alert/load"),
)
