//! The AF_XDP socket of one queue: packet memory and rings first, then the fill ring, then the bind.
//!
//! Filled before bound, because some drivers take buffers at the bind and fail without them. Made before the program
//! is attached and bound after, because attaching resets some cards: what can fail should have failed by then.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use super::departing::{METADATA_LEN, TransmitStamps};
use super::error::XdpError;
use super::program::Mode;
use super::queue::{Kernel, Kick, Wake, XdpQueue};
use super::rings;
use super::sys::{self, Mapping};
use super::umem::{Layout, Region};
use super::{Settings, ZeroCopyChoice};
use crate::queue::BURST_MAX;

/// How often a bind is tried while the queue still belongs to a socket that is being closed, and how long between:
/// five seconds together. The kernel frees a queue some milliseconds after its process has ended, and on a machine
/// whose cores are all taken later than half a second. Longer would only make a queue that stays taken late to say so.
const BIND_TRIES: u64 = 500;
const BIND_PAUSE_MS: u64 = 10;

/// `include/uapi/asm-generic/socket.h`.
const SO_BUSY_POLL: libc::c_int = 46;
const SO_INCOMING_NAPI_ID: libc::c_int = 56;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
/// How long one call may drive the NIC. Any value above 0 makes a call that does not wait drive it once
/// (`Documentation/networking/napi.rst`, "Busy polling").
const BUSY_POLL_US: libc::c_int = 20;

/// `include/uapi/linux/if_xdp.h`, since Linux 6.17: how many packets one call sends in copy mode.
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// `AF_XDP`, as an address holds it.
const FAMILY: u16 = 44;
const _: () = assert!(FAMILY as libc::c_int == libc::AF_XDP);

/// One call's share of packets, for both directions: a whole burst.
const BUDGET: libc::c_int = 64;
const _: () = assert!(BUDGET as usize == BURST_MAX);

const PRIVILEGE: &str = "CAP_NET_RAW";

/// Counts that the kernel keeps for one queue, since its socket was made (`struct xdp_statistics`), and one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets dropped because there was no buffer for them, or none long enough. A full receive ring counts apart.
    pub rx_dropped: u64,
    /// Descriptors of the fill ring that the kernel did not take. Not 0 means a fault of ours.
    pub rx_invalid: u64,
    /// Descriptors of the transmit ring that the kernel did not take. Not 0 means a fault of ours.
    pub tx_invalid: u64,
    /// Packets dropped because the receive ring was full.
    pub rx_ring_full: u64,
    /// Looks of the kernel at a fill ring that was empty: in copy mode one for each packet dropped for want of a buffer.
    pub fill_ring_empty: u64,
    /// Looks of the kernel at a transmit ring that was empty.
    pub tx_ring_empty: u64,
    /// Answers in transmit rings that an interface left behind when it went away. Not the kernel's count: see
    /// [`Attachment::count_lost`](super::Attachment::count_lost).
    pub tx_lost: u64,
}

impl Statistics {
    /// These and others together.
    pub(super) fn with(&self, other: Self) -> Self {
        Self {
            rx_dropped: self.rx_dropped + other.rx_dropped,
            rx_invalid: self.rx_invalid + other.rx_invalid,
            tx_invalid: self.tx_invalid + other.tx_invalid,
            rx_ring_full: self.rx_ring_full + other.rx_ring_full,
            fill_ring_empty: self.fill_ring_empty + other.fill_ring_empty,
            tx_ring_empty: self.tx_ring_empty + other.tx_ring_empty,
            tx_lost: self.tx_lost + other.tx_lost,
        }
    }
}

/// Who drives the NIC of one queue, as the kernel has settled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyPoll {
    /// Interrupts: busy polling was not asked for, or for a lane that sleeps is not to be had.
    NotAsked,
    /// Interrupts: it was asked for, but the socket knows no NAPI instance. On a veth it never will; on a card it
    /// does from the first packet on.
    WithoutNapi,
    /// The lane's own core drives this NAPI instance.
    Napi(u32),
}

