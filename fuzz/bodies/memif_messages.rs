//! What the fuzz target `memif_messages` does with its bytes. The fuzzer calls it with bytes that it makes up; a test of `lane`
//! calls it with everything in `fuzz/corpus/memif_messages`, on the stable compiler and in every run.

use nic::memif::Role;
use nic::memif::fuzzing::{With, hear};

/// Bytes of a message.
const MESSAGE_SIZE: usize = 128;

/// No messages stop either end, whatever descriptors go with them, and no rings that they agree on do.
///
/// The input: one byte for the role, and one for how many messages there are, 0 to 63. Of each, one byte that says what goes
/// with it, one that says how many bytes of it are not zero, and those. What is left is the beginning of the memory that they
/// hand over. Gives how many queues they agreed on.
pub(crate) fn memif_messages(bytes: &[u8]) -> usize {
    let Some((&[role, count], mut rest)) = bytes.split_first_chunk() else { return 0 };
    let role = if role & 1 == 0 { Role::Server } else { Role::Client };
    let mut messages = Vec::new();
    for _ in 0..count & 63 {
        let Some((with, message, after)) = next_message(rest) else { break };
        messages.push((message, with));
        rest = after;
    }
    let messages = messages.iter().map(|(message, with)| (message, *with));
    let rings = hear(role, messages, rest).unwrap_or_else(|error| panic!("{error}"));
    assert!(rings <= 2, "{rings} queues");
    rings
}

fn next_message(bytes: &[u8]) -> Option<(With, [u8; MESSAGE_SIZE], &[u8])> {
    let (&[with, len], rest) = bytes.split_first_chunk()?;
    let with = match with & 3 {
        0 => With::Nothing,
        1 => With::Memory,
        2 => With::Event,
        _ => With::Pipe,
    };
    let (given, rest) = rest.split_at(usize::from(len).min(rest.len()).min(MESSAGE_SIZE));
    let mut message = [0; MESSAGE_SIZE];
    message.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
    Some((with, message, rest))
}
