"""Every bound of potrio with its reason: no queue, loop, size or wait anywhere is without one.

Sizes are bytes, times seconds, unless the name says otherwise. The figures come from measurements of how
libraries of the field behave under hostile input; a limit is a default of the constructor that uses it, so that
a test or an embedding program can set its own.
"""

from __future__ import annotations

from typing import Final

# --- WebSocket -------------------------------------------------------------------------------------------------------

CLIENT_MESSAGE_MAX: Final = 4 * 1024 * 1024
"""Largest message a client accepts. The asset table is 85-190 kB, a page of history up to a few MB."""

SERVER_MESSAGE_MAX: Final = 1_000_000
"""Largest message a server accepts: the maxPayload it announces."""

FRAGMENTS_MAX: Final = 128
"""Frames in one message. Real peers never fragment; endless fragments are an attack on memory and CPU."""

EMPTY_FRAGMENTS_MAX: Final = 8
"""Empty non-final frames in one message: they carry nothing and cost CPU."""

CONTROL_FRAMES_PER_SECOND: Final = 20.0
CONTROL_FRAMES_BURST: Final = 200
"""Budget of ping and pong frames from the peer (token bucket); past it the connection is closed with 1008."""

PONGS_PENDING_MAX: Final = 32
"""Pongs waiting to be sent; of more pings than this in one go only the latest are answered (RFC 6455 section 5.5.3)."""

CLOSE_TIMEOUT: Final = 1.0
"""From our Close frame to our closing of TCP, whatever the peer or a library does."""

CLOSE_DRAIN_MAX: Final = 1024 * 1024
"""Bytes read and thrown away while we wait for the end: closing on unread bytes resets TCP, and the peer may
then never see our Close frame. More than this is a flood, and a reset is what it gets."""

CONTROL_WRITE_TIMEOUT: Final = 1.0
"""A pong that cannot be written for this long: the peer does not read. The write cannot be cancelled meanwhile."""

# --- HTTP upgrade ----------------------------------------------------------------------------------------------------

HANDSHAKE_TIMEOUT: Final = 10.0
"""A client's budget for DNS, TCP, TLS, HTTP upgrade, Engine.IO, Socket.IO and authentication together."""

SERVER_HEAD_TIMEOUT: Final = 5.0
"""A server's budget for a request head to arrive."""

SERVER_AUTH_TIMEOUT: Final = 15.0
"""From upgrade to authentication on a server. Some clients are silent for two seconds first, and retry at ten."""

TCP_ATTEMPT_TIMEOUT: Final = 3.0
"""One address of a name, where there are more to try: a black hole must not eat the whole budget."""

RESPONSE_TIMEOUT: Final = 10.0
"""A server's budget for a peer to take an HTTP response (the venue's counters)."""

HTTP_HEAD_MAX: Final = 16 * 1024
HTTP_HEADERS_MAX: Final = 64
HTTP_BODY_MAX: Final = 64 * 1024
"""Bytes and lines of an HTTP head, bytes of a request body (fault orders posted to the venue)."""

# --- Engine.IO and Socket.IO -----------------------------------------------------------------------------------------

ATTACHMENTS_MAX: Final = 10
ATTACHMENTS_BYTES_MAX: Final = CLIENT_MESSAGE_MAX
ATTACHMENTS_TIMEOUT: Final = 5.0
"""Attachments of one packet: how many, how large together, how long until the last has come."""

ACK_ID_DIGITS_MAX: Final = 19
"""An ack id fits a 64-bit integer."""

CONNECTS_MAX: Final = 256
"""CONNECT packets a server answers in one session, refusals included: the peer may not read its answers."""

ACKS_PENDING_MAX: Final = 1024
"""Events sent with an ack id that the peer has not acknowledged, per namespace."""

EVENT_ARGS_MAX: Final = 32
"""Arguments of one event or ack. Splitting them costs 32 times their size, and honest events have few."""

BINARY_HEADER_CHARS_MAX: Final = 64 * 1024
"""Text of a packet with attachments: it is decoded as a whole to find the placeholders."""

BINARY_HEADERS_KEPT_MAX: Final = 128
"""Headers of binary events remembered by their text, so that an equal one is not parsed again."""

MAX_PAYLOAD_MIN: Final = 1024
"""The smallest maxPayload we take from a server: below it, not even the authentication could be sent."""

HANDSHAKE_CHARS_MAX: Final = 16 * 1024
SID_CHARS_MAX: Final = 256
"""Text of an Engine.IO handshake and of an id in it; real ones have about 120 and 20 characters."""

