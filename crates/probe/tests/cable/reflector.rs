//! A UDP echo in a thread of its own that does wrong on purpose, and knows what it did.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use barelane_probe::Counts;
use host::namespace::Namespace;

/// What a reflector does to the questions of a run, by their sequence numbers from 1; 0 is the warm-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Each answer waits for this time at least, and for up to a millisecond more.
    pub(super) delay: Duration,
    /// Every so many-th question makes the reflector stall: whatever arrives within that time is answered after it.
    pub(super) stalls: Option<(u64, Duration)>,
    /// Every so many-th question is not answered, …
    pub(super) lost: Option<u64>,
    /// … answered twice, …
    pub(super) doubled: Option<u64>,
    /// … answered with a wrong byte, …
    pub(super) corrupted: Option<u64>,
    /// … or so much later.
    pub(super) later: Option<(u64, Duration)>,
}

impl Plan {
    /// Answers without fault.
    pub(super) const PROMPT: Self =
        Self { delay: Duration::ZERO, stalls: None, lost: None, doubled: None, corrupted: None, later: None };
}

/// A running reflector.
#[derive(Debug)]
pub(super) struct Reflector {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Counts>,
}

impl Reflector {
    pub(super) fn start(namespace: &Namespace, ip: IpAddr, plan: Plan) -> Self {
        let socket = namespace.run(|| UdpSocket::bind((ip, 0)).unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || Work::new(socket, plan).until(&stopped));
        Self { address, stop, thread }
    }

    pub(super) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops it; gives what it received and did, as a probe's counts. What is too late for the probe it does not know:
    /// such answers are among the answered ones.
    pub(super) fn stop(self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

type Answer = (Instant, u64, bool, SocketAddr, Vec<u8>);

struct Work {
    socket: UdpSocket,
    plan: Plan,
    stalls_until: Instant,
    waiting: BinaryHeap<Reverse<Answer>>,
    counts: Counts,
    /// One more than the highest sequence that was answered.
    expected: u64,
}

impl Work {
    fn new(socket: UdpSocket, plan: Plan) -> Self {
        socket.set_nonblocking(true).unwrap();
        let stalls_until = Instant::now();
        Self {
            socket,
            plan,
            stalls_until,
            waiting: BinaryHeap::new(),
            counts: Counts::default(),
            expected: 0,
        }
    }

    fn until(mut self, stop: &AtomicBool) -> Counts {
        let mut room = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            match self.socket.recv_from(&mut room) {
                Ok((len, asker)) => self.plan_answer(&room[..len], asker),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.answer_due();
                    thread::sleep(Duration::from_micros(50));
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.counts
    }

    fn plan_answer(&mut self, question: &[u8], asker: SocketAddr) {
        let sequence = u64::from_be_bytes(*question.first_chunk().unwrap());
        let now = Instant::now();
        let is =
            |every: Option<u64>| sequence > 0 && every.is_some_and(|every| sequence.is_multiple_of(every));
        self.counts.sent += u64::from(sequence > 0);
        if is(self.plan.lost) {
            self.counts.lost += 1;
            return;
        }
        if let Some((every, length)) = self.plan.stalls
            && is(Some(every))
        {
            self.stalls_until = now + length;
        }
        // Any law will do that is never below what the plan says.
        let jitter = Duration::from_micros(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54);
        let mut at = self.stalls_until.max(now) + self.plan.delay + jitter;
        if let Some((every, later)) = self.plan.later
            && is(Some(every))
        {
            at += later;
        }
        let mut bytes = question.to_vec();
        let is_corrupted = is(self.plan.corrupted);
        if is_corrupted {
            bytes[20] ^= 0x40;
        }
        self.waiting.push(Reverse((at, sequence, is_corrupted, asker, bytes)));
    }

    fn answer_due(&mut self) {
        while self.waiting.peek().is_some_and(|Reverse((at, ..))| *at <= Instant::now()) {
            let Some(Reverse((_, sequence, is_corrupted, asker, bytes))) = self.waiting.pop() else { return };
            self.socket.send_to(&bytes, asker).unwrap();
            if sequence > 0 {
                self.count(sequence, is_corrupted, &bytes, asker);
            }
        }
    }

    /// Counts an answer that has left, and repeats it where the plan says so.
    fn count(&mut self, sequence: u64, is_corrupted: bool, bytes: &[u8], asker: SocketAddr) {
        if is_corrupted {
            self.counts.corrupted += 1;
            self.counts.lost += 1;
            return;
        }
        self.counts.answered += 1;
        self.counts.reordered += u64::from(sequence < self.expected);
        self.expected = self.expected.max(sequence + 1);
        if self.plan.doubled.is_some_and(|every| sequence.is_multiple_of(every)) {
            self.counts.duplicated += 1;
            self.socket.send_to(bytes, asker).unwrap();
        }
    }
}
