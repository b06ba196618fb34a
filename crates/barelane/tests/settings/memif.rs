//! The same of an interface in shared memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{assert_says, barelane, refusal};

/// What an interface in shared memory needs, and what only a card has.
#[test]
fn an_interface_in_shared_memory_is_refused_what_it_lacks_and_what_it_cannot_have() {
    let directory = std::env::temp_dir().join(format!("barelane-settings-memif-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let [socket, nowhere, open] =
        ["a.sock", "nowhere/a.sock", "open.key"].map(|name| directory.join(name).display().to_string());
    fs::write(&open, "secret").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let (mac, address) = (["--mac", "02:00:00:00:00:01"], ["--address", "10.9.0.1/24"]);
    let whole = [mac, address].concat();
    let with_secret = format!("{socket},secret-file={open}");
    let cases: [(&str, &[&str], &[&str]); 15] = [
        (&socket, &address, &["nic.mac (--mac) = \"\"", "--mac 02:00:00:00:00:01"]),
        (&socket, &mac, &["serve.addresses (--address) = \"\"", "--address 192.0.2.1/24"]),
        (
            &socket,
            &["--mac", "ff:ff:ff:ff:ff:ff"],
            &["--mac) = \"ff:ff:ff:ff:ff:ff\"", "no station has this"],
        ),
        ("@x,role=both", &whole, &["nic.memif (--memif) = \"role=both\"", "write one of server, client"]),
        ("@x,queues=65", &whole, &["queues=65", "from 1 to 64"]),
        ("@x,queues=3", &whole, &["lane.cores (--core)", "--memif SOCKET,queues="]),
        ("@x,ring-size=100", &whole, &["ring-size=100", "from 128 to 16384"]),
        (&nowhere, &whole, &["nic.memif (--memif)", "nowhere/a.sock", "No such file"]),
        (&with_secret, &whole, &["nic.memif (--memif)", "others may use it (mode 644)"]),
        (
            &socket,
            &[&whole[..], &["--tier", "driver"]].concat(),
            &["serve.tier (--tier) = \"driver\"", "leave it out"],
        ),
        (
            &socket,
            &[&whole[..], &["--zero-copy", "yes"]].concat(),
            &["--zero-copy) = \"yes\"", "leave it out"],
        ),
        (
            &socket,
            &[&whole[..], &["--idle", "interrupt"]].concat(),
            &["lane.idle (--idle) = \"interrupt\"", "write --memif SOCKET,idle=adaptive"],
        ),
        (
            &socket,
            &[&whole[..], &["--transmit-stamps", "kernel"]].concat(),
            &["nic.transmit_stamps (--transmit-stamps) = \"kernel\"", "no kernel stands", "write none"],
        ),
        (&socket, &[&whole[..], &["--queue", "0"]].concat(), &["nic.queues (--queue)", "leave it out"]),
        (&socket, &[&whole[..], &["--nic", "lo"]].concat(), &["cannot be used with"]),
    ];
    for (memif, options, parts) in cases {
        let output = barelane(&[&["serve", "--memif", memif], options].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_says(&said, parts);
    }
    let line = refusal(&barelane(&["serve", "--nic", "lo", "--mac", "02:00:00:00:00:01"]).output().unwrap());
    assert_says(&line, &["nic.mac (--mac)", "address of its own"]);
    assert!(!Path::new(&socket).exists());
    fs::remove_dir_all(&directory).unwrap();
}
