//! The kernel's side of the comparison: a UDP echo server over an ordinary socket, as anyone would write it.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::link::{Hosts, KERNEL};
use super::row::PORT;
use crate::error::Error;

/// How long a blocking server sleeps at most before it looks whether it is to stop.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// Larger than any question of the demo.
const ROOM: usize = 2048;

/// How the server waits for a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It sleeps in the kernel and is woken.
    Block,
    /// It asks again and again.
    Spin,
}

/// A server at work.
#[derive(Debug)]
pub(super) struct Echo {
    thread: JoinHandle<Result<(), Error>>,
    stop: Arc<AtomicBool>,
    wait: Wait,
}

impl Echo {
    /// Starts it on the server's core.
    pub(super) fn start(hosts: &Hosts, wait: Wait) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stop_seen = Arc::clone(&stop);
        let core = hosts.server_core;
        // The socket stays in the namespace that it was opened in, wherever the thread that uses it is.
        let socket = hosts.server.run(|| open(wait))??;
        let thread = thread::spawn(move || {
            host::cores::pin(core)?;
            serve(&socket, &stop_seen)
        });
        Ok(Self { thread, stop, wait })
    }

    /// How it runs.
    pub(super) const fn describe(&self) -> &'static str {
        match self.wait {
            Wait::Block => "UDP socket, blocking",
            Wait::Spin => "UDP socket, spinning",
        }
    }

    /// Stops it.
    pub(super) fn stop(self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Error::Failed("the kernel's echo server has died".to_owned()))?
    }
}

fn open(wait: Wait) -> Result<UdpSocket, Error> {
    let opened = UdpSocket::bind((KERNEL.server, PORT.get())).and_then(|socket| {
        match wait {
            Wait::Block => socket.set_read_timeout(Some(SLEEP_MAX))?,
            Wait::Spin => socket.set_nonblocking(true)?,
        }
        Ok(socket)
    });
    opened.map_err(|error| Error::Failed(format!("the kernel's echo server cannot start: {error}")))
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
