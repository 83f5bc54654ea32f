// Every bound of the server, each with its reason. Times are milliseconds, sizes are bytes unless said otherwise.

/** Largest request body; the contract's figure. */
export const MAX_BODY_BYTES = 64 * 1024;
/** Largest inbound WebSocket message, fragments together; what clients send is ignored, so this only bounds memory. */
export const MAX_INBOUND_MESSAGE_BYTES = 64 * 1024;
/** Deepest admitted document. Clients read it back inside three more levels, and theirs stop at 128. */
export const MAX_DOCUMENT_DEPTH = 120;
/** Longest subject or filter: brokers cut off who sends a longer protocol line, and sockets that remember theirs hold 16 KiB. */
export const MAX_SUBJECT_CHARACTERS = 4096;
/** Longest epoch of a client that is looked at; ours are half as long, so a longer one is another. */
export const MAX_EPOCH_CHARACTERS = 64;
/** Longest piece of a client's text that an error repeats, in characters. */
export const MAX_ECHO_CHARACTERS = 200;

/** Longest name of a token's bearer, in characters: as long as a formation's name. Each event that it causes carries it. */
export const MAX_OPERATOR_CHARACTERS = 253;
/** Failed logins that an address is granted at once: more than a mistyped token or a client with an old one makes in a minute. */
export const FAILED_LOGINS_BURST = 100;
/** What it is granted again each second: beside the entropy of a token nothing, and a Retry-After of a second is true. */
export const FAILED_LOGINS_PER_SECOND = 1;
/** Addresses whose failed logins are remembered, and as many whose good ones are: some 2 MiB in all. */
export const MAX_LOGIN_ADDRESSES = 10_000;

/** Events in one answer of GET /v1/events: default and cap, the contract's figures. */
export const DEFAULT_PAGE_EVENTS = 100;
export const MAX_PAGE_EVENTS = 1000;
/** How long GET /v1/events may be told to wait, in seconds; the contract's figure. */
export const MAX_POLL_SECONDS = 30;
/** Records in one answer of a list when the client gives a limit; the contract's figure. */
export const MAX_LIST_RECORDS = 1000;
/** What a token of a next page holds of the last record's id: tokens go into headers and addresses, which end at 8 to 16 KiB. */
export const MAX_TOKEN_ID_CHARACTERS = 256;
/** Longest token that is looked at: each of these characters as an escape, in base64, and the rest. */
export const MAX_TOKEN_CHARACTERS = 4096;

/** A write, from the request to our own projection: leaves room below the contract's 5 s for the answer itself. */
export const WRITE_TIMEOUT_MS = 4500;
/** A publish that is not acknowledged by then is looked for in the log: leaves time for that, and for a second try. */
export const ACKNOWLEDGEMENT_TIMEOUT_MS = 1500;
/** Pause before a write that met no connection in the middle tries on. */
export const WRITE_RETRY_MS = 100;
/** How long a read waits for the view to reach the sequence that it asks for; the contract's figure. */
export const MIN_CURSOR_TIMEOUT_MS = 3000;
/** Longest Idempotency-Key, in characters; the contract's figure. */
export const MAX_IDEMPOTENCY_KEY_CHARACTERS = 255;
/** Longest X-Request-Id of a client that is taken over, in characters. */
export const MAX_REQUEST_ID_CHARACTERS = 128;
/** How often a name may turn out to be taken by a finished formation while we derive the next id. */
export const MAX_ADMISSION_ATTEMPTS = 20;
/** Payload bytes in one page of history, for the feed and for GET /v1/events; a single event may be larger. */
export const MAX_PAGE_BYTES = 4 * 1024 * 1024;
/** A page of history, below the contract's 2 s. */
export const READ_TIMEOUT_MS = 1800;
/** How long a start waits for a broker before it answers from an empty view; the contract's figure. */
export const BROKER_GRACE_MS = 2000;
/** How long a request is held while a server starts that was asleep until somebody asked; the contract's figure. */
export const HOLD_WHILE_STARTING_MS = 10_000;
/** What a client should wait before it repeats a request that met a 503, in seconds. */
export const RETRY_AFTER_SECONDS = 1;

