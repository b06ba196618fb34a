//! Questions over the kernel's sockets: no privilege, no set-up, and the kernel's own path in every figure.
//!
//! The socket is connected, so that the kernel itself gives us nothing but what the target sent. Two named ways to
//! wait, because they measure two different things:
//!
//! * [`Wait::Block`] sleeps in the kernel and is woken: what an ordinary client sees.
//! * [`Wait::Spin`] asks again and again: no wake-up in the figures, a core used up.
//!
//! And two named places to take the stamps ([`Socket::stamped_by_kernel`]): around the system calls, as any program
//! would, or in the kernel, where its stack meets the driver.

mod echo;
mod room;
mod stamps;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, getsockname, ipproto, recv,
    send, socket_with, sockopt,
};
use telemetry::{Ns, Tick};

use crate::ask::{Ask, Protocol};
use crate::clock::{Clock, WallTime};
use crate::question::Question;
use crate::transport::{Arrival, Coverage, Facts, Stamps, Transport, TransportError, What};

use echo::Echo;
use stamps::KernelStamps;

/// How a socket waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Sleep in the kernel.
    Block,
    /// Ask again and again.
    Spin,
}

/// The longest sleep in the kernel: how late a Ctrl-C is noticed. Shorter costs wake-ups while nothing comes.
const SLEEP_MAX: Ns = Ns(100_000_000);

/// Larger than any datagram, so that an answer that is too long is seen whole and counted as corrupted.
const ANSWER_SIZE: usize = 1 << 16;

/// What goes over the socket.
#[derive(Debug)]
enum Form {
    Udp,
    Echo(Echo),
}

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    descriptor: OwnedFd,
    form: Form,
    wait: Wait,
    question: Vec<u8>,
    answer: Vec<u8>,
    /// Where the kernel takes the stamps.
    stamps: Option<KernelStamps>,
    /// An answer that waits behind the sending stamps.
    held: Option<Datagram>,
    /// ICMP errors that the kernel reported while a question was sent.
    refusals: u64,
}

impl Socket {
    /// A socket to the target of `ask`.
    ///
    /// For ICMP it is the kernel's ping socket where this user may have one (`net.ipv4.ping_group_range`), else a raw
    /// one, which needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The kernel refuses the socket, or has no route to the target.
    pub fn open(ask: &Ask, wait: Wait) -> Result<Self, TransportError> {
        let target = address(ask);
        let (descriptor, form) = if ask.protocol == Protocol::Icmp {
            echo::open(target, ask.seed).map(|(socket, echo)| (socket, Form::Echo(echo)))?
        } else {
            (open_udp(target)?, Form::Udp)
        };
        Self::over(descriptor, form, wait, ask)
    }

    /// A UDP socket that is its own target, for questions as those of `ask`: what it sends comes back by the kernel's
    /// loopback, as an echo does.
    ///
    /// # Errors
    /// The kernel refuses the socket, or this host has no loopback.
    pub fn to_itself(ask: &Ask, wait: Wait) -> Result<Self, TransportError> {
        let remedy = "see that the interface `lo` is up";
        let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let socket = new_udp(AddressFamily::INET)?;
        bind(&socket, &loopback).map_err(failed("binding a socket to the loopback", remedy))?;
        let own = getsockname(&socket).and_then(SocketAddr::try_from);
        connect_to(&socket, own.map_err(failed("asking for a socket's own address", remedy))?)?;
        Self::over(socket, Form::Udp, wait, ask)
    }

    fn over(descriptor: OwnedFd, form: Form, wait: Wait, ask: &Ask) -> Result<Self, TransportError> {
        sockopt::set_socket_timeout(
            &descriptor,
            sockopt::Timeout::Recv,
            Some(Duration::from_nanos(SLEEP_MAX.0)),
        )
        .map_err(failed("setting the socket's receive time-out", "report this: it should always work"))?;
        room::make(&descriptor);
        Ok(Self {
            descriptor,
            form,
            wait,
            question: vec![0; echo::HEADER_SIZE + ask.size],
            answer: vec![0; ANSWER_SIZE],
            stamps: None,
            held: None,
            refusals: 0,
        })
    }

    /// The same socket, with the kernel's own stamps, which no system call and no wake-up is part of. They are of
    /// `CLOCK_REALTIME`, so that the run has to be measured by that clock.
    ///
    /// # Errors
    /// This kernel takes no stamps.
    pub fn stamped_by_kernel(mut self) -> Result<Self, TransportError> {
        self.stamps = Some(KernelStamps::switch_on(&self.descriptor)?);
        Ok(self)
    }

