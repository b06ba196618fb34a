//! Where events go: to standard error, as text or as JSON, from a level on.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, fmt};

use super::form::Text;
use super::writer::Writer;
use super::{Event, News, TARGET};
use crate::config::{LogConfig, LogFormat};
use crate::error::Error;

/// How long the end of the process waits until what it said last is written. A reader that lives takes it at once; one that
/// does not must not keep a server from ending.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// The log of this process, once it has one.
static LOG: OnceLock<Log> = OnceLock::new();

/// The way to standard error.
#[derive(Debug)]
pub(crate) struct Log {
    writer: Writer,
    /// How many lost lines were told of.
    told: AtomicU64,
}

impl Log {
    /// How many lines were lost, because nobody read them.
    fn lost_count(&self) -> u64 {
        self.writer.lost_count()
    }
}

/// From here on events of this process are written, in this form. Where one was installed before, that one stays.
pub(crate) fn install(config: &LogConfig) -> Result<(), Error> {
    if is_installed() {
        return Ok(());
    }
    let failed =
        |what: &str, cause: &dyn std::fmt::Display| Error::Failed(format!("the log: {what}: {cause}"));
    // Not by the library's handle, which is locked while somebody waits for a reader.
    let error = io::stderr().as_fd().try_clone_to_owned();
    let out = File::from(error.map_err(|cause| failed("standard error", &cause))?);
    let writer = Writer::start(out).map_err(|cause| failed("no thread", &cause))?;
    tracing::subscriber::set_global_default(subscriber(config, writer.clone()))
        .map_err(|cause| failed("another one is there", &cause))?;
    let _one_alone_comes_here = LOG.set(Log { writer, told: AtomicU64::new(0) });
    Ok(())
}

/// Whether events of this process are written.
pub(crate) fn is_installed() -> bool {
    LOG.get().is_some()
}

/// Tells how many lines were lost, when there is somebody again who reads. To be called now and then.
pub(crate) fn look() {
    let Some(log) = LOG.get().filter(|log| log.writer.is_idle()) else { return };
    let lost_count = log.lost_count();
    if log.told.swap(lost_count, Ordering::Relaxed) != lost_count {
        let line = format!("{lost_count} lines of this log were lost so far: nobody read them");
        News::new(Event::LogLost { lost_count }, line).tell();
    }
}

/// How many lines of this process were lost, because nobody read them.
pub(crate) fn lost_count() -> u64 {
    LOG.get().map_or(0, Log::lost_count)
}

/// Waits until what was told is written, for a moment at most.
pub(crate) fn finish() {
    if let Some(log) = LOG.get() {
        log.writer.finish(END_PATIENCE);
    }
}

/// What makes lines of events, and hands each to `writer` at once.
pub(super) fn subscriber<W>(config: &LogConfig, writer: W) -> impl Subscriber + Send + Sync
where
    W: Write + Clone + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(move || writer.clone()).log_internal_errors(false);
    let lines = match config.format {
        LogFormat::Text => lines.event_format(Text).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    Registry::default().with(lines.with_filter(Targets::new().with_target(TARGET, config.level)))
}
