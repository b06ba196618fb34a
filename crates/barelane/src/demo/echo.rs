//! The kernel's side of the comparison: a UDP echo server over an ordinary socket, as anyone would write it.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::link::{Cable, Hosts};
use super::serving::Served;
use crate::error::Error;

/// How long a blocking server sleeps at most before it looks whether it is to stop.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// How long a receive call polls before it sleeps, in microseconds: what the kernel's documentation recommends for
/// `net.core.busy_read` (Documentation/admin-guide/sysctl/net.rst). It is longer than any round trip here.
const POLL_US: u16 = 50;

/// Larger than any question of the demo.
const ROOM: usize = 2048;

/// How the server waits for a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It sleeps in the kernel and is woken.
    Block,
    /// It asks again and again.
    Spin,
    /// It sleeps in the kernel, which polls the card for a while first (`SO_BUSY_POLL`, `SO_PREFER_BUSY_POLL`).
    BusyPoll,
}

/// A server at work.
#[derive(Debug)]
pub(super) struct Echo {
    thread: JoinHandle<Result<UdpSocket, Error>>,
    stop: Arc<AtomicBool>,
    wait: Wait,
}

impl Echo {
    /// Starts it on the server's core.
    pub(super) fn start(hosts: &Hosts, cable: &Cable, wait: Wait) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stop_seen = Arc::clone(&stop);
        let core = hosts.server_core;
        // The socket stays in the namespace that it was opened in, wherever the thread that uses it is.
        let address = (cable.server, hosts.port_on(cable).get());
        let socket = hosts.server_of(cable).run(|| open(address, wait))??;
        let thread = thread::spawn(move || {
            host::cores::pin(core)?;
            serve(&socket, &stop_seen)?;
            Ok(socket)
        });
        Ok(Self { thread, stop, wait })
    }

    /// Stops it.
    pub(super) fn stop(self) -> Result<Served, Error> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        let socket = ended.map_err(|_| Error::Failed("the kernel's echo server has died".to_owned()))??;
        Ok(match self.wait {
            Wait::Block => Served::new("UDP socket, blocking", "kernel stack"),
            Wait::Spin => Served::new("UDP socket, spinning", "kernel stack"),
            Wait::BusyPoll => Served::new("UDP socket, blocking, busy-poll", busy_poll_in_force(&socket)?),
        })
    }
}

/// Whether the kernel has polled. It can where it knows which NAPI instance the socket's packets come from.
fn busy_poll_in_force(socket: &UdpSocket) -> Result<String, Error> {
    Ok(match host::busy_poll::napi(socket)? {
        Some(_) => "kernel stack, polled".to_owned(),
        None => "kernel stack, NOT polled: no NAPI".to_owned(),
    })
}

fn open(address: (Ipv4Addr, u16), wait: Wait) -> Result<UdpSocket, Error> {
    let failed = |error| Error::Failed(format!("the kernel's echo server cannot start: {error}"));
    let socket = UdpSocket::bind(address).map_err(failed)?;
    match wait {
        Wait::Block | Wait::BusyPoll => socket.set_read_timeout(Some(SLEEP_MAX)),
        Wait::Spin => socket.set_nonblocking(true),
    }
    .map_err(failed)?;
    if wait == Wait::BusyPoll {
        host::busy_poll::ask_for(&socket, POLL_US)?;
    }
    Ok(socket)
}

fn serve(socket: &UdpSocket, stop: &AtomicBool) -> Result<(), Error> {
    let mut room = [0; ROOM];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut room) {
            Ok((len, asker)) => {
                let answer = room.get(..len).unwrap_or(&room);
                // An answer that does not fit into the asker's buffer is lost, and the client counts it.
                let _lost = socket.send_to(answer, asker);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(Error::Failed(format!("the kernel's echo server: {error}"))),
        }
    }
    Ok(())
}
