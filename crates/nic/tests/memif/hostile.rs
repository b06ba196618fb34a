//! Peers that do what the protocol forbids: each is sent away for what it did, is told so, and the next one is served.

mod handshakes;
mod lanes;
mod rings;
mod servers;

use barelane_nic::Queue;
use barelane_nic::memif::{Control, Fault, MemifQueue, Settings, open};

use crate::raw::{Offer, Raw, VERSION, init};
use crate::{conversation, echo, open_client, settings, until};

/// An honest client comes and is answered.
pub(super) fn next_one_is_served(settings: &Settings, servers: &mut [MemifQueue]) {
    let (_client, mut clients) = open_client(settings);
    until(
        || {
            servers[0].rx();
            clients[0].rx();
            servers[0].is_connected() && clients[0].is_connected()
        },
        "the next one's connection",
    );
    conversation(&mut clients[0], &mut servers[0], 3);
}

pub(super) fn greeting() -> Vec<u8> {
    init(VERSION, 0, 0, &[0; 24])
}

/// A server, and a client of bytes that is connected to it.
pub(super) struct Scene {
    pub(super) settings: Settings,
    pub(super) control: Control,
    pub(super) servers: Vec<MemifQueue>,
    pub(super) offer: Offer,
    pub(super) raw: Raw,
}

impl Scene {
    pub(super) fn new(name: &str) -> Self {
        Self::of(Settings { queues: 1, ..settings(name) })
    }

    pub(super) fn of(settings: Settings) -> Self {
        let (control, mut servers) = open(&settings).unwrap();
        let offer = Offer::of(settings.queues);
        let raw = offer.connect(&settings);
        for queue in &mut servers {
            until(
                || {
                    queue.rx();
                    queue.is_connected()
                },
                "a connection",
            );
        }
        Self { settings, control, servers, offer, raw }
    }

    /// The lanes turn until the peer is sent away for this, and nothing else; then comes the next one.
    pub(super) fn ends_by(mut self, fault: Fault) {
        until(
            || {
                for queue in &mut self.servers {
                    echo(queue);
                    assert_eq!(queue.held(), 0);
                }
                self.control.peers().of(fault) == 1
            },
            "it is sent away",
        );
        assert_eq!(self.raw.farewell().as_deref(), Some(fault.sentence()));
        assert_eq!(self.control.peers().sent_away(), 1);
        next_one_is_served(&self.settings, &mut self.servers);
    }
}
