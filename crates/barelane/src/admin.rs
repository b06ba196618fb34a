//! Metrics and health by HTTP, for who watches many hosts: what the side channel says, in the words of Prometheus; and a page for who
//! looks at one.
//!
//! ```text
//!   lane ─▶ page ─▶ housekeeping ─▶ segment ─▶ Reader ─▶ Snapshot ─┬─▶ families ─▶ exposition ─▶ /metrics
//!                                                                  ├─▶ health ─────────────────▶ /readyz, /healthz ◀─ crate::health
//!                                                                  └─▶ page ───────────────────▶ /, /page.json
//!                                              a thread of its own, beside the lanes' cores
//! ```
//!
//! It reads the server's own segment, of each card one, as `barelane top` does, by the same [`Reader`], so that the two cannot disagree, and knows
//! nothing else of the lanes. Whoever asks slowly, often, or nonsense, holds up this thread and no other.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where to listen, and who may ask |
//! | `tls` | a certificate and its key, checked |
//! | `http` | connections, bounded in number, size and time |
//! | `answer` | which path gives what |
//! | `families` | metrics from a snapshot |
//! | `residence` | buckets of ours as buckets of Prometheus |
//! | `exposition` | metrics as text, in both forms that Prometheus reads |
//! | `health` | what is looked at before a server is called ready, or healthy |
//! | `page` | the web page, and the figures that it asks for |

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use tokio::sync::{oneshot, watch};

use crate::error::Error;
use crate::events::{Event, News};
use crate::side_channel::{Reader, SegmentError};

mod answer;
mod exposition;
mod families;
mod health;
mod http;
mod page;
mod residence;
mod settings;
#[cfg(test)]
mod tests;
mod tls;

use answer::{Answerer, Card};
pub(crate) use health::Watched;
use page::Looks;
pub use settings::AdminSettings;
pub(crate) use settings::listen;
use tls::Tls;

/// The stack of the thread. It is locked in memory, as all of the process is. Figures of the page are made with some ten histograms of
/// 16 KiB on it, and a build that is not optimized keeps each copy of them.
const STACK_SIZE: usize = 1 << 20;

/// The thread that answers. Dropping it ends it: what is being answered then is cut off.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    /// What it shows to whoever asks by TLS.
    tls: watch::Sender<Option<Tls>>,
    /// There until it is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is shown of one card.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The interface.
    pub(crate) nic: String,
    /// Its segment, where there is one.
    pub(crate) segment: Option<PathBuf>,
    /// What else is looked at.
    pub(crate) watched: Watched,
}

impl Admin {
    /// Answers at a listener from now on, by the segments of these cards.
    pub(crate) fn start(
        listener: TcpListener,
        settings: &AdminSettings,
        shown: Vec<Shown>,
    ) -> Result<Self, Error> {
        let failed =
            |what: &str, cause: &dyn std::fmt::Display| Error::Failed(format!("metrics: {what}: {cause}"));
        let address = listener.local_addr().map_err(|cause| failed("no address", &cause))?;
        let core = Watched::own_core(&shown.iter().map(|card| &card.watched));
        let cards = shown.into_iter().map(|Shown { nic, segment, watched }| {
            let reader = segment.as_deref().map(Reader::open).transpose();
            let reader = reader.map_err(|cause: SegmentError| failed("the segment", &cause))?;
            Ok(Card { nic, reader, watched, looks: Looks::default() })
        });
        let cards = cards.collect::<Result<_, Error>>()?;
        let answerer = Answerer { token: settings.token().cloned(), cards };
        let (tls, shown) = watch::channel(settings.tls().cloned());
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            // Where the lanes have every core, it runs wherever the kernel puts it, as housekeeping does.
            if let Some(core) = core {
                let _taken_away_since = host::cores::pin(core);
            }
            if let Err(cause) = http::serve(listener, answerer, &shown, stopped) {
                let event = Event::AdminEnd { reason: cause.to_string() };
                News::new(event, format_args!("metrics are served no more: {cause}")).tell();
            }
        };
        let thread = thread::Builder::new().name("admin".to_owned()).stack_size(STACK_SIZE).spawn(work);
        let thread = thread.map_err(|cause| failed("no thread", &cause))?;
        Ok(Self { address, tls, stop: Some(stop), thread: Some(thread) })
    }

    /// Shows another certificate from now on, where there is one: theirs end, and the server does not.
    pub(crate) fn renew(&self, settings: &AdminSettings) {
        self.tls.send_replace(settings.tls().cloned());
    }

    /// Where it is, as a fact of the server.
    pub(crate) fn fact(&self) -> News {
        let at = format!("{}://{}", if self.tls.borrow().is_some() { "https" } else { "http" }, self.address);
        let line = format!("page: {at}/, metrics: {at}/metrics, health: /readyz, /healthz");
        News::new(Event::AdminStart { address: self.address.to_string() }, line)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}
