//! `stamp-suite`, another implementation of STAMP (RFC 8762, RFC 8972), as sender and as reflector.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::topology::{KERNEL, Topology, tools};

/// How long a reflector may take until it listens, on two busy cores.
const READY_MAX: Duration = Duration::from_secs(20);

/// The key of both ends, as bytes of text.
pub(crate) const KEY: &str = "a key for two implementations";

/// The port that both listen on (RFC 8762 section 4.1).
pub(crate) const PORT: u16 = 862;

/// Where it is.
pub(crate) fn program() -> PathBuf {
    tools().join("stamp-suite/bin/stamp-suite")
}

/// The options of a mode: none without a key, else authenticated. It takes its keys in hex.
pub(crate) fn mode(key: Option<&str>) -> Vec<String> {
    let Some(key) = key else { return Vec::new() };
    let hex = key.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    vec!["--auth-mode=A".to_owned(), format!("--hmac-key={hex}"), "--verify-tlv-hmac".to_owned()]
}

/// A reflector on an address of the server's kernel, [`KERNEL`]. Ended by SIGKILL when dropped.
#[derive(Debug)]
pub(crate) struct Reflector(Child);

impl Reflector {
    /// Starts one and waits until it listens.
    pub(crate) fn start(topology: &Topology, ipv6: bool, key: Option<&str>) -> Self {
        let address = KERNEL[usize::from(ipv6)];
        let mut command = Command::new(program());
        command.args(["--is-reflector", "--local-addr", address]).args(mode(key));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = topology.server.run(|| command.spawn()).unwrap();
        let mut child =
            child.unwrap_or_else(|error| panic!("stamp-suite: {error}; `cargo xtask test` brings it"));
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let reflector = Self(child);
        let mut said = Vec::new();
        while let Ok(line) = lines.recv_timeout(READY_MAX) {
            if line.contains("listening on") {
                return reflector;
            }
            said.push(line);
        }
        panic!("the reflector does not listen within {READY_MAX:?}, but says: {said:#?}");
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
