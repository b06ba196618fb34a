//! What happens to a server, told as events: each has a name, typed fields and a line for people, and all of them stand in one
//! table here. `docs/events.md` lists them; a test holds the two together.
//!
//! ```text
//!   housekeeping ─▶ News ─▶ bucket ─▶ tracing ─▶ text or JSON ─▶ writer ─▶ standard error
//!   admin thread ─┘         one an    by level    one line        a thread of its own: where nobody
//!                           event                                 reads, lines are lost and counted
//! ```
//!
//! No lane comes near this. What a lane meets it counts, and housekeeping tells what the counts say.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::Level;

mod bucket;
mod form;
mod log;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use bucket::Often;
pub(crate) use log::{finish, install, is_installed, look, lost_count};

/// What all of our events have in common for `tracing`; libraries that tell of themselves have another target, and are not heard.
const TARGET: &str = "barelane";

/// Something that happened, and what is said of it to people.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct News {
    pub(crate) event: Event,
    pub(crate) line: String,
    /// Of which card it is, where the server has several.
    card: Option<String>,
}

impl News {
    pub(crate) fn new(event: Event, line: impl Display) -> Self {
        Self { event, line: line.to_string(), card: None }
    }

    /// The same of one card among several; people read its name before a line that does not name it, too.
    pub(crate) fn on(mut self, card: Option<&str>) -> Self {
        if let Some(card) = card {
            if !self.event.names_card() {
                self.line = format!("{card}: {}", self.line);
            }
            self.card = Some(card.to_owned());
        }
        self
    }

    /// What works, but not as well as it could.
    pub(crate) fn warning(line: impl Display) -> Self {
        Self::new(Event::Warning {}, line)
    }

    /// A line of which only people make something: a warning where it begins so, else a fact.
    pub(crate) fn of(line: &str) -> Self {
        Self::of_either(line, Event::Warning {})
    }

    /// The same at the start, where each warning is told.
    pub(crate) fn of_plan(line: &str) -> Self {
        Self::of_either(line, Event::PlanWarning {})
    }

    fn of_either(line: &str, warning: Event) -> Self {
        match line.strip_prefix("warning: ") {
            Some(line) => Self::new(warning, line),
            None => Self::new(Event::Fact {}, line),
        }
    }

    /// Tells it, unless too many of its name came just now. Never waits for a reader.
    pub(crate) fn tell(&self) {
        match bucket::take(&self.event, Instant::now()) {
            Some(suppressed) => {
                self.event.emit(&self.line, self.card.as_deref(), (suppressed > 0).then_some(suppressed));
            }
            None => _ = SUPPRESSED.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// One row of the table.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the test that holds docs/events.md to the table reads the rest")
)]
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) often: Often,
    pub(crate) sentence: &'static str,
    pub(crate) fields: &'static [Field],
}

/// One field of an event.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the test that holds docs/events.md to the table reads the rest")
)]
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// What it is in JSON.
    pub(crate) form: &'static str,
    pub(crate) sentence: &'static str,
}

/// What a field may be.
trait Typed {
    const FORM: &'static str;
}

impl Typed for u64 {
    const FORM: &'static str = "number";
}

impl Typed for bool {
    const FORM: &'static str = "true or false";
}

impl Typed for String {
    const FORM: &'static str = "text";
}

macro_rules! events {
    ($( $variant:ident $name:literal $level:ident $often:ident $sentence:literal {
        $( $field:ident: $kind:ty, $what:literal; )*
    } )*) => {
        /// Something that happens to a server.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Event {
            $( #[doc = $sentence] $variant { $( #[doc = $what] $field: $kind, )* }, )*
        }

        /// Every event, in the order of a server's life.
        pub(crate) const TABLE: &[Row] = &[ $( Row {
            name: $name,
            level: Level::$level,
            often: Often::$often,
            sentence: $sentence,
            fields: &[ $( Field { name: stringify!($field), form: <$kind as Typed>::FORM, sentence: $what }, )* ],
        }, )* ];

        impl Event {
            pub(crate) const fn name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $name, )* }
            }

            /// Whether a field of it says which card it is of.
            fn names_card(&self) -> bool {
                match self { $( Self::$variant { .. } => [$( stringify!($field) ),*].contains(&"nic"), )* }
            }

            /// Hands it to whoever listens. `card` says of which of several it is, and `suppressed` how many of this name were not
            /// told before it.
            fn emit(&self, line: &str, card: Option<&str>, suppressed: Option<u64>) {
                match self { $( Self::$variant { $( $field, )* } => tracing::event!(
                    target: TARGET, Level::$level, event = $name, $( $field, )* card, suppressed, "{line}"
                ), )* }
            }
        }
    };
}