    fn receive_datagram(
        &mut self,
        flags: RecvFlags,
        clock: &impl Clock,
    ) -> Result<Option<Received>, TransportError> {
        let room = self.answer.as_mut_slice();
        let received = match &mut self.stamps {
            None => recv(&self.descriptor, room, flags).map(|(_, len)| (len, None)),
            Some(stamps) => stamps.receive(&self.descriptor, room, flags),
        };
        match received {
            Ok((len, stamp)) => {
                let is_stamped = self.stamps.is_none() || stamp.is_some();
                let at = stamp.unwrap_or_else(|| clock.now());
                Ok(Some(Received::Answer(Datagram { len, at, is_stamped })))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) if is_refusal(errno) => Ok(Some(Received::Refusal)),
            Err(errno) => Err(failed("receiving", "see the kernel's log")(errno)),
        }
    }

    /// The next sending stamp of the kernel.
    fn departed(&mut self) -> Result<Option<Arrival<'static>>, TransportError> {
        let Some(stamps) = &mut self.stamps else { return Ok(None) };
        let departed = stamps.departed(&self.descriptor)?;
        Ok(departed.map(|(sequence, at)| Arrival { at, is_stamped: true, what: What::Sent { sequence } }))
    }

    /// What a datagram says, or nothing where it is no answer to us.
    fn arrival(&self, Datagram { len, at, is_stamped }: Datagram) -> Option<Arrival<'_>> {
        let bytes = self.answer.get(..len).unwrap_or_default();
        let what = match &self.form {
            Form::Udp => What::Answer { payload: bytes, echo_sequence: None, checksum: Coverage::Whole },
            Form::Echo(echo) => echo.read(bytes)?,
        };
        Some(Arrival { at, is_stamped, what })
    }

    /// Hands the first `size` bytes of the room for questions to the kernel.
    fn hand_over(&self, size: usize) -> Result<Sent, TransportError> {
        let bytes = self.question.get(..size).unwrap_or_default();
        match send(&self.descriptor, bytes, SendFlags::DONTWAIT) {
            Ok(_) => Ok(Sent::Yes),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => Ok(Sent::NoRoom),
            Err(errno) if is_refusal(errno) => Ok(Sent::RefusedBefore),
            Err(errno) => Err(failed("sending", SEND_REMEDY)(errno)),
        }
    }

    /// Gets the kernel's numbers ready for a question that is about to be sent.
    fn number(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<(), TransportError> {
        let Some(stamps) = &mut self.stamps else { return Ok(()) };
        if !clock.is_realtime() {
            return Err(TransportError::Clock { found: clock.name() });
        }
        stamps.expect(question.sequence(), &self.descriptor, clock)
    }

    /// Notes that a question was sent, or that it was not.
    fn numbered(&mut self, is_sent: bool, sequence: u64, clock: &impl Clock) -> Result<(), TransportError> {
        match &mut self.stamps {
            Some(stamps) if is_sent => stamps.sent(),
            Some(stamps) => return stamps.begin(sequence, &self.descriptor, clock),
            None => (),
        }
        Ok(())
    }

    /// Waits as this socket waits; gives what the receiving call is to do.
    ///
    /// A long wait is left to the receiving call itself, one system call for sleeping and taking. Its time-out counts
    /// the kernel's jiffies (4 ms at 250 Hz), so that a wait for an instant, the end of a gap, is `ppoll`'s.
    fn sleep(&self, until: Tick, clock: &impl Clock) -> Result<RecvFlags, TransportError> {
        if self.wait == Wait::Spin {
            return Ok(RecvFlags::DONTWAIT);
        }
        let left = clock.rate().ns(until - clock.now());
        if left == Ns(0) {
            return Ok(RecvFlags::DONTWAIT);
        }
        if left >= SLEEP_MAX {
            return Ok(RecvFlags::empty());
        }
        let left = Timespec { tv_sec: 0, tv_nsec: i64::try_from(left.0).unwrap_or(0) };
        match poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => Ok(RecvFlags::DONTWAIT),
            Err(errno) => Err(failed("waiting for an answer", "see the kernel's log")(errno)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Yes,
    NoRoom,
    /// The kernel has told of an ICMP error to an earlier question instead.
    RefusedBefore,
}

enum Received {
    Answer(Datagram),
    Refusal,
}

/// A datagram in the socket's room for answers.
#[derive(Clone, Copy, Debug)]
struct Datagram {
    len: usize,
    at: Tick,
    is_stamped: bool,
}

impl Transport for Socket {
    fn facts(&self) -> Facts {
        Facts {
            backend: "socket",
            means: match &self.form {
                Form::Udp => "connected UDP socket".to_owned(),
                Form::Echo(echo) => echo.means().to_owned(),
            },
            wait: match self.wait {
                Wait::Block => "block",
                Wait::Spin => "spin",
            },
            sent_stamp: match self.stamps() {
                Stamps::User => "user space, before send(2)",
                Stamps::Kernel => "kernel, software, when the driver takes the packet",
            },
            received_stamp: match self.stamps() {
                Stamps::User => "user space, after recv(2)",
                Stamps::Kernel => "kernel, software, when the driver hands the packet to the stack",
            },
        }
    }

    fn stamps(&self) -> Stamps {
        if self.stamps.is_some() { Stamps::Kernel } else { Stamps::User }
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        self.number(question, clock)?;
        let sent_at = question.stamp(clock);
        let size = match &self.form {
            Form::Udp => write_whole(question, sent_at, &mut self.question),
            Form::Echo(echo) => echo.write(question, sent_at, &mut self.question),
        };
        let at = clock.now();
        let sent = self.hand_over(size)?;
        self.numbered(sent == Sent::Yes, question.sequence(), clock)?;
        if sent != Sent::RefusedBefore {
            return Ok((sent == Sent::Yes).then_some(at));
        }
        // Not about this question: an ICMP error to an earlier one, handed over at the next call.
        self.refusals += 1;
        let at = clock.now();
        let is_sent = self.hand_over(size)? == Sent::Yes;
        self.numbered(is_sent, question.sequence(), clock)?;
        Ok(is_sent.then_some(at))
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn overruns(&self) -> Option<u64> {
        room::drops(&self.descriptor)
    }

    fn receive(&mut self, until: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Ok(Some(Arrival { at: clock.now(), is_stamped: false, what: What::Refused }));
        }
        if let Some(departed) = self.departed()? {
            return Ok(Some(departed));
        }
        if let Some(answer) = self.held.take() {
            return Ok(self.arrival(answer));
        }
        let flags = self.sleep(until, clock)?;
        let Some(received) = self.receive_datagram(flags, clock)? else { return Ok(None) };
        let Received::Answer(answer) = received else {
            return Ok(Some(Arrival { at: clock.now(), is_stamped: false, what: What::Refused }));
        };
        // The driver stamped the question before the answer could come: that stamp is to be known first.
        if let Some(departed) = self.departed()? {
            self.held = Some(answer);
            return Ok(Some(departed));
        }
        Ok(self.arrival(answer))
    }
}

const SEND_REMEDY: &str = "see that the target has a route and answers on its link, and that the size fits";

fn address(ask: &Ask) -> SocketAddr {
    let port = ask.protocol.port().map_or(0, NonZeroU16::get);
    match ask.target {
        IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, ask.scope)),
    }
}

