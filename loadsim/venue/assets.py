"""The assets of the venue: each real one with its OTC twin, and the 19-column row that shows each.

The ids of the rows quoted in `protocol.md` 5.3 are the real service's; everything else is data made up to be of the
same shape. `#AAPL` with id 5 is first, because some public clients detect the table by that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from loadsim.venue.path import Walk
from loadsim.venue.schedule import DAY_S, Session, change_after, is_open, payout_percent

__all__ = ["ASSETS", "AssetRow", "VenueAsset", "row_of"]

AssetRow = list[object]

KNOWN_IDS: Final = {"#AAPL": (5, 170), "EURUSD": (1, 66), "BTCUSD": (197, 484)}
FIRST_FREE_ID: Final = 501
"""Ids of a real asset and its OTC twin; those that nobody has written down count on from here."""

STOCKS: Final = (
    "#AAPL:Apple:228.4 #MSFT:Microsoft:421.7 #AMZN:Amazon:201.3 #GOOGL:Alphabet:176.9 #FB:Facebook:563.2 "
    "#TSLA:Tesla:248.9 #NFLX:Netflix:702.5 #INTC:Intel:22.81 #CSCO:Cisco:69.31 #BA:Boeing:155.2 "
    "#JPM:JPMorgan:223.6 #JNJ:Johnson&Johnson:160.4 #MCD:McDonald's:295.7 #PFE:Pfizer:28.64 #XOM:ExxonMobil:119.9 "
    "#AXP:AmericanExpress:271.5 #C:Citigroup:63.42 #V:Visa:286.1 #NVDA:Nvidia:132.8 #AMD:AMD:151.6 "
    "#BABA:Alibaba:98.7 #KO:Coca-Cola:68.9 #DIS:Disney:96.4 #T:AT&T:21.9 #NKE:Nike:81.2"
)
CURRENCIES: Final = (
    "EURUSD GBPUSD USDJPY USDCHF USDCAD AUDUSD NZDUSD AUDCAD AUDCHF AUDJPY AUDNZD CADCHF CADJPY CHFJPY EURAUD EURCAD "
    "EURCHF EURGBP EURJPY EURNZD GBPAUD GBPCAD GBPCHF GBPJPY NZDJPY USDMXN USDBRL USDINR USDCNH USDSGD USDZAR EURHUF "
    "EURTRY USDTRY USDTHB USDPHP USDMYR USDPKR USDCOP USDARS USDEGP AEDCNY SARCNY JODCNY BHDCNY QARCNY OMRCNY MADUSD"
)
COMMODITIES: Final = (
    "XAUUSD:Gold:2655.3 XAGUSD:Silver:31.42 XPTUSD:Platinum:987.6 XPDUSD:Palladium:1051.4 "
    "UKBrent:Brent:74.9 USCrude:WTI:71.2 XNGUSD:Gas:2.713"
)
CRYPTOCURRENCIES: Final = (
    "BTCUSD:Bitcoin:67250.4 ETHUSD:Ethereum:2630.5 LTCUSD:Litecoin:71.3 "
    "DASHUSD:Dash:27.44 SOLUSD:Solana:171.9 XRPUSD:Ripple:0.5471"
)
INDICES: Final = (
    "SP500:S&P:5808.1 NASUSD:NASDAQ:20352.3 DJI30:DowJones:42114.4 D30EUR:DAX:19463.6 "
    "F40EUR:CAC:7497.5 100GBP:FTSE:8248.8 JPN225:Nikkei:37913.9"
)

USD_PER_UNIT: Final = {
    "EUR": 1.085, "USD": 1.0, "GBP": 1.272, "JPY": 0.00651, "CHF": 1.124, "CAD": 0.731, "AUD": 0.662, "NZD": 0.607,
    "TRY": 0.0304, "MXN": 0.0557, "BRL": 0.183, "INR": 0.01196, "CNY": 0.1378, "CNH": 0.1379, "SGD": 0.7421,
    "ZAR": 0.0546, "HUF": 0.00278, "THB": 0.0277, "PHP": 0.01718, "MYR": 0.2126, "AED": 0.2723, "SAR": 0.2666,
    "PKR": 0.003597, "COP": 0.000243, "ARS": 0.00109, "EGP": 0.02094, "MAD": 0.1002, "JOD": 1.41, "BHD": 2.653,
    "QAR": 0.2747, "OMR": 2.597,
}  # fmt: skip
"""What a unit of a currency is worth; a pair starts at the quotient."""

DIGITS_OF_PRICE: Final = 6
"""Significant digits of a price: 1.08500, 171.900, 67250.4."""

VOLATILITY: Final = {
    "currency": 0.006,
    "stock": 0.018,
    "commodity": 0.014,
    "cryptocurrency": 0.035,
    "index": 0.012,
}
OTC_VOLATILITY: Final = 3.0
"""Standard deviation of a day, relative; OTC quotes of the real service are about three times as lively."""

SESSIONS: Final = {
    "currency": Session.CURRENCY,
    "stock": Session.STOCK,
    "commodity": Session.COMMODITY,
    "cryptocurrency": Session.ALWAYS,
    "index": Session.INDEX,
}
PAYOUTS: Final = {"currency": 82, "stock": 50, "commodity": 60, "cryptocurrency": 15, "index": 45}
OTC_PAYOUT: Final = 92

DURATIONS_S: Final = (60, 120, 180, 300, 600, 900, 1800, 2700, 3600, 7200, 10_800, 14_400)
SHORT_DURATIONS_S: Final = DURATIONS_S[:4]


class VenueAsset(Struct, frozen=True, kw_only=True):
    """One asset: what never changes about it."""

    id: int
    symbol: str
    label: str
    kind: str
    digits: int
    base_price: float
    is_otc: bool
    twin_id: int
    volatility: float
    session: Session
    payout: int

    @property
    def duration_min_s(self) -> int:
        """The shortest deal (columns 7 and 17 of the row)."""
        return 5 if self.is_otc else 30

    def walk(self, volatility: float) -> Walk:
        """Return the key of the asset's price path; ``volatility`` scales how lively it is."""
        points = round(self.base_price * 10**self.digits)
        return Walk(self.id, points, self.volatility * volatility)


