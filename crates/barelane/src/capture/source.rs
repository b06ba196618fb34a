//! Which server is captured, and what its segment says of it.

use std::path::{Path, PathBuf};

use crate::error::{Error, Wrong};
use crate::side_channel::{self, Reader, SegmentError, Snapshot};

/// A server that runs.
#[derive(Debug)]
pub(super) struct Source {
    reader: Reader,
}

/// What it said of itself at one moment.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    /// Its interface.
    pub(super) nic: String,
    tier: String,
    /// What the driver tier has answered.
    by_driver: u64,
}

impl Source {
    /// The server with an interface of this name, or with this segment; the only one that runs where no name is given.
    pub(super) fn find(name: Option<&str>) -> Result<Self, Error> {
        let (paths, refused) = side_channel::running();
        // One that has ended meanwhile is none that runs.
        let mut found: Vec<(String, Self)> = paths.iter().filter_map(|path| Self::open(path)).collect();
        let names: Vec<String> = found.iter().map(|(nic, _)| nic.clone()).collect();
        if let Some(name) = name {
            found.retain(|(nic, source)| nic == name || source.reader.path().as_os_str() == name);
        }
        match (found.pop(), name) {
            (Some((_, source)), _) if found.is_empty() => Ok(source),
            (Some(_), _) => Err(Wrong::new("NAME", name.unwrap_or_default())
                .because("more than one server runs that could be meant")
                .remedy(format_args!("name one by its interface ({}), or by its segment", names.join(", ")))
                .into()),
            (None, Some(name)) if !names.is_empty() => Err(Wrong::new("NAME", name)
                .because("no server runs on such an interface")
                .remedy(format_args!("name one of these: {}", names.join(", ")))
                .into()),
            (None, _) if !refused.is_empty() => Err(Error::Failed(
                "a server runs here that this user cannot capture: run it as root, or as the server's user"
                    .to_owned(),
            )),
            (None, _) => Err(Error::Failed("no server runs here: start one with barelane serve".to_owned())),
        }
    }

    fn open(path: &Path) -> Option<(String, Self)> {
        let source = Self { reader: Reader::open(path).ok()? };
        Some((source.look().ok()?.nic, source))
    }

    /// Where it is asked for captures.
    pub(super) fn socket(&self) -> PathBuf {
        side_channel::capture_socket_of(self.reader.path())
    }

    /// What it says of itself now.
    pub(super) fn look(&self) -> Result<Looked, Error> {
        let read = self.reader.read().map_err(|error: SegmentError| Error::Failed(error.to_string()))?;
        Ok(Looked::in_snapshot(&read))
    }
}

impl Looked {
    fn in_snapshot(snapshot: &Snapshot) -> Self {
        let facts = snapshot.of_kind("server").next();
        let fact = |name| facts.and_then(|facts| facts.text(name)).unwrap_or_default();
        let by_driver = snapshot.of_kind("driver").map(|driver| driver.sum("replied")).sum();
        Self { nic: fact("nic"), tier: fact("tier"), by_driver }
    }

    /// What to say beforehand where not everything comes to the lanes.
    pub(super) fn warning(&self) -> Option<String> {
        (self.tier == "driver").then(|| {
            "this server's tier is driver: what the driver answers itself comes to no lane, and is not captured; serve with --tier \
             lane to see all"
                .to_owned()
        })
    }

    /// What to say afterwards, if the driver has answered since.
    pub(super) fn answered_by_driver_since(&self, before: &Self) -> Option<String> {
        let count = self.by_driver.saturating_sub(before.by_driver);
        (count > 0).then(|| {
            format!("the driver answered {count} questions meanwhile, which no lane saw: serve with --tier lane to see all")
        })
    }
}
