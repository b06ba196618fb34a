//! Questions whose sequence and stamp go on, as those of a stream do: what it costs to note them.

use wire::checksum::Summer;
use wire::sockperf::Message;
use wire::stamp::{Format, SenderPacket, Timestamp};
use wire::{parse, udp};

/// What a class is called whose lane has streams, behind the name of one whose lane has none.
pub(crate) const ENDING: &str = "-streams";

/// How many streams the lane has room for.
pub(crate) const ROOM: usize = 1024;

/// The sender sends once in so many nanoseconds, from then on.
const PACE_NS: u64 = 1_000;
const BEGINS_NS: u64 = 1_795_424_400_000_000_000;

/// Makes a question the one with this number in its stream.
pub(crate) fn number(question: &mut [u8], base: &str, number: u64) -> Option<()> {
    let headers = parse::untagged(question).ok()?;
    let payload = udp::payload_mut(question, headers)?;
    if base == "sockperf4" {
        Message::of_mut(payload, 0)?.sequence = number.into();
    } else {
        let packet = SenderPacket::of_mut(payload, 0)?;
        packet.sequence = u32::try_from(number).ok()?.into();
        packet.timestamp = Timestamp::new(BEGINS_NS + number * PACE_NS, Format::Ntp);
    }
    udp::set_checksum(question, headers, &Summer::fastest())
}
