"""The order book with a journal: intent on disk before the frame, nothing sent twice after, no hop more without one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.journal import Journaled, JournalFailed, JournalState, journal
from potrio.actors.journal_file import JournalFile
from potrio.actors.journal_record import OrderRecord, evidence_of
from potrio.actors.keys import CONNECTION, JOURNAL, ORDER_BOOK
from potrio.actors.link import NotSent, SubmitOrder
from potrio.actors.order_book import order_book
from potrio.actors.order_journal import restore
from potrio.actors.pending_desk import PlacePending
from potrio.actors.pending_evidence import PendingState
from potrio.actors.pending_record import PendingRecord
from potrio.errors import OrderDenied
from potrio.limits import SETTLEMENT_GRACE
from potrio.protocol.messages.trading import ClosedDeals, DealsClosed, OpenedDeals, OrderFailed, OrderOpened
from potrio.supervision.mailbox_spec import unbounded
from potrio.supervision.spec import child

from .conftest import EPOCH, OTHER, Desk, crash, deal, recording, running, settle
from .pending_stage import intent
from .test_journal import Disk

ME = "public/4711-demo"
PATH = Path("orders.db")
OPEN: list[JournalFile] = []


@pytest.fixture(autouse=True)
def closed():
    yield
    while OPEN:
        OPEN.pop().close()


class JournalDesk(Desk):
    """A desk with a journal; `again` is the next process on the same disk."""

    def __init__(self, disk: Disk | None = None) -> None:
        super().__init__()
        self.seam = disk or Disk()
        self.file = JournalFile.open(PATH, self.seam)
        OPEN.append(self.file)
        records, pending = self.file.load(ME), self.file.load_pending(ME)
        restore(self.book, records, pending, now=trio.current_time(), wall=self.seam.wall())
        self.state = JournalState(self.file, ME, [*records, *pending])
        self.on_disk_at_submission: list[tuple[str, bool]] = []

    def children(self):
        book = child(
            order_book,
            self.book,
            self.account,
            self.link,
            self.seam,
            self.state,
            id=ORDER_BOOK,
            mailbox=unbounded(),
        )
        keeper = child(journal, self.state, self.seam, id=JOURNAL, mailbox=unbounded())
        return keeper, book, recording(CONNECTION, self.told, self.look_at_the_disk)

    def look_at_the_disk(self, ctx, message) -> None:
        if isinstance(message, SubmitOrder):
            sent = message.request_id in self.rows() or message.request_id in self.pending_rows()
            self.on_disk_at_submission.append((message.request_id, sent))

    def rows(self):
        return {each.intent.request_id: each for each in self.file.load(ME)}

    def pending_rows(self):
        return {each.intent.request_id: each for each in self.file.load_pending(ME)}

    async def place_pending(self, number: int = 1, **terms):
        terms.setdefault("expires_at", trio.current_time() + 10.0)
        return await self.sup.ref(ORDER_BOOK).ask(PlacePending(intent(number, **terms)))

    def states(self):
        return {request_id: row.state for request_id, row in self.rows().items()}

    def handle(self, request_id):
        return self.book.handles[request_id]

    async def again(self):
        """The process ends here and now, and another begins."""
        self.file.close()
        return JournalDesk(self.seam)


@pytest.fixture
async def desk(autojump_clock):
    desk = JournalDesk()
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up()
        yield desk


# --- before the wire -------------------------------------------------------------------------------------------------


async def test_i2_journal_before_wire(autojump_clock, desk):
    desk.seam.takes_s = 0.2
    handle = await desk.place()
    assert (desk.submitted(), desk.rows()) == ([], {})
    await trio.sleep(0.3)
    assert desk.submitted() == [handle.request_id]
    assert desk.on_disk_at_submission == [(handle.request_id, True)]


async def test_every_step_of_an_order_is_on_disk_when_all_is_quiet(autojump_clock, desk):
    handle = await desk.place()
    await desk.written(handle)
    assert desk.states() == {"r1": OrderState.UNKNOWN}  # so it would be, were this the end of the process
    assert desk.state.appended == 1
    await desk.tell(OrderOpened(deal(), "r1"))
    assert desk.states() == {"r1": OrderState.OPEN}
    await desk.tell(DealsClosed(None, [deal(profit=-10, close_price=1.0)]))
    assert desk.states() == {"r1": OrderState.SETTLED}
    other = await desk.place(OTHER)
    await desk.written(other)
    await desk.tell(OrderFailed(error="busy", asset=OTHER))
    assert desk.states()["r2"] is OrderState.REJECTED
    appended = desk.state.appended
    await desk.tell(ClosedDeals([deal(profit=-10, close_price=1.0)]))
    assert desk.state.appended == appended  # nothing new, nothing written


async def test_a_disk_that_is_too_slow_denies_the_order_and_never_sends_it_late(autojump_clock, desk):
    desk.seam.takes_s = 3.0
    handle = await desk.place(valid_for=2.0)
    with pytest.raises(OrderDenied, match="the journal has not taken it in time"):
        await handle.opened()
    assert trio.current_time() == pytest.approx(2.0)
    await trio.sleep(20)
    assert desk.submitted() == []
    assert desk.states() == {"r1": OrderState.DENIED}


async def test_a_full_disk_denies_the_order_and_the_next_one_tries_again(autojump_clock, desk):
    desk.seam.fill()
    handle = await desk.place()
    with pytest.raises(OrderDenied, match=r"JournalError: journal orders.db: .*disk is full"):
        await handle.opened()
    desk.seam.fill(False)
    later = await desk.place()
    assert desk.submitted() == [later.request_id]


async def test_what_was_sent_before_the_disk_filled_up_is_not_lost(autojump_clock, desk):
    handle = await desk.place()
    await desk.written(handle)
    desk.seam.fill()
    await desk.tell(OrderOpened(deal(), "r1"), DealsClosed(None, [deal(profit=9, close_price=1.0)]))
    assert handle.state is OrderState.SETTLED
    assert desk.states() == {"r1": OrderState.UNKNOWN}
    desk.seam.fill(False)
    await trio.sleep(2)
    assert desk.states() == {"r1": OrderState.SETTLED}


async def test_an_order_that_the_connection_gave_back_is_written_down_anew_with_its_new_time(
    autojump_clock, desk
):
    await desk.place(valid_for=100.0)
    first = desk.rows()["r1"].sent_wall
    await desk.lost()
    await desk.tell(NotSent("r1", "the link was lost"))
    assert desk.states() == {"r1": OrderState.NEW}  # it is here: the venue cannot have it
    await trio.sleep(50)
    await desk.up()
    assert desk.submitted() == ["r1", "r1"]
    assert first == EPOCH
    assert desk.rows()["r1"].sent_wall == EPOCH + 50


async def test_the_time_in_the_journal_is_by_the_wall_clock_that_the_next_process_will_see(
    autojump_clock, desk
):
    await desk.place()
    await desk.written(desk.book.handles["r1"])
    await trio.sleep(1)
    clock = desk.account.clock
    clock.observe(EPOCH + 1 + 7200, EPOCH + 1)
    clock.doubt(3600.0, EPOCH + 1)  # the system's clock was set after it was sent, or the machine slept
    await desk.lost()
    assert desk.rows()["r1"].sent_wall == EPOCH, "nothing is known yet"
    for number in range(11):
        clock.observe(EPOCH + 2 + number + 7200, EPOCH + 2 + number)
    assert clock.is_certain
    await desk.up()
    assert desk.rows()["r1"].sent_wall == EPOCH + 3600
    restored = evidence_of(desk.rows()["r1"], now=0.0, wall=EPOCH + 3610)
    assert restored.written_at == -10.0


async def test_an_entry_that_could_not_be_used_at_once_is_written_again(autojump_clock, desk):
    desk.seam.takes_s = 0.5
    await desk.place(valid_for=100.0)
    await desk.lost()
    await trio.sleep(10)
    assert desk.submitted() == []
    await desk.up()
    assert desk.submitted() == []
    await trio.sleep(1)
    assert desk.submitted() == ["r1"]
    assert desk.rows()["r1"].sent_wall == EPOCH + 10


async def test_an_answer_to_an_incarnation_that_is_gone_lets_nothing_leave(autojump_clock, desk):
    desk.seam.takes_s = 0.5
    await desk.place(valid_for=100.0)
    await trio.sleep(0.1)
    await crash(desk.sup, ORDER_BOOK)  # the question of before will be answered first, 0.2 s from now
    await trio.sleep(5)
    assert desk.submitted() == ["r1"]
    assert desk.on_disk_at_submission == [("r1", True)]


async def test_an_answer_is_for_the_question_with_its_number_only(autojump_clock, desk):
    desk.seam.takes_s = 4.0
    await desk.place(valid_for=100.0)
    for number in (0, 99):  # what an incarnation of before had asked, and its order has been given back since
        await desk.tell(Journaled("r1", number), JournalFailed("r1", number, "full"), Journaled("r9", number))
    assert (desk.submitted(), desk.handle("r1").state) == ([], OrderState.NEW)
    await trio.sleep(4.1)
    assert desk.submitted() == ["r1"]
    await desk.tell(Journaled("r1", 1))
    assert desk.submitted() == ["r1"]


async def test_a_crash_of_the_journal_sends_nothing_twice(autojump_clock, desk):
    handle = await desk.place()
    await desk.written(handle)
    await crash(desk.sup, JOURNAL)
    other = await desk.place(OTHER)
    assert desk.submitted() == ["r1", other.request_id]


async def test_without_a_journal_there_is_no_hop_more(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up()
        await desk.place()
        assert desk.submitted() == ["r1"]


# --- pending orders --------------------------------------------------------------------------------------------------


async def test_i2_holds_for_pending_orders(autojump_clock, desk):
    desk.seam.takes_s = 0.2
    handle = await desk.place_pending()
    await desk.place_pending(2)
    assert (desk.submitted(), desk.pending_rows()) == ([], {})
    await trio.sleep(0.3)
    assert desk.submitted() == ["p1"], "one unanswered at a time"
    assert desk.on_disk_at_submission == [("p1", True)]
    assert handle.state is PendingState.NEW


async def test_a_disk_that_is_too_slow_denies_a_pending_order_and_never_sends_it_late(autojump_clock, desk):
    desk.seam.takes_s = 30.0
    handle = await desk.place_pending()
    with pytest.raises(OrderDenied, match="the journal has not taken it in time"):
        await handle.working()
    await trio.sleep(100)
    assert desk.submitted() == []
    assert desk.pending_rows()["p1"].state is PendingState.DENIED


async def test_a_pending_order_that_the_connection_gave_back_is_written_down_anew(autojump_clock, desk):
    await desk.place_pending(expires_at=trio.current_time() + 100)
    await settle()
    await desk.lost()
    await desk.tell(NotSent("p1", "the link was lost"))
    assert desk.pending_rows()["p1"].state is PendingState.NEW, "it is here: the venue cannot have it"
    await trio.sleep(50)
    await desk.up()
    assert desk.submitted() == ["p1", "p1"]
    assert desk.pending_rows()["p1"].sent_wall == EPOCH + 50


async def test_what_a_pending_order_became_is_known_by_its_order_where_the_last_word_is_missing(
    autojump_clock,
):
    book, terms = Book(), intent(1, expires_at=0.0)
    order = OrderIntent(
        request_id="t1", asset=terms.asset, side=terms.side, amount=terms.amount, duration_s=terms.duration_s,
        is_demo=True, created_wall=EPOCH, expires_at=0.0,
    )  # fmt: skip
    became = OrderRecord(account=ME, intent=order, deal=deal(), named=True)
    waits = PendingRecord(account=ME, intent=terms, sent_wall=EPOCH, ticket="t1")
    restore(book, [became], [waits], now=0.0, wall=EPOCH)
    assert book.pending.orders["p1"].state() is PendingState.TRIGGERED
    assert book.pending.find("t1") is book.pending.handles["p1"]


# --- after a restart -------------------------------------------------------------------------------------------------


async def lived(*orders: str) -> JournalDesk:
    """A first process that placed these orders, which got so far; and the next one, not yet running."""
    desk = JournalDesk()
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up()
        for n, fate in enumerate(orders, start=1):
            handle = await desk.place(asset=f"A{n}", amount=n)
            if fate in ("sent", "open", "refused"):
                await desk.written(handle)
            if fate == "open":
                await desk.tell(OrderOpened(deal(f"d{n}", f"A{n}", amount=n), f"r{n}"))
            if fate == "refused":
                await desk.tell(OrderFailed(error="busy", asset=f"A{n}"))
        await settle()
    return await desk.again()


async def test_i1_at_most_once_across_restarts(autojump_clock):
    desk = await lived("handed over", "sent", "open", "refused")
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await settle()
        states = [desk.handle(f"r{n}").state for n in (1, 2, 3, 4)]
        assert states == [OrderState.UNKNOWN, OrderState.UNKNOWN, OrderState.OPEN, OrderState.REJECTED]
        for n in (1, 2, 3, 4):  # the same id and terms: the same order
            handle = await desk.place(asset=f"A{n}", amount=n, request_id=f"r{n}")
            assert handle is desk.handle(f"r{n}")
        with pytest.raises(ValueError, match="other terms"):
            await desk.place(asset="A1", amount=7, request_id="r1")
        for _ in range(3):
            await desk.up()
            await trio.sleep(30)
            await desk.lost()
        assert desk.submitted() == []


async def test_what_is_looked_for_is_found_in_the_lists_of_the_login(autojump_clock):
    desk = await lived("sent", "sent", "open")
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up(
            OpenedDeals([deal("d3", "A3", amount=3), deal("d1", "A1", amount=1)]),
            ClosedDeals([deal("d2", "A2", amount=2, profit=2, close_price=1.0)]),
        )
        assert [desk.handle(f"r{n}").state for n in (1, 2, 3)] == [
            OrderState.OPEN,
            OrderState.SETTLED,
            OrderState.OPEN,
        ]
        assert desk.book.external == {}
    assert desk.states() == {"r1": OrderState.OPEN, "r2": OrderState.SETTLED, "r3": OrderState.OPEN}


async def test_lists_that_came_before_the_venues_clock_was_known_are_looked_at_again(autojump_clock):
    desk = await lived("sent")
    desk.account = type(desk.account)()
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up(OpenedDeals([deal("d1", "A1", amount=1)]), ClosedDeals([]))
        assert desk.handle("r1").state is OrderState.UNKNOWN
        desk.account.clock.observe(EPOCH + 7200, EPOCH)
        await trio.sleep(1)
        assert desk.handle("r1").state is OrderState.OPEN


async def test_what_no_list_has_is_void_in_the_end_and_stays_it(autojump_clock):
    desk = await lived("sent")
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up(OpenedDeals([]), ClosedDeals([]))
        assert desk.handle("r1").state is OrderState.UNKNOWN
        for _ in range(3):
            await trio.sleep(2 * SETTLEMENT_GRACE)
            await desk.tell(OpenedDeals([]))
        assert desk.handle("r1").state is OrderState.VOID
        await settle()
    desk = await desk.again()
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await settle()
        assert desk.handle("r1").state is OrderState.VOID
        assert desk.book.live == {}


async def test_a_restored_order_blocks_no_asset(autojump_clock):
    desk = await lived("sent")
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up()
        other = await desk.place(asset="A1", amount=50, request_id="new")
        assert desk.submitted() == [other.request_id]


async def test_taking_orders_up_writes_nothing_that_is_known(autojump_clock):
    desk = await lived("sent", "open", "refused")
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await settle()
        assert desk.state.appended == 0


# --- replaying -------------------------------------------------------------------------------------------------------

fates = st.lists(st.sampled_from(["waiting", "handed over", "sent", "open", "refused"]), max_size=5)


@settings(max_examples=40, deadline=None)
@given(fates)
def test_i11_replaying_the_journal_gives_the_same_book(fates):
    async def check() -> None:
        desk = await lived(*fates)
        books = []
        for _ in range(2):
            book = Book()
            restore(book, desk.file.load(ME), now=0.0, wall=EPOCH + 99)
            books.append(book)
        one, two = books
        assert list(one.orders.items()) == list(two.orders.items())
        assert one.owner == two.owner
        for request_id, evidence in desk.book.orders.items():
            again = one.orders[request_id]
            assert again.state() is evidence.state()
            assert msgspec.structs.replace(again.intent, expires_at=0.0) == msgspec.structs.replace(
                evidence.intent, expires_at=0.0
            )
        for record in desk.file.load(ME):
            assert evidence_of(record, now=0.0, wall=EPOCH + 99) == one.orders[record.intent.request_id]
        desk.file.close()

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))
