//! Does nothing that one lane writes to share a cache line with anything that another has?
//!
//! Every block that is taken while a lane is made is noted as that lane's: its queue with its rings and its stack of free frames, its
//! tables, its mailbox, its page, and itself. Two lanes are made as a server makes them, in turns, so that an allocator which
//! puts side by side what comes one after the other would mix them.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait by its nature")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use barelane::Config;
use barelane::plan::table_of;
use host::lines::{LINE, WholeLines};
use lane::{Lane, mailbox};
use nic::Queue;
use nic::xdp::testing::{self, MemoryKernel};
use nic::xdp::{Wake, XdpQueue};
use telemetry::{Page, SharedStreams, Still, Tick};

type MemoryLane = Lane<XdpQueue<MemoryKernel>, Still>;

/// How many blocks are noted at most.
const NOTES_MAX: usize = 4_096;
const RING_SIZE: u32 = 256;

/// One block: where it begins, its size (0 where it was given back), and whose it is.
struct Note {
    begin: AtomicUsize,
    size: AtomicUsize,
    owner: AtomicUsize,
}

static NOTES: [Note; NOTES_MAX] =
    [const { Note { begin: AtomicUsize::new(0), size: AtomicUsize::new(0), owner: AtomicUsize::new(0) } };
        NOTES_MAX];
static NOTE_COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whose blocks this thread takes now; 0 for nobody's.
    static OWNER: Cell<usize> = const { Cell::new(0) };
}

/// The binary's allocator, which notes.
struct Noting;

#[global_allocator]
static ALLOCATOR: Noting = Noting;

fn note(block: *mut u8, size: usize) {
    let owner = OWNER.get();
    if owner == 0 {
        return;
    }
    if let Some(note) = NOTES.get(NOTE_COUNT.fetch_add(1, Ordering::Relaxed)) {
        note.begin.store(block.addr(), Ordering::Relaxed);
        note.owner.store(owner, Ordering::Relaxed);
        note.size.store(size, Ordering::Relaxed);
    }
}

fn forget(block: *mut u8) {
    for note in &NOTES[..NOTE_COUNT.load(Ordering::Relaxed).min(NOTES_MAX)] {
        if note.begin.load(Ordering::Relaxed) == block.addr() {
            note.size.store(0, Ordering::Relaxed);
        }
    }
}

// SAFETY: every method hands its arguments unchanged to the allocator of the binary, or back, so that the contract holds
// because it holds there. Noting touches atomics and a constant-initialised thread-local cell: it neither allocates nor unwinds.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout, unchanged.
        let block = unsafe { WholeLines.alloc(layout) };
        note(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        forget(block);
        // SAFETY: the caller's block and layout, unchanged.
        unsafe { WholeLines.dealloc(block, layout) }
    }
}

/// What is made here is this lane's.
fn of<T>(owner: usize, make: impl FnOnce() -> T) -> T {
    let before = OWNER.replace(owner);
    let made = make();
    OWNER.set(before);
    made
}

/// The lines of what a lane has.
fn lines_of(owner: usize) -> Vec<Range<usize>> {
    let count = NOTE_COUNT.load(Ordering::Relaxed);
    assert!(count <= NOTES_MAX, "{count} blocks");
    let noted = NOTES[..count].iter().filter(|note| note.owner.load(Ordering::Relaxed) == owner);
    let blocks = noted.map(|note| (note.begin.load(Ordering::Relaxed), note.size.load(Ordering::Relaxed)));
    blocks.filter(|(_, size)| *size > 0).map(|(begin, size)| lines(begin, size)).collect()
}

fn lines(begin: usize, size: usize) -> Range<usize> {
    begin / LINE..(begin + size).div_ceil(LINE)
}

fn have_common(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// What a lane knows, of one address with the default services.
fn tables() -> Box<route::LaneTables> {
    let config = Config::default();
    let address = route::Address { ip: [10, 0, 0, 1].into(), prefix_len: 24, owner: route::Owner::Barelane };
    let table = table_of(&config, &[address], route::Tier::Lane).unwrap();
    Box::new(table.compile(&route::LaneSettings {
        mac: wire::Mac([2, 0, 0, 0, 0, 1]),
        checksum: wire::checksum::Summer::fastest(),
        partial_checksums: route::PartialChecksums::Refuse,
        hop_limit: 64,
        errors_per_second: 100,
        next_hop: route::NextHop::Reflect,
        stamp_key: None,
        short_packets: route::ShortPackets::Drop,
    }))
}

/// The packet memory of a lane, as far as one of its frames shows it.
fn packet_memory(lane: &mut MemoryLane) -> Range<usize> {
    let queue = lane.queue_mut();
    let frame = queue.spare().unwrap();
    let room = queue.room_mut(&frame);
    let found = lines(room.as_ptr().addr(), room.len());
    queue.release(frame);
    found
}

#[test]
fn two_lanes_have_no_cache_line_in_common() {
    let queues = [1, 2].map(|owner| of(owner, || testing::queue(RING_SIZE, Wake::NeedWakeup).unwrap()));
    let mut owner = 0;
    let mut lanes = queues.map(|queue| {
        owner += 1;
        of(owner, || {
            let (sender, mailbox) = mailbox();
            let lane: MemoryLane =
                Lane::new(queue, tables(), Still::default(), Arc::new(Page::default()), mailbox)
                    .with_streams(Some(Arc::new(SharedStreams::new(64))));
            (Box::new(lane), sender)
        })
    });
    for (number, (lane, _)) in (1..).zip(&mut lanes) {
        // Nothing is taken in turns; if anything were, it would be the lane's.
        of(number, || (0..10_000).for_each(|turn| assert_eq!(lane.turn(Tick(turn)), 0)));
    }
    let mut found = [lines_of(1), lines_of(2)];
    for (lines, (lane, _)) in found.iter_mut().zip(&mut lanes) {
        assert!(lines.len() > 10, "{} blocks are not all that a lane has", lines.len());
        lines.push(packet_memory(lane));
    }
    let [first, second] = &found;
    for (a, b) in first.iter().flat_map(|a| second.iter().map(move |b| (a, b))) {
        assert!(!have_common(a, b), "lines {a:x?} and {b:x?}");
    }
}

#[test]
fn what_the_system_puts_side_by_side_would_be_found() {
    let layout = Layout::from_size_align(24, 8).unwrap();
    // SAFETY: the layout has a size, and each block is given back by it.
    let blocks: Vec<*mut u8> = (0..64).map(|_| unsafe { System.alloc(layout) }).collect();
    let all: Vec<_> = blocks.iter().map(|block| lines(block.addr(), layout.size())).collect();
    let pairs = all.iter().enumerate().flat_map(|(number, a)| all[number + 1..].iter().map(move |b| (a, b)));
    assert!(pairs.filter(|(a, b)| have_common(a, b)).count() > 0);
    for block in blocks {
        // SAFETY: taken above by this layout, and given back once.
        unsafe { System.dealloc(block, layout) };
    }
}

#[test]
fn blocks_one_after_the_other_have_no_line_in_common() {
    let blocks: Vec<Box<u64>> = (0..64).map(Box::new).collect();
    let all: Vec<_> = blocks.iter().map(|block| lines(std::ptr::from_ref(&**block).addr(), 8)).collect();
    let pairs = all.iter().enumerate().flat_map(|(number, a)| all[number + 1..].iter().map(move |b| (a, b)));
    assert_eq!(pairs.filter(|(a, b)| have_common(a, b)).count(), 0);
}
