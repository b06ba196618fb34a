//! A server of the test's own: echoes datagrams over the loopback, as long as it is kept.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The server.
pub(crate) struct Echo {
    port: u16,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Echo {
    /// A server that changes each answer before it sends it.
    pub(crate) fn that(change: fn(&mut [u8])) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let server = thread::spawn(move || {
            let mut room = vec![0; 1 << 16];
            while !seen.load(Ordering::Relaxed) {
                if let Ok((len, asker)) = socket.recv_from(&mut room) {
                    change(&mut room[..len]);
                    // An asker that has gone away has its answer refused.
                    let _ = socket.send_to(&room[..len], asker);
                }
            }
        });
        Self { port, is_over, server: Some(server) }
    }

    /// A server that answers what it was asked.
    pub(crate) fn start() -> Self {
        Self::that(|_| ())
    }

    /// What `--proto` is to be.
    pub(crate) fn proto(&self) -> String {
        format!("udp:{}", self.port)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.server.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}
