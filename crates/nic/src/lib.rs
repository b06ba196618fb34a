//! Network cards behind one trait, [`Queue`]: what a lane asks of a card, and four cards that give it.
//!
//! | card | what it is | hands frames on |
//! |---|---|---|
//! | [`sim`] | a wire in memory, with faults from a seed | yes, to the test |
//! | [`pcap`] | a capture in, a capture out | yes, to nobody |
//! | [`memif`] | an interface in shared memory, to another process | no: there is no stack behind |
//! | [`xdp`] | a queue of a network card, by AF_XDP | no: its program decides before |
//!
//! [`pcapng`] is no card: it writes down what lanes saw.

pub mod memif;
pub mod pcap;
pub mod pcapng;
pub mod queue;
pub mod sim;
pub mod xdp;

pub use queue::{Arrival, BURST_MAX, Burst, Departure, Depths, FRAME_LEN_MIN, Frame, Queue};
