//! Questions over the kernel's sockets: no privilege, no set-up, and the kernel's own path in every figure.
//!
//! The socket is connected, so that the kernel itself gives us nothing but what the target sent. Two named ways to
//! wait, because they measure two different things:
//!
//! * [`Wait::Block`] sleeps in the kernel and is woken: what an ordinary client sees.
//! * [`Wait::Spin`] asks again and again: no wake-up in the figures, a core used up.

mod echo;

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
    sockopt,
};
use telemetry::{Ns, Tick};

use crate::ask::{Ask, Protocol};
use crate::clock::{Clock, WallTime};
use crate::question::Question;
use crate::transport::{Arrival, Coverage, Facts, Transport, TransportError, What};

use echo::Echo;

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
        let (descriptor, form) = match ask.protocol {
            Protocol::Udp { .. } => (open_udp(target)?, Form::Udp),
            Protocol::Icmp => {
                echo::open(target, ask.seed).map(|(socket, echo)| (socket, Form::Echo(echo)))?
            }
        };
        sockopt::set_socket_timeout(
            &descriptor,
            sockopt::Timeout::Recv,
            Some(Duration::from_nanos(SLEEP_MAX.0)),
        )
        .map_err(failed("setting the socket's receive time-out", "report this: it should always work"))?;
        Ok(Self {
            descriptor,
            form,
            wait,
            question: vec![0; echo::HEADER_SIZE + ask.size],
            answer: vec![0; ANSWER_SIZE],
            refusals: 0,
        })
    }

    fn receive_bytes(&mut self, flags: RecvFlags) -> Result<Option<Received>, TransportError> {
        match recv(&self.descriptor, self.answer.as_mut_slice(), flags) {
            Ok((_, len)) => Ok(Some(Received::Bytes(len))),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) if is_refusal(errno) => Ok(Some(Received::Refusal)),
            Err(errno) => Err(failed("receiving", "see the kernel's log")(errno)),
        }
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

#[derive(Clone, Copy)]
enum Received {
    Bytes(usize),
    Refusal,
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
            sent_stamp: "user space, before send(2)",
            received_stamp: "user space, after recv(2)",
        }
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        let sent_at = clock.wall(clock.now());
        let bytes = match &self.form {
            Form::Udp => whole(question, sent_at, &mut self.question),
            Form::Echo(echo) => echo.write(question, sent_at, &mut self.question),
        };
        let at = clock.now();
        match send(&self.descriptor, bytes, SendFlags::DONTWAIT) {
            Ok(_) => return Ok(Some(at)),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => return Ok(None),
            // Not about this question: an ICMP error to an earlier one, handed over at the next call.
            Err(errno) if is_refusal(errno) => self.refusals += 1,
            Err(errno) => return Err(failed("sending", SEND_REMEDY)(errno)),
        }
        let at = clock.now();
        send(&self.descriptor, bytes, SendFlags::DONTWAIT).map_err(failed("sending", SEND_REMEDY))?;
        Ok(Some(at))
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn receive(&mut self, until: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Ok(Some(Arrival { at: clock.now(), what: What::Refused }));
        }
        let flags = self.sleep(until, clock)?;
        let Some(received) = self.receive_bytes(flags)? else { return Ok(None) };
        let at = clock.now();
        let Received::Bytes(len) = received else { return Ok(Some(Arrival { at, what: What::Refused })) };
        let bytes = self.answer.get(..len).unwrap_or_default();
        let what = match &self.form {
            Form::Udp => {
                Some(What::Answer { payload: bytes, echo_sequence: None, checksum: Coverage::Whole })
            }
            Form::Echo(echo) => echo.read(bytes),
        };
        Ok(what.map(|what| Arrival { at, what }))
    }
}

const SEND_REMEDY: &str = "see that the target has a route and answers on its link, and that the size fits";

fn address(ask: &Ask) -> SocketAddr {
    let port = match ask.protocol {
        Protocol::Udp { port } => port.get(),
        Protocol::Icmp => 0,
    };
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

fn open_udp(target: SocketAddr) -> Result<OwnedFd, TransportError> {
    let socket = socket_with(family(target), SocketType::DGRAM, SocketFlags::CLOEXEC, Some(ipproto::UDP))
        .map_err(failed("opening a UDP socket", "see that this address family is not switched off"))?;
    connect_to(&socket, target)?;
    Ok(socket)
}

fn connect_to(socket: &OwnedFd, target: SocketAddr) -> Result<(), TransportError> {
    connect(socket, &target).map_err(failed("connecting to the target", "see that there is a route to it"))
}

fn whole<'a>(question: &Question<'_>, sent_at: WallTime, room: &'a mut [u8]) -> &'a [u8] {
    question.write(room, sent_at);
    room.get(..question.size()).unwrap_or_default()
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
