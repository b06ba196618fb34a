//! The four rings of an AF_XDP socket, as the kernel maps them (`net/xdp/xsk_queue.h`).
#![expect(unsafe_code, reason = "the rings are made from addresses that the kernel gives")]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use ring::{AtomicU32, Consumer, Producer, RawParts, Size, Slot};

use super::queue::{Descriptor, Rings};
use super::sys::{self, Mapping};
use super::umem::Layout;

/// Sets the sizes of the four rings, maps them, and gives our ends with the pages that they lie in.
///
/// The pages must be kept as long as the rings are used. To be called once per socket.
pub(super) fn map(socket: BorrowedFd<'_>, layout: Layout) -> io::Result<(Rings, [Mapping; 4])> {
    let receive = size(layout.ring_size())?;
    let transmit = size(layout.transmit_ring_size())?;
    let sizes = [
        (libc::XDP_UMEM_FILL_RING, receive),
        (libc::XDP_RX_RING, receive),
        (libc::XDP_TX_RING, transmit),
        (libc::XDP_UMEM_COMPLETION_RING, transmit),
    ];
    for (name, size) in sizes {
        sys::set_option(socket, libc::SOL_XDP, name, &size.slots())?;
    }
    let at: libc::xdp_mmap_offsets = sys::option(socket, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS)?;
    let fill = pages::<u64>(socket, &at.fr, receive, libc::XDP_UMEM_PGOFF_FILL_RING.cast_signed())?;
    let rx = pages::<Descriptor>(socket, &at.rx, receive, libc::XDP_PGOFF_RX_RING)?;
    let tx = pages::<Descriptor>(socket, &at.tx, transmit, libc::XDP_PGOFF_TX_RING)?;
    let completion =
        pages::<u64>(socket, &at.cr, transmit, libc::XDP_UMEM_PGOFF_COMPLETION_RING.cast_signed())?;

    let (fill_parts, rx_parts) = (parts(&fill, &at.fr, receive)?, parts(&rx, &at.rx, receive)?);
    let (tx_parts, completion_parts) = (parts(&tx, &at.tx, transmit)?, parts(&completion, &at.cr, transmit)?);
    let rings = Rings {
        // SAFETY: `parts` has checked bounds and alignment within pages that the caller keeps; of the fill ring the kernel
        // writes only the `consumer` word and the flags (xskq_cons_release).
        fill: unsafe { Producer::from_raw_parts(fill_parts) },
        // SAFETY: as above; of the receive ring the kernel writes the descriptors before the `producer` word
        // (xskq_prod_submit), and any bytes are a valid `Descriptor`.
        rx: unsafe { Consumer::from_raw_parts(rx_parts) },
        // SAFETY: as above; of the transmit ring the kernel writes only the `consumer` word and the flags.
        tx: unsafe { Producer::from_raw_parts(tx_parts) },
        // SAFETY: as above; of the completion ring the kernel writes the addresses before the `producer` word.
        completion: unsafe { Consumer::from_raw_parts(completion_parts) },
    };
    Ok((rings, [fill, rx, tx, completion]))
}

fn size(slots: u32) -> io::Result<Size> {
    Size::new(slots).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// The pages from a ring's first word to its last slot.
fn pages<T>(
    socket: BorrowedFd<'_>,
    at: &libc::xdp_ring_offset,
    size: Size,
    offset: libc::off_t,
) -> io::Result<Mapping> {
    let slots_size = size.slots() as usize * size_of::<T>();
    Mapping::of_socket(socket, offset_in_pages(at.desc)? + slots_size, offset)
}

/// The kernel's words and slots begin within the first page or two; a larger offset is no offset.
fn offset_in_pages(offset: u64) -> io::Result<usize> {
    let small = u16::try_from(offset).map_err(|_large| io::ErrorKind::InvalidData)?;
    Ok(usize::from(small))
}

/// Where everything of a ring lies; an error where the kernel's offsets do not fit the pages.
fn parts<T>(pages: &Mapping, at: &libc::xdp_ring_offset, size: Size) -> io::Result<RawParts<T>> {
    Ok(RawParts {
        producer: place::<AtomicU32>(pages, at.producer, 1)?,
        consumer: place::<AtomicU32>(pages, at.consumer, 1)?,
        flags: place::<AtomicU32>(pages, at.flags, 1)?,
        slots: place::<Slot<T>>(pages, at.desc, size.slots())?,
        size,
    })
}

/// `count` values of type `T` at `offset`, which lie within the pages and are aligned.
fn place<T>(pages: &Mapping, offset: u64, count: u32) -> io::Result<NonNull<T>> {
    let offset = offset_in_pages(offset)?;
    let end = offset + count as usize * size_of::<T>();
    if end > pages.size() || !offset.is_multiple_of(align_of::<T>()) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: `offset` lies within the mapping, as just checked.
    let place = unsafe { pages.base().add(offset) };
    Ok(place.cast())
}
