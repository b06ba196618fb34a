//! The kernel's side of a queue in own memory: what is injected is received, what is sent can be looked at.
//!
//! The queue is the very [`XdpQueue`] that runs over a socket; only the other ends of its four rings differ. So tests
//! run its code without a NIC and without privileges, and instruction counts count it and nothing else.

use ring::{Consumer, Producer, Size, pair_at};

use super::departing::{HAS_METADATA, Metadata};
use super::error::XdpError;
use super::queue::{Descriptor, Kernel, Kick, Rings, Wake, XdpQueue};
use super::stamped::stamp_of;
use super::umem::{HEADROOM, Layout, Region};
use crate::queue::Arrival;

pub use ring::Wakeup;

/// What one call sends in copy mode.
const PACKETS_PER_KICK: usize = 32;
/// Where the indices of all rings start, so that they wrap around early in every test.
const FIRST_INDEX: u32 = u32::MAX - 100;

/// The kernel, so far as a queue knows it.
#[derive(Debug)]
pub struct MemoryKernel {
    fill: Consumer<u64>,
    rx: Producer<Descriptor>,
    tx: Consumer<Descriptor>,
    completion: Producer<u64>,
    /// Taken from the transmit ring by a kick, not yet on the wire.
    outgoing: Vec<Descriptor>,
    /// How many further packets the card takes; nothing: all.
    room_at_card: Option<usize>,
    /// When what comes from now on comes, as the program stamps it; nothing: it does not.
    arrival: Option<Arrival>,
    /// When what leaves from now on leaves, as the kernel writes it where it is asked; nothing: it does not.
    tai_ns: Option<u64>,
}

impl Kernel for MemoryKernel {
    /// As in copy mode: takes 32 packets at most, and says so where there are more.
    fn kick_tx(&mut self) -> Kick {
        let taken = self.take_outgoing(PACKETS_PER_KICK);
        if taken == 0 || self.tx.available(1) > 0 { Kick::Busy } else { Kick::Taken }
    }

    fn wake_rx(&mut self) {
        self.fill.ask_for_wakeup(Wakeup::Needless);
    }
}

impl MemoryKernel {
    /// As the kernel does, takes a packet only where the completion ring has a place for it.
    fn take_outgoing(&mut self, max: usize) -> usize {
        let max = max.min(self.completion.room() as usize - self.outgoing.len());
        let max = self.room_at_card.map_or(max, |room| room.min(max));
        let mut taken = 0;
        while taken < max && self.tx.available(1) > 0 {
            self.outgoing.extend(self.tx.read());
            taken += 1;
        }
        self.tx.release();
        self.room_at_card = self.room_at_card.map(|room| room - taken);
        taken
    }
}

/// A queue over rings and packet memory of this process, for packets up to an MTU of 1,500.
///
/// # Errors
/// As for a real queue: a ring size that is no power of two or out of bounds, or memory that is not to be had.
pub fn queue(ring_size: u32, wake: Wake) -> Result<XdpQueue<MemoryKernel>, XdpError> {
    let layout = Layout::new(ring_size, 1500, "in memory")?;
    let wrong = XdpError::RingSize { found: ring_size };
    let (Some(receive), Some(transmit)) = (Size::new(ring_size), Size::new(layout.transmit_ring_size()))
    else {
        return Err(wrong);
    };
    let (fill, fill_end) = pair_at(receive, FIRST_INDEX);
    let (rx_end, rx) = pair_at(receive, FIRST_INDEX);
    let (tx, tx_end) = pair_at(transmit, FIRST_INDEX);
    let (completion_end, completion) = pair_at(transmit, FIRST_INDEX);
    let kernel = MemoryKernel {
        fill: fill_end,
        rx: rx_end,
        tx: tx_end,
        completion: completion_end,
        outgoing: Vec::with_capacity(layout.frame_count() as usize),
        room_at_card: None,
        arrival: None,
        tai_ns: None,
    };
    let rings = Rings { fill, rx, tx, completion };
    Ok(XdpQueue::new(rings, Region::normal(layout)?, wake, kernel))
}