/// The kernel's side of one queue.
#[derive(Debug)]
pub struct XdpSocket {
    /// Unmapped before the socket is closed, which is the order of the fields.
    _pages: [Mapping; 4],
    socket: OwnedFd,
}

impl XdpSocket {
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }
}

impl Kernel for XdpSocket {
    /// A call that waits for nothing. `EAGAIN`: this call's share is used up, or the card's ring is full. `EBUSY`: the
    /// card is busy. `ENOBUFS`: the socket's send buffer is full. None of them loses a packet (`net/xdp/xsk.c`,
    /// `__xsk_generic_xmit`).
    fn kick_tx(&mut self) -> Kick {
        match sys::send(self.socket.as_fd(), &[]) {
            Ok(()) => Kick::Taken,
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS) => Kick::Busy,
                _ => Kick::Refused,
            },
        }
    }

    /// What the call gives is not looked at: the receive ring says whether something has come.
    fn wake_rx(&mut self) {
        let _nothing = sys::receive(self.socket.as_fd(), &mut []);
    }
}

/// A socket with memory and rings, not bound yet.
#[derive(Debug)]
pub(super) struct Prepared {
    number: u32,
    control: OwnedFd,
    queue: XdpQueue<XdpSocket>,
}

/// A bound queue, with a second descriptor of its socket for the one who watches.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) watch: Watch,
    pub(super) queue: XdpQueue<XdpSocket>,
    pub(super) is_zero_copy: bool,
}

impl Prepared {
    /// Memory, rings and a full share of frames at the receiver, for the queue with this number.
    pub(super) fn new(settings: &Settings, layout: Layout, number: u32) -> Result<Self, XdpError> {
        let region = Region::locked(layout, settings.numa_node)?;
        let socket =
            sys::socket(libc::AF_XDP, 0).map_err(XdpError::of("making an AF_XDP socket", PRIVILEGE))?;
        register(socket.as_fd(), &region, settings)?;
        let (rings, pages) = rings::map(socket.as_fd(), layout)
            .map_err(XdpError::of("mapping the AF_XDP rings", PRIVILEGE))?;
        send_whole_bursts(socket.as_fd());
        let control = socket.try_clone().map_err(XdpError::of("duplicating an AF_XDP socket", PRIVILEGE))?;
        let kernel = XdpSocket { _pages: pages, socket };
        Ok(Self { number, control, queue: XdpQueue::new(rings, region, settings.wake, kernel) })
    }

    /// Binds it to its queue.
    pub(super) fn bind(self, settings: &Settings, mode: Mode) -> Result<Bound, XdpError> {
        let Self { number, control, queue } = self;
        let address = libc::sockaddr_xdp {
            sxdp_family: FAMILY,
            sxdp_flags: bind_flags(settings, mode),
            sxdp_ifindex: settings.ifindex,
            sxdp_queue_id: number,
            sxdp_shared_umem_fd: 0,
        };
        bind_patiently(control.as_fd(), &address)
            .map_err(|source| bind_error(source, settings, number, queue.layout().ring_size()))?;
        let is_busy_polled = choose_busy_poll(settings, control.as_fd())?;
        let options: libc::xdp_options = sys::option(control.as_fd(), libc::SOL_XDP, libc::XDP_OPTIONS)
            .map_err(XdpError::of("asking whether zero-copy is in force", PRIVILEGE))?;
        let is_zero_copy = options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0;
        check_transmit_clock(settings, is_zero_copy)?;
        Ok(Bound { watch: Watch { number, control, is_busy_polled }, queue, is_zero_copy })
    }
}