events! {
    Start "start" INFO Always "The server has started: its lanes turn." {
        version: String, "The version of the program.";
        process_id: u64, "Its process.";
        nic: String, "The interface, or the socket of one in shared memory; several with commas between them.";
    }
    Plan "plan" INFO Always "What the configuration means on this host." {
        nic: String, "The interface.";
        driver: String, "Its driver.";
        lane_count: u64, "How many lanes.";
        queues: String, "Their queues, in the order of the lanes.";
        cores: String, "Their cores, likewise.";
        address_count: u64, "How many addresses are served.";
        route_count: u64, "How many routes answer there.";
        tier: String, "The earliest tier that may answer: driver or lane.";
    }
    Mode "mode" INFO Always "How packets reach the lanes." {
        mode: String, "Where the XDP program runs, native or generic; over memif the role, server or client.";
        is_zero_copy: bool, "Whether the card reads and writes packets in place, on every queue.";
        wake: String, "Who drives the rings: need-wakeup, busy-poll or spin; over memif what a lane does where nothing comes: spin or sleep.";
    }
    Fact "fact" INFO Always "Something that an operator should know of how the server runs." {}
    PlanWarning "plan_warning" WARN Always "Something of the plan that works, but not as well as it could; at the start, and at a reload." {}
    Warning "warning" WARN Limited "Something that works, but not as well as it could." {}
    AdminStart "admin_start" INFO Always "Metrics and health are served." {
        address: String, "Where.";
    }
    AdminEnd "admin_end" WARN Always "Metrics and health are served no more, and packets are." {
        reason: String, "Why.";
    }
    Ready "ready" INFO Always "Packets are answered." {
        nic: String, "The interface.";
        mode: String, "As in `mode`.";
        is_zero_copy: bool, "As in `mode`.";
        lane_count: u64, "How many lanes.";
    }
    Tier "tier" INFO Limited "Another tier is the earliest one now, because the link carries what drivers answer, or does not." {
        tier: String, "Which: driver or lane.";
    }
    Reload "reload" INFO Always "Another configuration is in force, on all cards." {
        address_count: u64, "How many addresses are served, on all cards together.";
        route_count: u64, "How many routes answer there.";
        tier: String, "The earliest tier that may answer; where cards differ, one for each with commas between them.";
    }
    ReloadRefused "reload_refused" ERROR Always "Another configuration could not be taken over." {
        reason: String, "Why.";
        is_unchanged: bool, "Whether the one before is in force as it was; where not, only what both answer is answered.";
    }
    LimitHit "limit_hit" WARN Always "A limit was reached for the first time since the start: what asks beyond it is dropped." {
        tier: String, "Where: lane or driver.";
        limit: String, "Which: the counter's name (`route_limited`, `source_limited`, `error_withheld`).";
        dropped_count: u64, "How many it has dropped by then.";
    }
    Loss "loss" WARN Always "Frames were lost outside of the lanes for the first time since the start." {
        counted_by: String, "Who counts them: socket, memif, link or driver.";
        queue: String, "The queue that it is of; empty where that is not known.";
        counter: String, "The counter's name there.";
        count: u64, "How many by then, since the server's start.";
    }
    Stall "stall" WARN Limited "A lane was not there for longer than the bound of docs/events.md." {
        lane: u64, "Which lane.";
        core: u64, "Its core.";
        began_unix_ns: u64, "When it was last there before, in ns since 1970.";
        length_ns: u64, "How long it was not there.";
        cause: String, "Why, as far as the kernel tells: as in docs/side-channel.md.";
    }
    GatewayLost "gateway_lost" WARN Limited "Answers by a gateway are dropped, because the kernel does not know its Ethernet address." {
        gateway: String, "Its address.";
    }
    GatewayFound "gateway_found" INFO Limited "The kernel knows that gateway's Ethernet address again." {
        gateway: String, "Its address.";
    }
    PeerConnected "peer_connected" INFO Limited "A peer in shared memory has come." {}
    PeerLeft "peer_left" INFO Limited "A peer in shared memory has gone, or died." {}
    PeerSentAway "peer_sent_away" WARN Limited "A peer in shared memory did what is forbidden." {}
    Link "link" INFO Limited "The interface has lost its carrier, or has it again." {
        nic: String, "The interface.";
        is_running: bool, "Whether it has one.";
    }
    InterfaceGone "interface_gone" WARN Always "The interface was removed, or moved to another network namespace: until one of its name is there, nothing is answered." {
        nic: String, "The interface.";
    }
    InterfaceRefused "interface_refused" WARN Limited "An interface of that name is there and cannot be served yet; it is tried again." {
        nic: String, "The interface.";
        reason: String, "Why.";
    }
    InterfaceBack "interface_back" INFO Always "An interface of that name is there, and served." {
        nic: String, "The interface.";
        mode: String, "As in `mode`.";
        is_zero_copy: bool, "As in `mode`.";
        absent_ns: u64, "How long there was none that could be served.";
    }
    LogLost "log_lost" WARN Limited "Lines of this log were lost, because nobody read it." {
        lost_count: u64, "How many, since the start.";
    }
    Stop "stop" INFO Always "The server has stopped: what it counted in its life." {
        received_count: u64, "Frames that lanes received.";
        replied_count: u64, "Of these, answered.";
        passed_count: u64, "Of these, handed on.";
        dropped_count: u64, "Of these, dropped.";
        driver_received_count: u64, "Frames that the driver tier saw.";
        driver_replied_count: u64, "Of these, answered.";
        driver_passed_count: u64, "Of these, handed on, to lanes too.";
        driver_dropped_count: u64, "Of these, dropped.";
    }
    Failed "failed" ERROR Always "Why the process ends otherwise than it was told to." {
        exit_code: u64, "The code that it ends with.";
    }
}

/// How many events were not told, because too many of their name came at once.
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// How many events were not told so far, because too many of their name came at once.
pub(crate) fn suppressed_count() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}