/// An address beyond 32 bits is one that the queue never gave: it shows as a packet of nothing.
fn room_of(region: &mut Region, address: u64) -> &mut [u8] {
    u32::try_from(address).map(|address| region.room_mut(address)).unwrap_or_default()
}

/// Writes when a packet leaves, where its descriptor and its metadata ask for it.
fn stamp(region: &mut Region, descriptor: Descriptor, tai_ns: u64) {
    let Ok(address) = u32::try_from(descriptor.address) else { return };
    let is_asked = descriptor.options & HAS_METADATA != 0;
    if let Some(room) = region.headroom_mut(address).filter(|_| is_asked) {
        Metadata::read(room).stamped(tai_ns).write(room);
    }
}

impl XdpQueue<MemoryKernel> {
    /// Lets a packet arrive. False, and nothing happens, where a card would drop it: it is longer than a buffer holds,
    /// or there is no buffer.
    pub fn inject(&mut self, packet: &[u8]) -> bool {
        let chunk_size = self.layout().chunk_size();
        let (kernel, region) = self.parts_mut();
        if packet.len() > (chunk_size - HEADROOM) as usize
            || kernel.rx.room() == 0
            || kernel.fill.available(1) == 0
        {
            return false;
        }
        let Some(chunk) = kernel.fill.read() else { return false };
        kernel.fill.release();
        // As the kernel does: what lies below a chunk is masked, and the packet begins behind the headroom.
        let address = chunk & !u64::from(chunk_size - 1) | u64::from(HEADROOM);
        room_of(region, address).iter_mut().zip(packet).for_each(|(to, from)| *to = *from);
        if let (Some(arrival), Ok(address)) = (kernel.arrival, u32::try_from(address))
            && let Some(room) = region.headroom_mut(address)
        {
            *room = stamp_of(arrival);
        }
        let Ok(len) = u32::try_from(packet.len()) else { return false };
        let is_written = kernel.rx.write(Descriptor { address, len, options: 0 }).is_ok();
        kernel.rx.submit();
        is_written
    }

    /// Puts everything that was sent on the wire, shows it, and gives the frames back. How many packets there were.
    pub fn transmit(&mut self, mut show: impl FnMut(&[u8])) -> usize {
        let (kernel, region) = self.parts_mut();
        kernel.take_outgoing(usize::MAX);
        let count = kernel.outgoing.len();
        for descriptor in kernel.outgoing.drain(..) {
            let room = room_of(region, descriptor.address);
            show(room.get(..descriptor.len as usize).unwrap_or_default());
            if let Some(tai_ns) = kernel.tai_ns {
                stamp(region, descriptor, tai_ns);
            }
            let is_completed = kernel.completion.write(descriptor.address).is_ok();
            debug_assert!(is_completed, "more packets were sent than the completion ring holds");
        }
        kernel.completion.submit();
        count
    }

    /// What is injected from now on comes at this time by `CLOCK_MONOTONIC`; nothing: it does not say when.
    pub fn set_arrival(&mut self, arrival: Option<Arrival>) {
        self.parts_mut().0.arrival = arrival;
    }

    /// What is put on the wire from now on leaves at this time by `CLOCK_TAI`, in nanoseconds; nothing: the kernel does not say.
    pub fn set_tai(&mut self, tai_ns: Option<u64>) {
        self.parts_mut().0.tai_ns = tai_ns;
    }

    /// The card takes `packets` more and then none; nothing: it takes all.
    pub fn limit_card(&mut self, packets: Option<usize>) {
        self.parts_mut().0.room_at_card = packets;
    }

    /// Whether the kernel asks to be woken for what is sent, and for new buffers. It starts without.
    pub fn ask_for_wakeup(&mut self, tx: Wakeup, fill: Wakeup) {
        let (kernel, _) = self.parts_mut();
        kernel.tx.ask_for_wakeup(tx);
        kernel.fill.ask_for_wakeup(fill);
    }
}
