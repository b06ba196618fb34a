//! Stamps that the kernel takes itself, where its stack meets the driver: `SO_TIMESTAMPING`.
//!
//! What a process reads from a clock around its system calls has the system calls, the stack, the scheduler and the
//! wake-up in it. These stamps have not:
//!
//! ```text
//!  process        kernel                      driver                        wire
//!  send(2) ─▶ socket, IP, queueing ─▶ skb_tx_timestamp, ndo_start_xmit ─▶ ────────
//!                                      └▶ error queue of the socket
//!  recv(2) ◀─ socket, IP ◀─ netif_receive_skb: net_timestamp_check ◀── ◀─ ────────
//!     └◀ control message of the answer
//! ```
//!
//! Both are of `CLOCK_REALTIME` (Linux, `Documentation/networking/timestamping.rst`), and need no privilege. They are
//! the software's: a network card's own stamps are of the card's own clock, and have to be switched on by root.
//!
//! A sending stamp comes by the socket's error queue, without the packet (`OPT_TSONLY`), under the number of the
//! question since the numbers were begun (`OPT_ID`). The driver takes it before it hands the packet on, so that it is
//! there before the answer can be. A send that fails may use up a number or not (since Linux 6.8 it does not), so that
//! the numbers are begun again after each one. Stamps from before that are told by being older.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, RecvMsg, TimestampingFlag, cmsg_space, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use rustix::net::RecvFlags;
use telemetry::Tick;

use crate::clock::Clock;
use crate::transport::TransportError;

/// `SCM_TSTAMP_SND` of `include/uapi/linux/errqueue.h`: the driver has taken the packet.
const SENT: u32 = 0;

/// Room for the control messages of one packet: its stamps (three of 16 bytes), and, in the error queue, the error and
/// the address that it came from (16 and 28 bytes).
const CONTROL_SIZE: usize = cmsg_space::<[libc::timespec; 3]>() + cmsg_space::<[u8; 44]>();

/// How many entries of the error queue that are no stamps of this run are passed over in one go.
const STRAYS_MAX: usize = 64;

/// How long the kernel is given to begin. Where nobody else wants arrivals stamped it patches its own code for that, on
/// a worker thread (`net_enable_timestamp` in `net/core/dev.c`): a millisecond or two. What arrives before that has no
/// stamp, and is counted as unstamped; too short a wait would leave a short run without a single sample.
const BEGINNING: Duration = Duration::from_millis(20);

/// The kernel's stamps of one socket.
#[derive(Debug)]
pub(super) struct KernelStamps {
    control: Vec<u8>,
    /// The question that has the number 0.
    first: u64,
    /// The question to be sent next.
    next: u64,
    /// Questions whose stamps have not come.
    missing: u64,
    /// When the numbers were begun.
    begun_at: Tick,
}

impl KernelStamps {
    /// Has the kernel stamp what goes over this socket. Takes 20 ms.
    pub(super) fn switch_on(descriptor: &OwnedFd) -> Result<Self, TransportError> {
        let control = vec![0; CONTROL_SIZE];
        let stamps = Self { control, first: 0, next: 0, missing: 0, begun_at: Tick(0) };
        set(descriptor, wanted())?;
        thread::sleep(BEGINNING);
        Ok(stamps)
    }

    /// Makes sure that the next packet's number is known to mean `sequence`.
    pub(super) fn expect(
        &mut self,
        sequence: u64,
        descriptor: &OwnedFd,
        clock: &impl Clock,
    ) -> Result<(), TransportError> {
        if sequence == self.next { Ok(()) } else { self.begin(sequence, descriptor, clock) }
    }

    /// Begins the numbers again, with this question.
    pub(super) fn begin(
        &mut self,
        sequence: u64,
        descriptor: &OwnedFd,
        clock: &impl Clock,
    ) -> Result<(), TransportError> {
        set(descriptor, wanted() - TimestampingFlag::SOF_TIMESTAMPING_OPT_ID)?;
        set(descriptor, wanted())?;
        (self.first, self.next, self.missing, self.begun_at) = (sequence, sequence, 0, clock.now());
        Ok(())
    }

