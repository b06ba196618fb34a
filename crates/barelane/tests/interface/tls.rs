//! Is TLS what other people's programs take for it, and is what cannot be one refused before anything is touched?

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::admin::hosts;
use crate::server::{Server, spawn};
use crate::side_channel::ask;
use crate::topology::{Ended, Topology, finish};

/// How long until a certificate is shown that was taken by a reload.
const RENEWED_MAX: Duration = Duration::from_secs(20);

const LOOPBACK: &str = "https://127.0.0.1:9464";

/// Certificates of one test, gone with it.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("barelane-tls-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn put(&self, name: &str, text: &str) -> String {
        fs::write(self.0.join(name), text).unwrap();
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        self.path(name)
    }

    /// A certificate that vouches for itself, and its key.
    fn certificate(&self, name: &str, kind: &[&str]) -> [String; 2] {
        let [cert, key] = ["pem", "key"].map(|ending| self.path(&format!("{name}.{ending}")));
        let mut openssl = Command::new("/usr/bin/openssl");
        openssl.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=barelane", "-newkey"]);
        openssl.args(kind).args(["-addext", "subjectAltName=IP:127.0.0.1,IP:10.9.0.3"]);
        let made = openssl.args(["-keyout", &key, "-out", &cert]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        [cert, key]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const EC: [&str; 3] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn tls([cert, key]: &[String; 2]) -> [&str; 6] {
    ["--tier", "lane", "--admin-tls-cert", cert, "--admin-tls-key", key]
}

/// What curl says on the server's host.
fn curl(topology: &Topology, arguments: &[&str]) -> Ended {
    let mut command = Command::new("/usr/bin/curl");
    command.args(["--silent", "--show-error", "--max-time", "20"]).args(arguments);
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(topology.server.run(|| command.spawn()).unwrap().expect("`cargo xtask test` installs it"))
}

#[test]
#[ignore = "needs root: a network namespace; curl and openssl"]
fn curl_is_answered_by_tls_with_a_certificate_of_openssl_and_by_nothing_less() {
    let (topology, files) = (hosts(), Files::new("curl"));
    for (name, kind) in [("ec", &EC[..]), ("rsa", &["rsa:2048"]), ("ed25519", &["ed25519"])] {
        let certificate = files.certificate(name, kind);
        let server = Server::alone_with(&topology, &tls(&certificate));
        let metrics = format!("{LOOPBACK}/metrics");
        for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
            let ended = curl(&topology, &[&["--cacert", &certificate[0], &metrics], version].concat());
            assert_eq!(ended.status.code(), Some(0), "{name} {version:?}: {}", ended.said);
            assert!(ended.said.contains("barelane_up 1"), "{}", ended.said);
        }
        for (arguments, wanted, why) in [
            (&[&metrics as &str][..], 60, "nobody vouches for it"),
            (
                &[
                    "--cacert",
                    &certificate[0],
                    "--ciphers",
                    "DEFAULT@SECLEVEL=0",
                    "--tls-max",
                    "1.1",
                    &metrics,
                ],
                35,
                "an old version",
            ),
            (&["http://127.0.0.1:9464/metrics"], 52, "no TLS at all"),
        ] {
            let ended = curl(&topology, arguments);
            let code = ended.status.code().unwrap();
            // curl says of a line that is cut that nothing came (52), or that it was (56).
            assert!(code == wanted || (wanted == 52 && code != 0), "{name}, {why}: {code}: {}", ended.said);
            assert!(!ended.said.contains("barelane_up"), "{name}, {why}: {}", ended.said);
        }
        let (status, said) = server.end("TERM");
        assert_eq!(status.code(), Some(0), "{said:#?}");
    }
}

#[test]
#[ignore = "needs root: a network namespace; curl and openssl"]
fn curl_of_another_host_shows_the_token_by_tls_with_openssl() {
    let (topology, files) = (hosts(), Files::new("token"));
    let certificate = files.certificate("a", &EC);
    let token = files.put("token", "0123abcd\n");
    let beyond = ["--admin", "10.9.0.3:9464", "--admin-token", &token];
    let server = Server::alone_with(&topology, &[&tls(&certificate)[..], &beyond].concat());
    assert!(server.said().iter().all(|line| !line.contains("hears the token")));
    let asked = |header: &str| {
        let arguments =
            ["--silent", "--max-time", "20", "--cacert", &certificate[0], "-w", "%{http_code}", "-H", header];
        topology.client("/usr/bin/curl", &[&arguments[..], &["https://10.9.0.3:9464/readyz"]].concat()).said
    };
    assert!(asked("A: b").ends_with("401"));
    assert!(asked("Authorization: Bearer 0123abcd").ends_with("200"));
    drop(server);
    let open = Server::alone_with(&topology, &[&["--tier", "lane"][..], &beyond].concat());
    drop(open);
    let mut check = Command::new(env!("CARGO_BIN_EXE_barelane"));
    check.args(["check", "--nic", "lane0"]).args(beyond);
    let told = topology.server.run(|| check.output()).unwrap().unwrap();
    let told = [told.stdout, told.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(told.contains("at 10.9.0.3:9464 whoever can listen on the way hears the token"), "{told}");
}

#[test]
#[ignore = "needs root: a network namespace; curl and openssl"]
fn curl_is_answered_behind_those_who_shake_hands_slowly_or_wrongly_with_openssl() {
    let (topology, files) = (hosts(), Files::new("slow"));
    let certificate = files.certificate("a", &EC);
    let server = Server::alone_with(&topology, &tls(&certificate));
    let address: SocketAddr = "127.0.0.1:9464".parse().unwrap();
    // Those that say nothing, those that begin a hello and never end it, and those that speak of something else: more than have a place.
    let begun = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let slow: Vec<TcpStream> = (0..60)
        .map(|number| {
            let mut stream = topology.server.run(|| TcpStream::connect(address)).unwrap().unwrap();
            let said: &[u8] = [&b""[..], begun, b"GET / HTTP/1.1\r\n\r\n"][number % 3];
            stream.write_all(said).unwrap();
            stream
        })
        .collect();
    ask(&topology, 200);
    let ended = curl(&topology, &["--cacert", &certificate[0], &format!("{LOOPBACK}/readyz")]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    drop(slow);
    ask(&topology, 200);
    assert_eq!(server.counts()["replied_udp"], 400);
}

#[test]
#[ignore = "needs root: a network namespace; curl and openssl"]
fn curl_is_shown_another_certificate_of_openssl_after_a_reload_and_the_old_one_where_that_is_refused() {
    let (topology, files) = (hosts(), Files::new("renewed"));
    let (certificate, next) = (files.certificate("a", &EC), files.certificate("b", &EC));
    let server = Server::alone_with(&topology, &tls(&certificate));
    let process = server.id().to_string();
    let reload = || assert!(Command::new("kill").args(["-s", "HUP", &process]).status().unwrap().success());
    let address = format!("{LOOPBACK}/metrics");
    let is_shown = |cert: &str| curl(&topology, &["--cacert", cert, &address]).status.success();
    let old = files.path("old.pem");
    fs::copy(&certificate[0], &old).unwrap();
    fs::copy(&next[0], &certificate[0]).unwrap();
    reload();
    let said = server.line("barelane: error:", RENEWED_MAX);
    assert!(
        said.contains("--admin-tls-key) = ") && said.contains("not the key of the certificate"),
        "{said}"
    );
    assert!(is_shown(&old) && !is_shown(&next[0]));
    fs::copy(&next[1], &certificate[1]).unwrap();
    reload();
    server.line("barelane: reloaded", RENEWED_MAX);
    let deadline = Instant::now() + RENEWED_MAX;
    while !is_shown(&next[0]) {
        assert!(Instant::now() < deadline, "the old one is still shown");
    }
    assert!(!is_shown(&old));
    ask(&topology, 10);
}

#[test]
#[ignore = "needs root: a network namespace; and openssl"]
fn files_of_openssl_that_do_not_belong_together_or_are_none_are_refused_by_name_with_their_remedy() {
    let (topology, files) = (hosts(), Files::new("refused"));
    let ([cert, key], [_, other]) = (files.certificate("a", &EC), files.certificate("b", &EC));
    let nonsense = files.put("nonsense", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    let (empty, long) = (files.put("empty", ""), files.put("long", &"a".repeat(70_000)));
    let both = files.put("both.key", &fs::read_to_string(&key).unwrap());
    let open = files.put("open.key", &fs::read_to_string(&key).unwrap());
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let nowhere = files.path("nowhere");
    let directory = files.path(".");
    let secret = fs::read_to_string(&key).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let cases = [
        (&cert, &other, "key", &other, "it is not the key of the certificate in"),
        (&nowhere, &key, "cert", &nowhere, "No such file or directory"),
        (&cert, &nowhere, "key", &nowhere, "No such file or directory"),
        (&directory, &key, "cert", &directory, "it is no file"),
        (
            &empty,
            &key,
            "cert",
            &empty,
            "there is no certificate in it; name a file with the server's certificate in PEM",
        ),
        (&key, &both, "cert", &key, "there is no certificate in it"),
        (&nonsense, &key, "cert", &nonsense, "it is damaged"),
        (&long, &key, "cert", &long, "longer than 65536 bytes"),
        (&cert, &empty, "key", &empty, "it is empty"),
        (&cert, &long, "key", &long, "longer than 16384 bytes"),
        (&cert, &nonsense, "key", &nonsense, "openssl pkey -in FILE writes it so"),
        (&cert, &open, "key", &open, "others may use it (mode 644); chmod 600"),
    ];
    for (cert, key, setting, value, wanted) in cases {
        let wanted = [
            format!("serve.admin_tls_{setting}_file (--admin-tls-{setting}) = \"{value}\": "),
            wanted.to_owned(),
        ];
        refused(&topology, &["--admin-tls-cert", cert, "--admin-tls-key", key], &wanted, secret);
    }
    for (one, path, other) in [("cert", &cert, "key"), ("key", &key, "cert")] {
        let setting = format!("serve.admin_tls_{one}_file (--admin-tls-{one}) = \"{path}\": ");
        let remedy = format!("name both: serve.admin_tls_{other}_file (--admin-tls-{other}) too");
        refused(&topology, &[&format!("--admin-tls-{one}"), path], &[setting, remedy], secret);
    }
}

/// Demands one line with this in it, exit code 2, and nothing of a key.
fn refused(topology: &Topology, arguments: &[&str], wanted: &[String], secret: &str) {
    let (mut child, lines) = spawn(topology, arguments);
    let lines: Vec<String> = lines.iter().collect();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{arguments:?}: {lines:#?}");
    let [line] = lines.as_slice() else { panic!("{arguments:?}: {lines:#?}") };
    assert!(wanted.iter().all(|words| line.contains(words.as_str())), "{wanted:?}: {line}");
    assert!(!line.contains(secret) && !line.contains("BEGIN"), "{line}");
}