fn register(socket: BorrowedFd<'_>, region: &Region, settings: &Settings) -> Result<(), XdpError> {
    let layout = region.layout();
    let size = layout.size();
    // A kernel before 6.8 would not look at the length, and take no packet that has metadata. The flag, known since 6.11, has it refuse.
    let (flags, tx_metadata_len) = match settings.departures {
        TransmitStamps::None => (0, 0),
        TransmitStamps::Kernel => (libc::XDP_UMEM_TX_METADATA_LEN, METADATA_LEN),
    };
    let registration = libc::xdp_umem_reg {
        addr: region.address(),
        len: size as u64,
        chunk_size: layout.chunk_size(),
        headroom: 0,
        flags,
        tx_metadata_len,
    };
    sys::set_option(socket, libc::SOL_XDP, libc::XDP_UMEM_REG, &registration).map_err(|source| {
        match source.raw_os_error() {
            // A flag that it does not know (`xdp_umem_reg`): nothing else of this has it in it.
            Some(libc::EINVAL) if settings.departures == TransmitStamps::Kernel => {
                XdpError::TransmitMetadata { interface: settings.interface.clone(), source }
            }
            // The kernel counts it against RLIMIT_MEMLOCK once more (xdp_umem_account_pages).
            Some(libc::ENOBUFS) => XdpError::MemoryLocked { size, source },
            _ => XdpError::of("registering the packet memory", PRIVILEGE)(source),
        }
    })
}

/// Refuses stamps by a card's own clock: only where it sends copies does the kernel stamp by its own.
fn check_transmit_clock(settings: &Settings, is_zero_copy: bool) -> Result<(), XdpError> {
    if is_zero_copy && settings.departures == TransmitStamps::Kernel {
        return Err(XdpError::TransmitClock { interface: settings.interface.clone() });
    }
    Ok(())
}

/// Lets one call send a whole burst. A kernel that does not know the option sends 32 packets a call, and
/// [`XdpQueue`] calls as often as it takes: nothing is lost but system calls, so an error says nothing.
fn send_whole_bursts(socket: BorrowedFd<'_>) {
    let _older_kernel = sys::set_option(socket, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &BUDGET);
}

fn bind_flags(settings: &Settings, mode: Mode) -> u16 {
    let wakeup = match settings.wake {
        Wake::NeedWakeup | Wake::BusyPoll => libc::XDP_USE_NEED_WAKEUP,
        Wake::Spin => 0,
    };
    let copy = match (settings.zero_copy, mode) {
        (ZeroCopyChoice::Yes, _) => libc::XDP_ZEROCOPY,
        // Without either flag the kernel tries zero-copy and falls back to copy (xp_assign_dev).
        (ZeroCopyChoice::Auto, Mode::Native) => 0,
        (ZeroCopyChoice::Auto, Mode::Generic) | (ZeroCopyChoice::No, _) => libc::XDP_COPY,
    };
    wakeup | copy
}

fn bind_patiently(socket: BorrowedFd<'_>, address: &libc::sockaddr_xdp) -> io::Result<()> {
    for _ in 1..BIND_TRIES {
        match sys::bind(socket, address) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                thread::sleep(Duration::from_millis(BIND_PAUSE_MS));
            }
            result => return result,
        }
    }
    sys::bind(socket, address)
}

fn bind_error(source: io::Error, settings: &Settings, queue: u32, ring_size: u32) -> XdpError {
    let interface = settings.interface.clone();
    match source.raw_os_error() {
        Some(libc::EBUSY) => {
            XdpError::QueueTaken { interface, queue, waited_ms: (BIND_TRIES - 1) * BIND_PAUSE_MS }
        }
        Some(libc::EOPNOTSUPP) if settings.zero_copy == ZeroCopyChoice::Yes => {
            XdpError::ZeroCopyAbsent { interface, queue, source }
        }
        Some(libc::EINVAL) => XdpError::QueueAbsent { interface, queue, ring_size, source },
        Some(libc::ENODEV) => XdpError::InterfaceAbsent { interface, index: settings.ifindex },
        Some(libc::ENETDOWN) => XdpError::InterfaceDown { interface },
        _ => XdpError::of("binding an AF_XDP socket", PRIVILEGE)(source),
    }
}