def row_of(asset: VenueAsset, *, seed: int, stamp: float, payout_period_s: int) -> AssetRow:
    """Return the asset's row of `updateAssets` (`protocol.md` 5.3) as it reads at ``stamp``."""
    active = is_open(seed, asset.id, asset.session, stamp)
    change = change_after(seed, asset.id, asset.session, stamp)
    reference = change if change is not None else (int(stamp) // DAY_S + 1) * DAY_S
    durations = SHORT_DURATIONS_S if asset.kind == "cryptocurrency" else DURATIONS_S
    return [
        asset.id,
        asset.symbol,
        asset.label,
        asset.kind,
        asset.digits,
        payout_percent(seed, asset.id, asset.payout, stamp, payout_period_s),
        60,
        30,
        3,
        int(asset.is_otc),
        0 if asset.is_otc else asset.twin_id,
        asset.twin_id if asset.is_otc else 0,
        [],
        reference,
        active,
        [{"time": seconds} for seconds in durations],
        change if change is not None and not asset.is_otc else 0,
        5 if asset.is_otc else 60,
        -1,
    ]


def _listed() -> Iterator[tuple[str, str, str, float]]:
    """Yield (kind, symbol, label, price) of the real assets."""
    for kind, text in (
        ("stock", STOCKS),
        ("cryptocurrency", CRYPTOCURRENCIES),
        ("commodity", COMMODITIES),
        ("index", INDICES),
    ):
        for entry in text.split():
            symbol, label, price = entry.rsplit(":", 2)
            yield kind, symbol, label, float(price)
    for symbol in CURRENCIES.split():
        base, quote = symbol[:3], symbol[3:]
        yield "currency", symbol, f"{base}/{quote}", USD_PER_UNIT[base] / USD_PER_UNIT[quote]


def _make() -> Iterator[VenueAsset]:
    free = FIRST_FREE_ID
    for kind, symbol, label, price in _listed():
        ids = KNOWN_IDS.get(symbol)
        if ids is None:
            ids = (free, free + 1)
            free += 2
        digits = max(1, DIGITS_OF_PRICE - len(str(int(price))))
        for is_otc in (False, True):
            yield VenueAsset(
                id=ids[is_otc],
                symbol=f"{symbol}_otc" if is_otc else symbol,
                label=f"{label} OTC" if is_otc else label,
                kind=kind,
                digits=digits,
                base_price=round(price, digits),
                is_otc=is_otc,
                twin_id=ids[not is_otc],
                volatility=VOLATILITY[kind] * (OTC_VOLATILITY if is_otc else 1.0),
                # Currencies over the counter are what everybody trades: they never rest.
                session=SESSIONS[kind]
                if not is_otc
                else (Session.ALWAYS if kind == "currency" else Session.RESTS),
                payout=OTC_PAYOUT if is_otc else PAYOUTS[kind],
            )


ASSETS: Final = tuple(_make())
"""All of them, `#AAPL` first."""
