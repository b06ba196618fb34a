//! Readers of a running server, for `cargo xtask bench --telemetry`: so many of its segment, so many of its metrics, each so
//! often a second, until standard input ends. Then says how often they read, and how often that failed.
//!
//! The segments are those of `RUNTIME_DIRECTORY`, as `barelane top` finds them; metrics are read where a server has them if it
//! is not told otherwise.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program beside the library, for measurements")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use barelane::side_channel::{self, Reader};

/// Where a server answers by HTTP (`--admin`).
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

static STOP: AtomicBool = AtomicBool::new(false);
static READ: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let &[of_segment, of_metrics, per_second] = numbers.as_slice() else {
        return Err("how many of the segment, how many of the metrics, how often a second?".into());
    };
    let (segments, _) = side_channel::running();
    let segment = segments.first().ok_or("no server runs")?;
    let pause = Duration::from_secs(1) / u32::try_from(per_second.max(1))?;
    thread::scope(|scope| {
        for _ in 0..of_segment {
            scope.spawn(|| repeat(pause, || read_segment(segment)));
        }
        for _ in 0..of_metrics {
            scope.spawn(|| repeat(pause, read_metrics));
        }
        println!("ready");
        // Its end is the readers' end, and so is an error of it.
        let _end = io::copy(&mut io::stdin(), &mut io::sink());
        STOP.store(true, Ordering::Relaxed);
    });
    println!("read {} times, failed {} times", READ.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed));
    Ok(())
}

fn repeat(pause: Duration, read: impl Fn() -> Result<(), Box<dyn Error>>) {
    while !STOP.load(Ordering::Relaxed) {
        let count = if read().is_ok() { &READ } else { &FAILED };
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(pause);
    }
}

/// As a reader that comes anew each time.
fn read_segment(path: &Path) -> Result<(), Box<dyn Error>> {
    let snapshot = Reader::open(path)?.read()?;
    if snapshot.areas.is_empty() { Err("nothing in it".into()) } else { Ok(()) }
}

fn read_metrics() -> Result<(), Box<dyn Error>> {
    let mut server = TcpStream::connect_timeout(&ADMIN, PATIENCE)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    server.read_to_string(&mut page)?;
    if page.starts_with("HTTP/1.1 200") { Ok(()) } else { Err("no metrics".into()) }
}
