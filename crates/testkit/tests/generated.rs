//! The committed vectors are what their sources give: nobody has edited a file by hand, and nobody has changed a
//! source without writing its file.
#![allow(clippy::expect_used, clippy::panic, reason = "a test may stop")]

use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs scapy: `cargo xtask test` brings it"]
fn the_vectors_are_what_scapy_writes() {
    let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/generate.py");
    let mut python = Command::new("/usr/bin/python3");
    // Without a cache of compiled modules: the source tree stays as it is.
    python.arg("-B").arg(generator).arg("--check");
    if let Some(tools) = std::env::var_os("BARELANE_TOOLS") {
        python.env("PYTHONPATH", Path::new(&tools).join("scapy"));
    }
    let output = python.output().expect("/usr/bin/python3 cannot be run");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