/** How often a view that changes is saved. What a start finds missing it replays, at some 100,000 entries a second. */
export const CHECKPOINT_INTERVAL_MS = 10_000;
/** Entries of a long replay between two saves: some 300 ms of work, far below the 30 s that Cloudflare grants an invocation. */
export const REPLAY_SLICE_ENTRIES = 32_768;

/** The next slice of a replay begins after this long even if nothing calls for it. */
export const MAX_SLICE_PAUSE_MS = 2000;
/** How often a Durable Object looks after itself; one that was evicted with sessions open is back after this long. */
export const WATCHDOG_INTERVAL_MS = 10_000;
/** A tail that has neither heard nor tried anything for this long will not any more. */
export const DEAD_TAIL_MS = 30_000;
/** A connection to the broker is renewed at this age: one that goes out keeps a Durable Object for 15 minutes at most. */
export const BROKER_CONNECTION_AGE_MS = 10 * 60_000;

/** A ping to each feed client; clients give up after 45 s of silence. */
export const HEARTBEAT_INTERVAL_MS = 25_000;
/** A feed client that takes or answers nothing for this long is closed. */
export const SLOW_CLIENT_MS = 50_000;
/** One that is over its backlog bound gets this long to take anything at all: a hiccup is no reason to close. */
export const OVERFLOW_GRACE_MS = 5000;
/** Unsent bytes in a session's socket above which the feed stops pushing to it and lets it catch up from the ring. */
export const MAX_SOCKET_BUFFER_BYTES = 1024 * 1024;
/** Bytes that wait in the ring for a session which takes nothing. */
export const MAX_SESSION_BACKLOG_BYTES = 1024 * 1024;
/** Open sessions of one server, streams of events included; the contract's figure, which the environment may change. */
export const MAX_SESSIONS = 10_000;
/** What the environment may ask for at most: beyond that it is more likely a slip than a wish. */
export const MAX_CONFIGURED_SESSIONS = 1_000_000;
export const MAX_CONFIGURED_RING_BYTES = 4 * 1024 * 1024 * 1024;
/** Messages, pings and pongs of one client a second: what clients send is ignored, so more is no use and may be an attack. */
export const MAX_INBOUND_PER_SWEEP = 200;
/** A client that asked for control frames hears of its cursor after this long without a frame: in time for its 25 s. */
export const BOOKMARK_INTERVAL_MS = 24_000;
/** Records in one frame of a snapshot; the contract's figure. */
export const MAX_SNAPSHOT_RECORDS = 1000;
/** A snapshot is shared by sessions that open within this time, and so many of its pages are kept made. */
export const SNAPSHOT_KEPT_MS = 1000;
export const SNAPSHOT_KEPT_PAGES = 16;
/** What a session behind is sent at once; small, so that many of them are served in turn. */
export const CATCH_UP_BATCH_BYTES = 256 * 1024;
/** Frames kept in memory for sessions that fall behind or come back. */
export const RING_BYTES = 16 * 1024 * 1024;
/** Sequences in one page of history that sessions share. */
export const HISTORY_PAGE_SEQUENCES = 1000;
/** Pages of history kept for the next session that asks for the same range. */
export const HISTORY_CACHED_PAGES = 8;
/** Readers of history at once: each costs the broker a consumer. */
export const HISTORY_READERS = 4;
/** How often the feed looks after sessions that could not be sent to, and how often at all of them. */
export const FEED_RETRY_MS = 50;
export const FEED_SWEEP_MS = 1000;
/** A moment in which a runtime whose sockets are paced can pass on what it was given. */
export const FEED_TURN_MS = 1;
/** How often at most the log says how many unsigned events were skipped. */
export const SKIP_REPORT_MS = 10_000;
/** How often at most the log says that history cannot be read. */
export const FEED_REPORT_MS = 10_000;
/** Longest close reason that WebSocket allows, in bytes of UTF-8. */
export const MAX_CLOSE_REASON_BYTES = 123;