const fn family(target: SocketAddr) -> AddressFamily {
    match target {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

fn new_udp(family: AddressFamily) -> Result<OwnedFd, TransportError> {
    socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(ipproto::UDP))
        .map_err(failed("opening a UDP socket", "see that this address family is not switched off"))
}

fn open_udp(target: SocketAddr) -> Result<OwnedFd, TransportError> {
    let socket = new_udp(family(target))?;
    connect_to(&socket, target)?;
    Ok(socket)
}

fn connect_to(socket: &OwnedFd, target: SocketAddr) -> Result<(), TransportError> {
    connect(socket, &target).map_err(failed("connecting to the target", "see that there is a route to it"))
}

fn write_whole(question: &Question<'_>, sent_at: WallTime, room: &mut [u8]) -> usize {
    question.write(room, sent_at);
    question.size().min(room.len())
}

/// Whether this is what the kernel makes of an ICMP error (`icmp_err_convert` in `net/ipv4/icmp.c`, and
/// `icmpv6_err_convert`).
fn is_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNREFUSED
            | Errno::HOSTUNREACH
            | Errno::HOSTDOWN
            | Errno::NOPROTOOPT
            | Errno::PROTO
            | Errno::NONET
    )
}

fn failed(doing: &'static str, remedy: &'static str) -> impl Fn(Errno) -> TransportError {
    move |errno| TransportError::Kernel { doing, source: io::Error::from(errno), remedy }
}
