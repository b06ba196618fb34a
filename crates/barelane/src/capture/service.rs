//! The server's side of a capture: a thread that hands taps to the lanes, and carries what they exchange to who captures.
//!
//! ```text
//!   lane ─ tap ─▶ ring ─┐                 ┌──▶ socket ─▶ barelane capture
//!   lane ─ tap ─▶ ring ─┴─▶ this thread ──┘      full: nothing is taken from the rings,
//!                           256 KiB, at most     which fill up, and then taps drop and count
//! ```
//!
//! It sleeps while nobody captures. Whoever connects can slow down this thread and no other: a lane never waits for a ring, and
//! housekeeping and metrics have threads of their own.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as Listening;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lane::TapSender;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use super::session::{self, Tapped};
use crate::error::Error;
use crate::side_channel::capture_socket_of;

/// Who may connect: the server's user. Closer than the segment, which its group may read as well: what is in packets is less
/// people's business than how many there were.
const MODE: u32 = 0o600;

/// What those are told who may not capture, and those who may not now.
const NOT_LET_IN: &str = "the packets of a server are shown to its own user and to root only";
const OCCUPIED: &str = "another capture of this server is under way: end it first";

/// How long a capture may take to end once the server stops: its lanes answer all the while.
const END_MAX: Duration = Duration::from_secs(2);

/// How long to wait where the kernel refuses a connection, as where no descriptor is left.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// The stack of the thread, locked in memory as all of the process is.
const STACK_SIZE: usize = 512 << 10;

/// The thread that serves captures. Dropping it ends it, and the capture that is under way.
#[derive(Debug)]
pub(crate) struct Service {
    path: PathBuf,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// A lane as captures know it.
#[derive(Debug)]
pub(crate) struct LaneEnd {
    /// The queue of its card.
    pub(crate) queue: u32,
    /// Where its taps go.
    pub(crate) taps: TapSender,
}

impl Service {
    /// Listens beside the segment of a server that has these lanes, on `core`, where one is free.
    pub(crate) fn start(
        segment: &Path,
        nic: &str,
        lanes: Vec<LaneEnd>,
        core: Option<usize>,
    ) -> Result<Self, Error> {
        let path = capture_socket_of(segment);
        let failed = |cause: io::Error| Error::Failed(format!("{}: {cause}", path.display()));
        let owner = fs::metadata(segment).map_err(failed)?.uid();
        let listener = listen(&path).map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let door = Door { owner, tapped: Arc::new(Mutex::new(Tapped::new(nic, lanes))), stopped };
        let work = move || {
            // Where the lanes have every core, it runs wherever the kernel puts it, as housekeeping does.
            let _taken_away_since = core.map(host::cores::pin);
            if let Err(cause) = serve(listener, door) {
                crate::events::News::warning(format_args!("captures are served no more: {cause}")).tell();
            }
        };
        let thread = thread::Builder::new().name("capture".to_owned()).stack_size(STACK_SIZE).spawn(work);
        let thread = Some(thread.map_err(failed)?);
        Ok(Self { path, stop, thread })
    }

    /// Where it listens, as a fact of the server.
    pub(crate) fn fact(&self) -> String {
        format!("capture: {}", self.path.display())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended_before = self.stop.send(true);
        let _ended = self.thread.take().map(JoinHandle::join);
        let _gone = fs::remove_file(&self.path);
    }
}

/// Listens at a path that is this server's by its segment: what stands there is a dead server's.
fn listen(path: &Path) -> io::Result<Listening> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let listener = Listening::bind(path)?;
    // Whoever connects before that is refused by who he is.
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What decides who comes in.
struct Door {
    /// The server's user.
    owner: u32,
    /// The lanes, for one capture at a time.
    tapped: Arc<Mutex<Tapped>>,
    stopped: watch::Receiver<bool>,
}

/// Serves one capture after the other until told to stop.
fn serve(listener: Listening, mut door: Door) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let listener = UnixListener::from_std(listener)?;
        while !*door.stopped.borrow_and_update() {
            let mut stopped = door.stopped.clone();
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => door.admit(stream),
                    Err(_) => sleep(REFUSED_PAUSE).await,
                },
                _ = stopped.changed() => {}
            }
        }
        // The lanes are this thread's again when the capture has ended that is under way.
        let _one_that_hangs = timeout(END_MAX, door.tapped.lock()).await;
        Ok(())
    })
}

impl Door {
    /// Begins a capture, or says why not.
    fn admit(&self, stream: UnixStream) {
        let Ok(credentials) = stream.peer_cred() else { return };
        let is_let_in = [self.owner, 0].contains(&credentials.uid());
        let tapped = Arc::clone(&self.tapped).try_lock_owned();
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            match tapped {
                _ if !is_let_in => session::refuse(&stream, NOT_LET_IN).await,
                Ok(mut tapped) => tapped.capture(&stream, stopped).await,
                Err(_) => session::refuse(&stream, OCCUPIED).await,
            }
        });
    }
}