    /// Notes that a packet was sent.
    pub(super) const fn sent(&mut self) {
        self.next += 1;
        self.missing += 1;
    }

    /// The next sending stamp, and the question that it belongs to; nothing where none waits.
    pub(super) fn departed(&mut self, descriptor: &OwnedFd) -> Result<Option<(u64, Tick)>, TransportError> {
        if self.missing == 0 {
            return Ok(None);
        }
        for _ in 0..STRAYS_MAX {
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let found = match recvmsg::<()>(descriptor.as_raw_fd(), &mut [], Some(&mut self.control), flags) {
                Ok(message) => stamp_of(&message).zip(number_of(&message)),
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(errno) => return Err(wrong("reading the kernel's stamps", errno)),
            };
            if let Some((at, sequence)) = found.and_then(|(at, number)| Some((at, self.sequence(number)?)))
                && at >= self.begun_at
            {
                self.missing -= 1;
                return Ok(Some((sequence, at)));
            }
        }
        Ok(None)
    }

    /// Receives a datagram into `room`: its length, and the kernel's stamp of its arrival.
    pub(super) fn receive(
        &mut self,
        descriptor: &OwnedFd,
        room: &mut [u8],
        flags: RecvFlags,
    ) -> Result<(usize, Option<Tick>), rustix::io::Errno> {
        let flags =
            if flags.contains(RecvFlags::DONTWAIT) { MsgFlags::MSG_DONTWAIT } else { MsgFlags::empty() };
        let mut rooms = [IoSliceMut::new(room)];
        let message = recvmsg::<()>(descriptor.as_raw_fd(), &mut rooms, Some(&mut self.control), flags)
            .map_err(|errno| rustix::io::Errno::from_raw_os_error(errno as i32))?;
        Ok((message.bytes, stamp_of(&message)))
    }

    /// The newest question with this number.
    fn sequence(&self, number: u32) -> Option<u64> {
        let newest = self.next.checked_sub(1)?;
        let behind = low(newest.wrapping_sub(self.first)).wrapping_sub(number);
        newest.checked_sub(u64::from(behind)).filter(|sequence| *sequence >= self.first)
    }
}

/// The kernel numbers packets modulo 2^32.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what the kernel counts")]
const fn low(number: u64) -> u32 {
    number as u32
}

/// The stamp that came with a packet, or that a packet left.
fn stamp_of(message: &RecvMsg<'_, '_, ()>) -> Option<Tick> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampsns(stamps) => tick(stamps.system),
        _ => None,
    })
}

/// The number of the packet that the driver has taken; nothing where the error queue says something else.
fn number_of(message: &RecvMsg<'_, '_, ()>) -> Option<u32> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            let is_sent = error.ee_origin == libc::SO_EE_ORIGIN_TIMESTAMPING && error.ee_info == SENT;
            is_sent.then_some(error.ee_data)
        }
        _ => None,
    })
}

/// An instant of `CLOCK_REALTIME` in nanoseconds; nothing where there is none, which the kernel writes as zero.
fn tick(stamp: TimeSpec) -> Option<Tick> {
    let seconds = u64::try_from(stamp.tv_sec()).ok()?;
    let ns = u64::try_from(stamp.tv_nsec()).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(ns).filter(|ns| *ns > 0).map(Tick)
}

/// What the kernel is asked for.
fn wanted() -> TimestampingFlag {
    TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY
}

fn set(descriptor: &OwnedFd, flags: TimestampingFlag) -> Result<(), TransportError> {
    setsockopt(descriptor, sockopt::Timestamping, &flags)
        .map_err(|errno| wrong("asking for the kernel's stamps", errno))
}

fn wrong(doing: &'static str, errno: Errno) -> TransportError {
    TransportError::Kernel { doing, source: errno.into(), remedy: "use the stamps of user space" }
}