/// Asks for busy polling where it is wanted, and for lanes that sleep; gives whether it was granted. To those it is a gain where
/// it can be had, and [`Attachment::busy_poll`](super::Attachment::busy_poll) says where not.
fn choose_busy_poll(settings: &Settings, socket: BorrowedFd<'_>) -> Result<bool, XdpError> {
    let is_demanded = settings.wake == Wake::BusyPoll;
    if !is_demanded && !settings.may_sleep {
        return Ok(false);
    }
    match ask_for_busy_poll(socket) {
        Ok(()) => Ok(true),
        Err(source) if is_demanded => {
            Err(XdpError::of("busy polling (SO_PREFER_BUSY_POLL)", "CAP_NET_ADMIN")(source))
        }
        Err(_) => Ok(false),
    }
}

fn ask_for_busy_poll(socket: BorrowedFd<'_>) -> io::Result<()> {
    let options = [(SO_PREFER_BUSY_POLL, 1), (SO_BUSY_POLL, BUSY_POLL_US), (SO_BUSY_POLL_BUDGET, BUDGET)];
    options.iter().try_for_each(|(name, value)| sys::set_option(socket, libc::SOL_SOCKET, *name, value))
}

/// A second descriptor of a queue's socket: the kernel's counts are read here, and never by the lane.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) number: u32,
    control: OwnedFd,
    is_busy_polled: bool,
}

impl Watch {
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    pub(super) fn statistics(&self) -> Result<Statistics, XdpError> {
        let counts: libc::xdp_statistics = sys::option(self.socket(), libc::SOL_XDP, libc::XDP_STATISTICS)
            .map_err(XdpError::of("reading the statistics of an AF_XDP socket", PRIVILEGE))?;
        Ok(Statistics {
            rx_dropped: counts.rx_dropped,
            rx_invalid: counts.rx_invalid_descs,
            tx_invalid: counts.tx_invalid_descs,
            rx_ring_full: counts.rx_ring_full,
            fill_ring_empty: counts.rx_fill_ring_empty_descs,
            tx_ring_empty: counts.tx_ring_empty_descs,
            tx_lost: 0,
        })
    }

    /// Whether the interface has gone away from under the socket: then the kernel leaves it `ENETDOWN` (`xsk_notifier` in
    /// `net/xdp/xsk.c`). It is told once, to whoever asks first.
    pub(super) fn has_lost_interface(&self) -> Result<bool, XdpError> {
        let error: libc::c_int = sys::option(self.socket(), libc::SOL_SOCKET, libc::SO_ERROR)
            .map_err(XdpError::of("asking an AF_XDP socket for its error", PRIVILEGE))?;
        Ok(error == libc::ENETDOWN)
    }

    pub(super) fn busy_poll(&self) -> Result<BusyPoll, XdpError> {
        if !self.is_busy_polled {
            return Ok(BusyPoll::NotAsked);
        }
        let napi: u32 = sys::option(self.socket(), libc::SOL_SOCKET, SO_INCOMING_NAPI_ID)
            .map_err(XdpError::of("asking for the NAPI instance of an AF_XDP socket", PRIVILEGE))?;
        Ok(if napi == 0 { BusyPoll::WithoutNapi } else { BusyPoll::Napi(napi) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_sends_without_copies_is_refused_where_the_kernel_should_stamp() {
        let settings = |departures| Settings { departures, ..Settings::new("eth7", 7, 1500) };
        for (departures, is_zero_copy, is_refused) in [
            (TransmitStamps::Kernel, true, true),
            (TransmitStamps::Kernel, false, false),
            (TransmitStamps::None, true, false),
        ] {
            let checked = check_transmit_clock(&settings(departures), is_zero_copy);
            assert_eq!(checked.is_err(), is_refused, "{departures:?}, {is_zero_copy}");
            if let Err(error) = checked {
                assert!(error.is_setting() && error.to_string().contains("eth7"), "{error}");
            }
        }
    }
}
