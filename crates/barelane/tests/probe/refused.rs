//! What cannot be measured is told in one line with the setting, the value and the remedy, ends with 2, and leaves nothing
//! behind.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Runs it, demands a refusal of one line, and gives the line.
fn refusal(arguments: &[&str]) -> String {
    let ended = barelane(arguments).output().unwrap();
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(ended.stdout.is_empty(), "{arguments:?}: {}", text(&ended.stdout));
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn every_option_that_cannot_be_is_told_with_what_can() {
    for (options, words) in [
        (&["--rate", "0"][..], &["--rate = \"0\"", "no number of questions per second", "0.001"][..]),
        (&["--rate=-5"], &["--rate = \"-5\""]),
        (&["--rate", "NaN"], &["--rate = \"NaN\"", "FROM..TO"]),
        (&["--rate", "10..x"], &["--rate = \"10..x\""]),
        (&["--rate", "1e10"], &["--rate = \"1e10\"", "1000000000"]),
        (&["--window", "0"], &["--window = \"0\"", "write a number from 1 to 65536"]),
        (&["--window", "65537"], &["--window = \"65537\""]),
        (&["--seconds", "0"], &["--seconds = \"0\"", "write a number from 0.001"]),
        (&["--count", "0"], &["--count = \"0\"", "write a number from 1"]),
        (&["--count", "many"], &["--count = \"many\""]),
        (&["--timeout", "0"], &["--timeout = \"0\"", "to 60"]),
        (&["--repeat", "0"], &["--repeat = \"0\"", "from 1 to 1000"]),
        (&["--size", "65508"], &["--size = \"65508\"", "from 0 to 65507"]),
        (&["--proto", "udp:7", "--size", "15"], &["size: 15", "udp:7", "give 16"]),
        (&["--proto", "stamp", "--size", "43"], &["size: 43", "give 44"]),
        (&["--proto", "tcp:80"], &["--proto = \"tcp:80\"", "stamp[:PORT]"]),
        (&["--proto", "udp:0"], &["--proto = \"udp:0\"", "1 to 65535"]),
        (&["--backend", "dpdk"], &["--backend = \"dpdk\"", "write one of socket, xdp"]),
        (&["--stamps", "nic"], &["--stamps = \"nic\"", "write one of user, kernel"]),
        (&["--stamps", "kernel", "--backend", "xdp"], &["--stamps = \"kernel\"", "--backend socket"]),
        (&["--core", "9999"], &["--core = \"9999\"", "choose from"]),
        (&["--nic", "nowhere0"], &["nowhere0"]),
        (&["--search", "--rate", "10"], &["--rate = \"10\"", "FROM..TO"]),
        (&["--rate", "1e9", "--timeout", "60"], &["timeout", "1000000000", "lower rate"]),
        (&["--closed", "--rate", "9"], &["--closed", "--rate"]),
        (&["--window", "2", "--rate", "9"], &["--window", "--rate"]),
        (&["--poisson"], &["--rate"]),
        (&["--search", "--count", "9"], &["--search", "--count"]),
        (&["--search", "--closed"], &["--search", "--closed"]),
        (&["--seconds", "1", "--count", "1"], &["--seconds", "--count"]),
    ] {
        let line = refusal(&[&["probe", "127.0.0.1"], options].concat());
        for word in words {
            assert!(line.contains(word), "{options:?}: `{word}` is not in\n{line}");
        }
    }
}

#[test]
fn a_question_over_the_mtu_is_told_with_what_fits() {
    let line = refusal(&["probe", "::1", "--proto", "udp:7", "--size", "65507"]);
    for word in ["--size = \"65507\"", "udp:7 over IPv6", "of lo, whose MTU is 65536", "give at most 65488"] {
        assert!(line.contains(word), "{line}");
    }
}

#[test]
fn a_target_that_is_none_is_told() {
    let line = refusal(&["probe", "nobody.invalid"]);
    assert!(line.contains("TARGET = \"nobody.invalid\""), "{line}");
    assert!(refusal(&["probe"]).contains("<TARGET>"));
    assert!(refusal(&["probe", "fe80::1"]).contains("fe80::1"));
}

#[test]
fn a_key_that_others_may_read_is_refused_without_being_shown() {
    let directory = Directory::new("key");
    let key = directory.file("key");
    fs::write(&key, "a secret").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let stamp = ["probe", "127.0.0.1", "--proto", "stamp", "--stamp-key", &key];
    let line = refusal(&stamp);
    assert!(line.contains("--stamp-key") && line.contains("chmod 600") && !line.contains("secret"), "{line}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let line = refusal(&["probe", "127.0.0.1", "--proto", "icmp", "--stamp-key", &key]);
    assert!(line.contains("stamp_key: icmp knows no key"), "{line}");
}

#[test]
fn files_that_cannot_be_written_are_told_before_anything_is_measured() {
    for option in ["--json", "--report"] {
        let line = refusal(&["probe", "127.0.0.1", option, "/nowhere/result"]);
        assert!(line.contains(&format!("{option} = \"/nowhere/result\"")), "{line}");
        assert!(line.contains("name a file that can be written"), "{line}");
    }
    let directory = Directory::new("same");
    let file = directory.file("result");
    let line = refusal(&["probe", "127.0.0.1", "--json", &file, "--report", &file]);
    assert!(line.contains("name two files"), "{line}");
}

#[test]
fn what_is_refused_leaves_no_file_and_keeps_what_a_file_held() {
    let directory = Directory::new("nothing");
    let (json, page) = (directory.file("a.json"), directory.file("a.html"));
    for wrong in [&["--rate", "0"][..], &["--size", "65507", "--proto", "udp:7", "--core", "x"]] {
        refusal(&[&["probe", "127.0.0.1", "--json", &json, "--report", &page], wrong].concat());
        assert!(directory.is_empty());
    }
    refusal(&["probe", "nobody.invalid", "--json", &json]);
    assert!(directory.is_empty());
    fs::write(&json, "what it held").unwrap();
    refusal(&["probe", "127.0.0.1", "--json", &json, "--report", "/nowhere/page"]);
    assert_eq!(fs::read_to_string(&json).unwrap(), "what it held");
}

#[test]
fn a_file_that_is_no_report_is_not_compared() {
    let directory = Directory::new("compare");
    let (file, page) = (directory.file("a.json"), directory.file("a.html"));
    for content in ["", "{}", "[1]", "{\"schema\": \"barelane-probe-1\"}", "no JSON"] {
        fs::write(&file, content).unwrap();
        let line = refusal(&["probe", "compare", &file, "--report", &page]);
        assert!(line.contains(&file), "{line}");
    }
    assert!(!Path::new(&page).exists());
}
