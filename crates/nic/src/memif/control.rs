//! The thread beside the lanes: it lets a peer in, watches over it, and shows it out.
//!
//! ```text
//!   server:  listen ──▶ guests, in their handshakes ──▶ connected ──▶ gone, or sent away ──▶ listen
//!   client:  try ────▶ one handshake ───────────────▶ connected ──▶ gone, or sent away ──▶ try again
//! ```
//!
//! It sleeps in `poll` and wakes when something comes, or to look: whether a lane has complained of its peer, whether the
//! peer's memory is still there, whether its events can still be written to. Nothing that a peer does makes it wait, and a
//! guest who says nothing is shown out.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::channel::{Channel, Listener, Received};
use super::fault::{Fault, Frames, PeerCounts, Peers};
use super::given::{self, Given};
use super::message::{Message, Secret};
use super::pair::{Pair, Parts};
use super::post::Outbox;
use super::server::Answer;
use super::shared::Regions;
use super::{Idle, MemifError, Role, SECRET_SIZE_MAX, Settings, client, event, server};

/// How often a connection is looked at: how long a peer stays whose memory has gone, or of whom a lane complains.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How often a client tries to find its server.
const TRY_INTERVAL: Duration = Duration::from_millis(50);
/// How long a handshake may take. It is some twenty messages on one machine, for which a DPDK on a core that others have too
/// has been seen to take two seconds; a peer that is slower is not there.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// How many peers may be in their handshakes at once: a second one comes where the first has died unseen.
const GUESTS_MAX: usize = 8;
/// How many messages of one peer are heard before others are looked after.
const MESSAGES_AT_ONCE: usize = 64;
/// How many lines wait to be said, at most; where nobody asks for them the oldest go.
const NEWS_MAX: usize = 64;

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which kind of thing.
    pub what: Happening,
    /// What to say of it.
    pub line: String,
}

/// What can happen at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A peer has come.
    Connected,
    /// It has gone, or died.
    Left,
    /// It did what is forbidden.
    SentAway,
    /// None can come, for a reason on this side.
    KeptOut,
}

impl fmt::Display for News {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.line)
    }
}