NAMESPACE_CHARS_MAX: Final = 256
EVENT_NAME_CHARS_MAX: Final = 256
"""Names are short; a long one is garbage or an attack on logs."""

JSON_DEPTH_MAX: Final = 64
"""Brackets opened in a small JSON text are counted before it is decoded: deep nesting kills small-stack threads."""

JSON_INTEGER_DIGITS_MAX: Final = 19

TEXT_CHARS_MAX: Final = 4096
SYMBOL_CHARS_MAX: Final = 64
"""Characters of a text (labels, error codes, ids) and of an asset's symbol in a message; both are short in life."""

STAMP_MAX: Final = 4_102_444_800
"""The latest time a message may carry, the year 2100: a later one is garbage, and breaks calendars."""

PRICE_MAX: Final = 1e12
MONEY_MAX: Final = 10**15
MONEY_MAGNITUDE_MAX: Final = 15  # its power of ten
MONEY_SCALE_MAX: Final = 18
"""Size of prices and amounts, digits after the point: ``1e999999999`` is valid JSON and would eat the machine."""

ROWS_COMMAS_MAX: Final = 200_000
"""Commas in a list that is decoded row by row after a bad row: each undecoded row costs 100 bytes. An asset
table has 6 000."""

PREAUTH_EVENTS_MAX: Final = 32
"""Events a server keeps for a client that has not authenticated yet: some clients resubscribe first."""

DECODE_ERRORS_MAX: Final = 3
DECODE_ERRORS_WINDOW: Final = 60.0
"""Undecodable payloads a client forgives per connection and window before it reconnects."""

PS_INTERVAL: Final = 20.0
"""A client sends the event ``ps`` this often."""

PS_DEADLINE: Final = 180.0
"""A venue closes a connection that has not sent ``ps`` for this long."""

HEARTBEAT_GRACE: Final = 1.0
"""Added to pingInterval + pingTimeout before a silent peer counts as dead."""

TCP_USER_TIMEOUT_MS: Final = 8_000
"""Unacknowledged bytes older than this break the connection (Linux)."""

# --- client ----------------------------------------------------------------------------------------------------------

READ_MAX: Final = 64 * 1024
"""Bytes of one read from a socket: one synchronous pass decodes them all."""

LINE_OUTBOUND_MAX: Final = 1024 * 1024
"""Bytes that may wait for one peer of a poller that does not read; past it sending fails."""

LINE_INBOUND_MAX: Final = 256 * 1024
"""Bytes a poller's line keeps for a task that does not read them; past it nothing more is read from the socket."""

LINE_READ_MAX: Final = 16 * 1024
POLLER_EVENTS_MAX: Final = 512
POLLER_SLICE: Final = 0.002
"""Of one pass of a poller: bytes of each socket, sockets, and seconds until other tasks have their turn."""

STREAMS_PER_CONNECTION_MAX: Final = 4
"""The venue streams the last four assets asked for; a fifth would silently end the first."""

REQUEST_TIMEOUT: Final = 10.0
"""A venue that has not answered a repeatable request in this time is asked again or the caller is told."""

ORDER_ACK_TIMEOUT: Final = 10.0
"""An order without an answer for this long is UNKNOWN until it is reconciled."""

CLOCK_TIMEOUT: Final = 3.0
"""How long the opening of a client waits for the first tick to measure the venue's clock by; OTC assets tick twice a
second, so it is only used up where no asset is open."""

TICK_AHEAD_MAX: Final = 10.0
"""A tick further ahead of the venue's own measured clock than this is not believed: it would silence its asset."""

SETTLEMENT_GRACE: Final = 10.0
"""From a deal's close time to the asking of the venue for its result."""

RESULT_GRACE: Final = 60.0
"""From a deal's close time to the end of waiting for its result: the venue has been asked for it again by then, and an
order that it does not know is VOID."""

ANOMALIES_KEPT_MAX: Final = 1000
"""Contradictions about orders that a client remembers; all are counted."""

REGEX_STATES_MAX: Final = 256
REGEX_TEXT_CHARS_MAX: Final = 4096
"""States of a pattern of raw access, and characters of an event that it looks at: their product is what one look costs,
a tenth of a second at the very worst."""

RAW_TAPS_MAX: Final = 64
RAW_KEEP_ALIVES_MAX: Final = 32
RAW_PAYLOAD_BYTES_MAX: Final = 64 * 1024
"""Raw taps open at once, messages sent anew on each link, and bytes of a message a program sends by itself."""

RATE_WAIT_MIN: Final = 0.001
"""The shortest wait the limiter names: a shorter one would be a loop, and no venue measures closer."""

