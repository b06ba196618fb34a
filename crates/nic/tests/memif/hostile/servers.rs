//! Servers that are hostile to a client of ours.

use std::os::fd::{AsFd, OwnedFd};

use barelane_nic::Queue;
use barelane_nic::memif::{Control, Fault, MemifQueue, Settings, open};
use rustix::fs::SealFlags;

use crate::raw::{
    ACK, CONNECT, CONNECTED, Raw, VERSION, event, hello, listener, message, read_u16, write_at,
};
use crate::{client_of, echo, settings, take, until};

/// What a hostile server does with a client that has come, before it says anything.
fn client_sends_away(name: &str, fault: Fault, does: impl Fn(&Raw)) {
    let settings = settings(name);
    let listener = listener(&settings);
    let (control, _clients) = open(&client_of(&settings)).unwrap();
    let raw = Raw::accept(&listener);
    does(&raw);
    assert_eq!(raw.farewell().as_deref(), Some(fault.sentence()), "{name}");
    until(|| control.peers().of(fault) == 1, name);
    assert_eq!(control.peers().sent_away(), 1, "{name}");
    // It comes again.
    Raw::accept(&listener);
}

#[test]
fn a_client_leaves_a_server_that_does_what_is_forbidden() {
    let good = || hello([VERSION; 2], 0, 4);
    client_sends_away("version", Fault::VersionUnknown, |raw| raw.send(&hello([0x100, 0x1ff], 0, 4), &[]));
    client_sends_away("no-slots", Fault::RingInvalid, |raw| raw.send(&hello([VERSION; 2], 0, 0), &[]));
    client_sends_away("early", Fault::OutOfTurn, |raw| raw.send(&message(CONNECTED, &[]), &[]));
    client_sends_away("ack-first", Fault::OutOfTurn, |raw| raw.send(&message(ACK, &[]), &[]));
    client_sends_away("descriptor", Fault::OutOfTurn, |raw| raw.send(&good(), &[event().as_fd()]));
    client_sends_away("half", Fault::Malformed, |raw| raw.send(&good()[..64], &[]));
    client_sends_away("twice", Fault::OutOfTurn, |raw| {
        raw.send(&good(), &[]);
        raw.send(&good(), &[]);
    });
    client_sends_away("too-early", Fault::OutOfTurn, |raw| {
        raw.send(&good(), &[]);
        raw.send(&message(CONNECTED, &[]), &[]);
    });
    client_sends_away("silence", Fault::Silent, |raw| raw.send(&good(), &[]));
}

/// A client that is connected to a server of bytes: the server's channel, the memory, and the event of each ring.
fn hostile_server(settings: &Settings) -> (Control, MemifQueue, Raw, OwnedFd, Vec<OwnedFd>) {
    let listener = listener(settings);
    let (control, mut clients) = open(&client_of(settings)).unwrap();
    let raw = Raw::accept(&listener);
    raw.send(&hello([VERSION; 2], 0, 4), &[]);
    let mut descriptors = Vec::new();
    while let Some((kind, _, with)) = raw.receive() {
        descriptors.extend(with);
        if kind == CONNECT {
            break;
        }
        raw.send(&message(ACK, &[]), &[]);
    }
    raw.send(&message(CONNECTED, &[]), &[]);
    until(
        || {
            clients[0].rx();
            clients[0].is_connected()
        },
        "a connection",
    );
    let memory = descriptors.remove(0);
    (control, clients.remove(0), raw, memory, descriptors)
}

/// Where a client of ours with 16 slots has its ring to the client.
const OUR_TO_CLIENT_AT: u64 = 128 + 16 * 16;

#[test]
fn a_client_believes_no_index_of_its_server() {
    for tail in [17_u16, 0x8000, u16::MAX] {
        let settings = settings("tail");
        let (control, mut client, raw, memory, _events) = hostile_server(&settings);
        assert_eq!(read_u16(&memory, OUR_TO_CLIENT_AT + 6), 16);
        write_at(&memory, OUR_TO_CLIENT_AT + 64, &tail.to_ne_bytes());
        until(
            || {
                take(&mut client);
                control.peers().of(Fault::IndexInvalid) == 1
            },
            "it leaves",
        );
        assert_eq!(raw.farewell().as_deref(), Some(Fault::IndexInvalid.sentence()));
        assert_eq!(client.held(), 0);
    }
}

/// What a server writes into slots is not where a client looks for its buffers.
#[test]
fn a_client_finds_its_buffers_whatever_its_server_writes_into_slots() {
    let settings = settings("slots");
    let (control, mut client, _raw, memory, _events) = hostile_server(&settings);
    write_at(&memory, 128, &[0xff; 256]);
    write_at(&memory, OUR_TO_CLIENT_AT + 128, &[0xff; 256]);
    // One frame of 64 bytes, of the last region there is.
    let lie = [&[0, 0], &[0xff; 2][..], &64_u32.to_ne_bytes(), &[0xff; 4]].concat();
    write_at(&memory, OUR_TO_CLIENT_AT + 128, &lie);
    write_at(&memory, OUR_TO_CLIENT_AT + 64, &1_u16.to_ne_bytes());
    assert_eq!(echo(&mut client), 1);
    assert_eq!(control.peers().sent_away(), 0);
}

#[test]
fn nobody_can_take_a_clients_memory_away() {
    let (_control, _client, _raw, memory, _events) = hostile_server(&settings("sealed"));
    assert!(rustix::fs::ftruncate(&memory, 0).is_err());
    assert!(rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE).is_err());
}