/// One end of an interface, beside its queues. Dropping it ends the connection and takes the socket away.
#[derive(Debug)]
pub struct Control {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner see.
#[derive(Debug)]
struct Shared {
    stop: OwnedFd,
    is_over: AtomicBool,
    is_connected: AtomicBool,
    peers: PeerCounts,
    frames: Mutex<Vec<Frames>>,
    news: Mutex<VecDeque<News>>,
    /// The line that was said last.
    said: Mutex<String>,
}

impl Control {
    /// Starts the thread: as a server it listens before this returns.
    pub(super) fn start(settings: &Settings, outboxes: Vec<Outbox>) -> Result<Self, MemifError> {
        let listener =
            match settings.role {
                Role::Client => None,
                Role::Server => Some(Listener::open(&settings.socket).map_err(|source| {
                    MemifError::Socket { socket: settings.socket.to_string(), what: "listened on", source }
                })?),
            };
        let shared = Arc::new(Shared {
            stop: event::new().map_err(MemifError::Thread)?,
            is_over: AtomicBool::new(false),
            is_connected: AtomicBool::new(false),
            peers: PeerCounts::default(),
            frames: Mutex::new(vec![Frames::default(); outboxes.len()]),
            news: Mutex::new(VecDeque::new()),
            said: Mutex::default(),
        });
        let host = Host {
            settings: settings.clone(),
            secret: settings.secret.as_deref().map(secret),
            shared: Arc::clone(&shared),
            outboxes,
            generation: 0,
        };
        let thread = thread::Builder::new()
            .name("memif-control".to_owned())
            .spawn(move || House { host, listener, guests: Vec::new(), connected: None }.run())
            .map_err(MemifError::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether a peer is connected now.
    pub fn is_connected(&self) -> bool {
        self.shared.is_connected.load(Ordering::Acquire)
    }

    /// How often peers came and went.
    pub fn peers(&self) -> Peers {
        self.shared.peers.read()
    }

    /// What of each queue's frames was not taken, as of the last look.
    pub fn frames(&self) -> Vec<Frames> {
        self.shared.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has happened since this was last asked.
    pub fn news(&self) -> Vec<News> {
        self.shared.news.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        event::wake(&self.shared.stop);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn secret(bytes: &[u8]) -> Secret {
    let mut secret = [0; SECRET_SIZE_MAX];
    for (to, from) in secret.iter_mut().zip(bytes) {
        *to = *from;
    }
    secret
}

/// What the thread has beside its peers.
struct Host {
    settings: Settings,
    secret: Option<Secret>,
    shared: Arc<Shared>,
    outboxes: Vec<Outbox>,
    /// The number of the newest connection.
    generation: u32,
}

/// Everything of the thread.
struct House {
    host: Host,
    listener: Option<Listener>,
    guests: Vec<Guest>,
    connected: Option<Connected>,
}

/// A peer in its handshake.
struct Guest {
    channel: Channel,
    handshake: Handshake,
    came: Instant,
}

enum Handshake {
    Server(server::Handshake),
    Client(client::Handshake),
}

/// A peer whose packets the lanes have.
struct Connected {
    channel: Channel,
    peer: String,
    connection: Connection,
}

/// What of a connection is looked at.
struct Connection {
    generation: u32,
    regions: Arc<Regions>,
    events: Vec<OwnedFd>,
}

/// Why a peer is not there any more.
enum End {
    /// It said so, or has gone.
    Left(String),
    SentAway(Fault),
}

impl House {
    fn run(mut self) {
        while !self.host.shared.is_over.load(Ordering::Acquire) {
            self.wait();
            self.let_in();
            self.hear_guests();
            self.look_after();
            // Also where nobody comes: the memory of who has gone is large.
            self.host.outboxes.iter_mut().for_each(Outbox::collect);
            self.host.tell_frames();
        }
        for guest in &self.guests {
            guest.channel.send_farewell("The server ends");
        }
        if let Some(connected) = self.connected.take() {
            connected.channel.send_farewell("It ends");
            self.host.take_away();
        }
    }

    /// Sleeps until something comes, or it is time to look.
    fn wait(&self) {
        let stop = PollFd::new(&self.host.shared.stop, PollFlags::IN);
        let channels = self.guests.iter().map(|guest| &guest.channel);
        let channels = channels.chain(self.connected.iter().map(|connected| &connected.channel));
        let mut set = vec![stop];
        set.extend(self.open_door().map(|listener| PollFd::new(listener, PollFlags::IN)));
        set.extend(channels.map(|channel| PollFd::new(channel, PollFlags::IN)));
        let interval = if self.connected.is_some() { LOOK_INTERVAL } else { TRY_INTERVAL };
        let interval = Timespec::try_from(interval).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 20_000_000 });
        let _woken = poll(&mut set, Some(&interval));
    }

    /// Where peers come in, while any are let in.
    fn open_door(&self) -> Option<&Listener> {
        self.listener.as_ref().filter(|_| !given::are_too_many())
    }

    fn let_in(&mut self) {
        match self.open_door().map(Listener::accept) {
            Some(Ok(Some(channel))) => self.welcome(channel),
            Some(Err(error)) => self.host.pause(&error),
            None if self.listener.is_none() && self.guests.is_empty() && self.connected.is_none() => {
                match Channel::connect(&self.host.settings.socket) {
                    Ok(Some(channel)) => self.guests.push(self.host.visit(channel)),
                    Ok(None) => {}
                    Err(error) => self.host.pause(&error),
                }
            }
            Some(Ok(None)) | None => {}
        }
    }

    fn welcome(&mut self, channel: Channel) {
        if self.guests.len() >= GUESTS_MAX {
            channel.send_farewell("Too many peers at once");
            return;
        }
        let guest = self.host.receive(channel);
        if let Some(guest) = guest {
            self.guests.push(guest);
        }
    }

    fn hear_guests(&mut self) {
        let mut staying = Vec::new();
        for mut guest in std::mem::take(&mut self.guests) {
            match guest.hear() {
                Ok(None) => staying.push(guest),
                Ok(Some(welcome)) => self.connect(guest, &welcome),
                Err(end) => self.host.show_out(&guest.channel, guest.handshake.peer(), end),
            }
        }
        self.guests = staying;
    }

    /// Hands a peer's rings to the lanes, if none is there before it.
    fn connect(&mut self, mut guest: Guest, welcome: &Message) {
        let peer = guest.handshake.peer().to_owned();
        let parts = match &self.connected {
            Some(_) => Err(Fault::AlreadyConnected),
            None => guest.handshake.parts(),
        };
        match parts.and_then(|parts| self.host.hand_over(&guest.channel, &peer, parts, welcome)) {
            Ok(connection) => self.connected = Some(Connected { channel: guest.channel, peer, connection }),
            Err(fault) => self.host.show_out(&guest.channel, &peer, End::SentAway(fault)),
        }
    }

    /// Looks whether the connected peer is still one to be connected with.
    fn look_after(&mut self) {
        let Some(connected) = &self.connected else { return };
        let Some(end) =
            connected.hear().or_else(|| self.host.judge(&connected.connection).map(End::SentAway))
        else {
            return;
        };
        if let Some(connected) = self.connected.take() {
            // Counted before anybody can see that nobody is connected any more.
            if matches!(end, End::Left(_)) {
                self.host.shared.peers.count_left();
            }
            self.host.show_out(&connected.channel, &connected.peer, end);
            self.host.take_away();
        }
    }
}

impl Host {
    /// A guest of a server: greeted.
    fn receive(&self, channel: Channel) -> Option<Guest> {
        let Settings { id, queues, .. } = self.settings;
        let handshake = server::Handshake::new(server::Terms { id, queues, secret: self.secret });
        channel.send(&handshake.hello(), None).ok()?;
        Some(Guest { channel, handshake: Handshake::Server(handshake), came: Instant::now() })
    }

    /// A client's own handshake with its server.
    fn visit(&self, channel: Channel) -> Guest {
        let Settings { id, queues, ring_size, buffer_size, .. } = self.settings;
        #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
        let ring_size_log2 = ring_size.ilog2() as u8;
        let wants = client::Wants { id, queues, secret: self.secret, ring_size_log2, buffer_size };
        let handshake = Handshake::Client(client::Handshake::new(wants));
        Guest { channel, handshake, came: Instant::now() }
    }

    /// Gives each lane its queue, and lanes that the peer has no queue for nothing.
    fn hand_over(
        &mut self,
        channel: &Channel,
        peer: &str,
        parts: Vec<Parts>,
        welcome: &Message,
    ) -> Result<Connection, Fault> {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let is_polling = self.settings.idle == Idle::Spin;
        let queue_count = parts.len();
        let clone = |parts: &Parts| {
            let rx = parts.rx_event.try_clone()?;
            Ok([rx, parts.tx_event.try_clone()?])
        };
        let events: io::Result<Vec<[OwnedFd; 2]>> = parts.iter().map(clone).collect();
        let events = events.map_err(|_| Fault::HostFailed)?.into_iter().flatten().collect();
        let regions = parts.first().map(|parts| Arc::clone(&parts.regions)).ok_or(Fault::RingsMissing)?;
        let pairs = parts.into_iter().map(|parts| Box::new(Pair::new(generation, parts, is_polling)));
        let is_agreed =
            self.post(pairs).and_then(|()| channel.send(welcome, None).map_err(|_| Fault::Silent));
        is_agreed.inspect_err(|_| self.take_away())?;
        self.shared.peers.count_connected();
        self.shared.is_connected.store(true, Ordering::Release);
        let plural = if queue_count == 1 { "" } else { "s" };
        let line =
            format!("memif {}: {peer} is connected, {queue_count} queue{plural}", self.settings.socket);
        self.say(Happening::Connected, line);
        Ok(Connection { generation, regions, events })
    }

    /// Sends each lane its rings, as far as there are any.
    fn post(&mut self, mut pairs: impl Iterator<Item = Box<Pair>>) -> Result<(), Fault> {
        for outbox in &mut self.outboxes {
            outbox.send(pairs.next()).map_err(|_full| Fault::HostFailed)?;
        }
        Ok(())
    }

    /// Takes the rings away from the lanes.
    fn take_away(&mut self) {
        self.shared.is_connected.store(false, Ordering::Release);
        for outbox in &mut self.outboxes {
            // A lane that takes nothing has stopped; what it holds is freed with it.
            let _full = outbox.send(None);
        }
    }

    /// What is wrong with a connected peer, if anything is.
    fn judge(&self, connection: &Connection) -> Option<Fault> {
        let complaint = self.outboxes.iter().find_map(|outbox| outbox.fault(connection.generation));
        let is_full = connection.events.iter().any(event::is_full);
        let lost = connection.regions.are_lost().then_some(Fault::MemoryLost);
        lost.or(complaint).or(is_full.then_some(Fault::EventInvalid))
    }

    /// Says farewell, counts, and says why.
    fn show_out(&self, channel: &Channel, peer: &str, end: End) {
        let socket = &self.settings.socket;
        let peer = if peer.is_empty() { "a peer" } else { peer };
        match end {
            End::Left(why) => {
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                self.say(Happening::Left, format!("memif {socket}: {peer} has gone{why}"));
            }
            End::SentAway(fault) => {
                self.shared.peers.count_fault(fault);
                channel.send_farewell(fault.sentence());
                let why = fault.sentence();
                let line = format!("warning: memif {socket}: {peer} was sent away ({fault}): {why}");
                self.say(Happening::SentAway, line);
            }
        }
    }

    /// Keeps a line to be said, unless it is the one that was said last: a client that tries again and again says once why it
    /// is not let in.
    fn say(&self, what: Happening, line: String) {
        let mut said = self.shared.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said == line {
            return;
        }
        said.clone_from(&line);
        let mut news = self.shared.news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.len() == NEWS_MAX {
            news.pop_front();
        }
        news.push_back(News { what, line });
    }

    /// Tells what keeps peers from coming in, and does not spin on it.
    fn pause(&self, error: &io::Error) {
        self.say(Happening::KeptOut, format!("warning: memif {}: {error}", self.settings.socket));
        thread::sleep(TRY_INTERVAL);
    }

    fn tell_frames(&self) {
        let mut frames = self.shared.frames.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, outbox) in frames.iter_mut().zip(&self.outboxes) {
            *place = outbox.counts();
        }
    }
}

impl Handshake {
    fn peer(&self) -> &str {
        match self {
            Self::Server(handshake) => &handshake.peer,
            Self::Client(handshake) => &handshake.peer,
        }
    }

    fn hear(&mut self, message: Message, descriptor: Option<Given>) -> Result<Answer, Fault> {
        match self {
            Self::Server(handshake) => handshake.hear(message, descriptor),
            Self::Client(handshake) => handshake.hear(message, descriptor),
        }
    }

    /// The rings that were agreed on, queue by queue.
    fn parts(&mut self) -> Result<Vec<Parts>, Fault> {
        match self {
            Self::Server(handshake) => handshake.parts(),
            Self::Client(handshake) => handshake.parts(),
        }
    }

    /// Sends what the handshake has to send next, beside answers.
    fn proceed(&mut self, channel: &Channel) -> io::Result<()> {
        let Self::Client(handshake) = self else { return Ok(()) };
        handshake.next().map_or(Ok(()), |(message, descriptor)| channel.send(&message, descriptor))
    }
}

impl Guest {
    /// Hears what the guest says now. Gives what to say to it when the handshake is over.
    fn hear(&mut self) -> Result<Option<Message>, End> {
        // Whatever it says: acknowledgements without an end are no handshake.
        if self.came.elapsed() > HANDSHAKE_PATIENCE {
            return Err(End::SentAway(Fault::Silent));
        }
        for _ in 0..MESSAGES_AT_ONCE {
            let Some((message, descriptor)) = self.channel.hear()? else { return Ok(None) };
            match self.handshake.hear(message, descriptor).map_err(End::SentAway)? {
                Answer::Connected(welcome) => return Ok(Some(welcome)),
                Answer::Left(why) => return Err(End::Left(why)),
                Answer::Send(message) => self.channel.say(&message)?,
                Answer::Nothing => {}
            }
            self.handshake.proceed(&self.channel).map_err(|error| End::Left(error.to_string()))?;
        }
        Ok(None)
    }
}

impl Connected {
    /// What the peer says after the handshake: nothing, until it goes.
    fn hear(&self) -> Option<End> {
        for _ in 0..MESSAGES_AT_ONCE {
            match self.channel.hear() {
                Ok(None) => return None,
                Ok(Some((Message::Ack, None))) => {}
                Ok(Some((Message::Disconnect { why, .. }, _))) => {
                    return Some(End::Left(super::message::readable(&why)));
                }
                Ok(Some(_)) => return Some(End::SentAway(Fault::OutOfTurn)),
                Err(end) => return Some(end),
            }
        }
        Some(End::SentAway(Fault::OutOfTurn))
    }
}

impl Channel {
    /// The next message, if one has come, or why there will be none.
    fn hear(&self) -> Result<Option<(Message, Option<Given>)>, End> {
        match self.receive() {
            Ok(Received::Message(message, descriptor)) => Ok(Some((message, descriptor))),
            Ok(Received::Nothing) => Ok(None),
            Ok(Received::Closed) => Err(End::Left(String::new())),
            Ok(Received::Malformed) => Err(End::SentAway(Fault::Malformed)),
            Err(error) => Err(End::Left(error.to_string())),
        }
    }

    fn say(&self, message: &Message) -> Result<(), End> {
        self.send(message, None).map_err(|error| End::Left(error.to_string()))
    }

    /// A farewell that is not heard by a peer that has gone.
    fn send_farewell(&self, why: &str) {
        let _gone = self.send(&Message::disconnect(why), None);
    }
}