RATE_HOLD_MAX: Final = 5.0
"""An order or a request that is safe to repeat is held by the limiter no longer than this: half the time in which its
answer is awaited. What would have to wait longer is refused at once."""

RATE_BACK_OFF: Final = 1.0
RATE_BACK_OFF_MAX: Final = 60.0
"""How long a lane is silent after the venue said "too many", at first and at most; it doubles with each time."""

MAILBOX_CAPACITY: Final = 1024
STREAM_CAPACITY: Final = 1024
"""Messages waiting for an actor; items waiting for one reader of a stream."""

ORDERS_KEPT_MAX: Final = 10_000
"""Settled orders a client remembers; live ones are never forgotten."""

CLOSED_DEALS_KEPT_MAX: Final = 1000
"""Closed deals a client lists and adds up: as many as a venue keeps of one account."""

CONCURRENT_ORDERS_MAX: Final = 10
"""Orders open at once on one account, as the venue itself limits them on demo."""

JOURNAL_ORDERS_MAX: Final = 100_000
"""Ended orders of one account a journal keeps, some 50 MB; older ones are pruned, unfinished ones never."""

JOURNAL_BUSY_TIMEOUT: Final = 2.0
"""How long a commit waits for a reader or writer from outside (somebody looking at the file) before it has failed."""

JOURNAL_RETRY_BASE: Final = 1.0
JOURNAL_RETRY_CAP: Final = 30.0
"""From a failed write of facts to the next try, doubled each time."""

HISTORY_PAGES_MAX: Final = 64
"""Requests one ``candles()`` call may make."""

RECONNECT_BASE: Final = 0.5
RECONNECT_CAP: Final = 5.0
RECONNECT_CAP_MIN: Final = 0.1
RECONNECT_CAP_MAX: Final = 3600.0
RECONNECT_STABLE: Final = 10.0
"""Full-jitter backoff between attempts (the first is at once); reset once a connection stayed ready this long.

A user may choose base and cap in these bounds: with less, attempts that fail at once would put the venue under load."""

CONNECT_DEADLINE: Final = 60.0
"""The very first round over all addresses: six of them may use up their whole handshake."""

REGION_COOLDOWN_BASE: Final = 5.0
REGION_COOLDOWN_CAP: Final = 300.0
"""An address that failed is left alone this long, twice as long after each failure in a row, where there are others."""

STALE_AFTER_MIN: Final = 10.0
STALE_AFTER_MAX: Final = 60.0
"""Silence of a tradable asset. OTC assets tick twice a second; the quietest exchange-traded ones every few seconds."""

STALE_DOUBLINGS_MAX: Final = 6
"""Patience with an asset that new links do not revive: an hour at most between two links given up for its sake."""

READS_WAITING_MAX: Final = 256
"""Reads waiting for the router; past it the connection stops reading and TCP holds the venue back."""

SESSION_IDLE: Final = 5.0
SESSIONS_MAX: Final = 16
"""An additional session that nobody reads is closed after twice this time; so many sessions one client may have."""

LEASE_END_MAX: Final = 3.0
"""A leased session is given this long to say goodbye when its lease ends."""

FRESH_SSID_MAX: Final = 5
FRESH_SSID_TIMEOUT: Final = 300.0
"""How often a client's callback is asked for a fresh SSID in its life, and how long it may take: a human may log in."""

# --- venue -----------------------------------------------------------------------------------------------------------

VENUE_CONNECTIONS_MAX: Final = 20_000
"""Open at once. Not a thousand: to carry a swarm of 15 000 simulated clients is what the venue is for. A configuration
of a venue that strangers can reach should set less (`VenueConfig.connections_max`)."""

VENUE_PER_HOST_MAX: Final = 50
VENUE_UNAUTHENTICATED_MAX: Final = 100
"""Streams of one address, and streams that have not logged in, this machine excepted: swarms come from it."""

SHARD_REPORTS_WAITING_MAX: Final = 100_000
"""Reports of a load run that wait for the controller, one a second and shard: hours of a hundred shards."""

VENUE_OUTBOUND_MESSAGES_MAX: Final = 1024
VENUE_OUTBOUND_BYTES_MAX: Final = 1024 * 1024
"""What waits for one slow reader; past it the venue closes that connection with 1013. The longest burst of an honest
client is 300 messages (50 pending orders of a live account that open at one tick), the largest 0.9 MB (a page of 13 000
ticks is 790 kB, an answer to changeSymbol 35 kB, the asset table 46 kB)."""
