//! Whether an answer's checksums hold (RFC 1071), written out once more, so that nothing under test says what is right.

/// The sum of these bytes and a start, in ones' complement.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

fn word(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// Says where they do not. ARP has none.
pub(crate) fn hold(frame: &[u8]) {
    let packet = &frame[14..];
    match word(frame, 12) {
        0x0800 => {
            let header = usize::from(packet[0] & 15) * 4;
            assert_eq!(sum(&packet[..header], 0), 0xffff, "IPv4's: {frame:02x?}");
            transport(frame, packet[9], &packet[12..20], &packet[header..word(packet, 2)]);
        }
        0x86dd => transport(frame, packet[6], &packet[8..40], &packet[40..40 + word(packet, 4)]),
        _ => {}
    }
}

fn transport(frame: &[u8], protocol: u8, addresses: &[u8], segment: &[u8]) {
    let pseudo = u32::from(sum(addresses, 0)) + u32::from(protocol) + u32::try_from(segment.len()).unwrap();
    let start = match protocol {
        1 => 0,
        17 if word(segment, 6) == 0 => return,
        17 | 58 => pseudo,
        _ => return,
    };
    assert_eq!(sum(segment, start), 0xffff, "the transport's: {frame:02x?}");
}