/** One pull from the log. Two are under way; together they stay far below the 64 MiB at which a broker cuts a slow reader. */
export const PULL_MESSAGES = 4096;
export const PULL_BYTES = 4 * 1024 * 1024;
export const PULL_EXPIRES_MS = 30_000;
/** Contract section 2. */
export const CONSUMER_INACTIVE_MS = 5 * 60_000;
export const STREAM_MAX_AGE_MS = 90 * 24 * 3600_000;
export const STREAM_DUPLICATE_WINDOW_MS = 120_000;
/** Establishing a connection to the broker, TLS and WebSocket handshakes included. */
export const CONNECT_TIMEOUT_MS = 5000;
/** One request to the broker about streams or consumers. */
export const BROKER_REQUEST_TIMEOUT_MS = 2000;
/** Pause between attempts to connect: doubles from the first to the second, so that a broker is found soon after its return. */
export const RECONNECT_MIN_MS = 50;
export const RECONNECT_MAX_MS = 500;
/** Closing a connection to the broker; one that is dead is left behind after this. */
export const CONNECTION_CLOSE_MS = 250;
/** Leaving the broker when the server stops. */
export const LOG_CLOSE_MS = 1000;
/** A request to the broker is made again while it is not answered: a cluster without a leader drops it, and answers soon after. */
export const BROKER_ASK_AGAIN_MS = 250;
/** Removing the tail's consumer before the next one is made; one whose node is gone is left to its inactive threshold. */
export const CONSUMER_CLOSE_MS = 100;
/** How often a quiet tail asks whether the stream is still the same and whether it missed anything. */
export const WATCH_INTERVAL_MS = 500;
/** How long an entry may be on its way that the stream has and the tail has not. */
export const WATCH_SUSPICION_MS = 250;
/** Protocol pings to the broker: below the 100 s after which Cloudflare cuts an idle WebSocket. */
export const BROKER_PING_MS = 20_000;

/** What the index of events by cell and formation may take: six bytes an event, so it reaches back some 1.4 million of them. */
export const EVENT_INDEX_BYTES = 8 * 1024 * 1024;
/** Occurrences in one chunk of it: what is forgotten, or put together in a checkpoint, at a time. */
export const EVENT_INDEX_CHUNK = 16_384;
/** Sequences that are looked up in the index at once, for readers of one cell's or formation's events. */
export const EVENT_LOOKUP_BATCH = 512;
/** Requests for single entries of the log that are under way at once for one reader: each may bring a megabyte. */
export const ENTRY_REQUESTS = 32;

/** Text of one block of a checkpoint, in UTF-16 units: few enough blocks to count, each small enough to rewrite. */
export const CHECKPOINT_BLOCK_LENGTH = 1024 * 1024;
/** Blocks that any save may rewrite because they are more than half dead; one that writes much rewrites as much of them. */
export const CHECKPOINT_COMPACTIONS = 2;
/** Saves in a row that find another writer's checkpoint behind and unchanged before it is replaced: three intervals. */
export const CHECKPOINT_PATIENCE = 3;
/** How long a start waits for a checkpoint that a connected broker does not hand out. */
export const CHECKPOINT_WAIT_MS = 10_000;
/** Objects of a shared checkpoint that are read or written at once. */
export const CHECKPOINT_TRANSFERS = 4;
/** Largest object of a checkpoint, unpacked: a block of one record that holds the largest event many times over. */
export const MAX_CHECKPOINT_OBJECT_BYTES = 256 * 1024 * 1024;
/** An object that no head names belongs to nobody after this long: it was left by a writer that died. */
export const CHECKPOINT_STRAY_MS = 10 * 60_000;
/** One object of a checkpoint, to or from the broker. */
export const CHECKPOINT_TRANSFER_MS = 5000;
/** The connection for checkpoints is closed when it was not used for this long: longer than the pause between saves. */
export const CHECKPOINT_IDLE_MS = 15_000;

/** Keys in one set: each is imported at the start. Some for every supervisor of a large installation. */
export const MAX_KEYS = 10_000;
/** Longest id of a key. */
export const MAX_KEY_ID_CHARACTERS = 200;
/** Signers without a key that a view remembers, so that a key which is added later is noticed; anybody can make up more. */
export const MAX_UNKNOWN_SIGNERS = 100;
/** Signatures that are verified at once: enough to keep every processor busy, few enough for other work to come in between. */
export const SIGNATURES_AT_ONCE = 256;
/** Entries, and bytes of them, that wait for signatures before the log is paused; two pulls are still under way then. */
export const MAX_WAITING_ENTRIES = 1024;
export const MAX_WAITING_BYTES = 8 * 1024 * 1024;
