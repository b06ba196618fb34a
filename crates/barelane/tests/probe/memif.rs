//! The probe over shared memory, to `barelane serve --memif`: two processes, and neither needs a privilege.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use barelane::side_channel::{self, Reader};

use super::*;

/// The longest wait for anything here, on busy cores.
const PATIENCE: Duration = Duration::from_mins(1);

/// Both ends spin: two pairs at once would only wait for each other's cores.
static CORES: Mutex<()> = Mutex::new(());

fn cores() -> MutexGuard<'static, ()> {
    CORES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process whose lines are heard as they come. Killed when dropped.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = barelane(arguments);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines }
    }

    /// Serves everything on both families.
    fn serve(socket: &str, mac: &str) -> Self {
        let services = ["icmp-echo", "udp-echo:7", "stamp", "sockperf:11111"].map(|name| ["--respond", name]);
        let addresses = ["--address", "10.9.0.1/24", "--address", "fd09::1/64"];
        let options = ["serve", "--memif", socket, "--mac", mac];
        let server = Self::start(&[&options[..], &addresses, services.as_flattened()].concat());
        server.line("barelane: ready");
        server
    }

    /// The first line from now on with `words` in it.
    fn line(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(words) {
                return line;
            }
            said.push(line);
        }
        panic!("no line with {words:?}, but: {said:#?}");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGINT, and the code that it ends with.
    fn interrupt(&mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &process]).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().unwrap() {
                Some(ended) => return ended.code(),
                None => assert!(Instant::now() < deadline, "it goes on"),
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket of a test's own, which is no file.
fn socket(test: &str) -> String {
    format!("@barelane-probe-{test}-{}", std::process::id())
}

const MAC: &str = "02:00:00:00:09:01";

fn refusal(arguments: &[&str]) -> String {
    let ended = barelane(&[&["probe"], arguments].concat()).output().unwrap();
    let said = text(&ended.stderr);
    assert_eq!((ended.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
    said
}

#[test]
fn every_question_of_every_protocol_and_schedule_is_answered_in_both_roles() {
    let (_cores, directory) = (cores(), Directory::new("memif"));
    let json = directory.file("probe.json");
    let v4 = ["10.9.0.1", "--address", "10.9.0.2/24"];
    let v6 = ["fd09::1", "--address", "fd09::2/64"];
    for (server, client) in [("server", "client"), ("client", "server")] {
        let socket = socket(server);
        let _server = Process::serve(&format!("{socket},role={server}"), MAC);
        let memif = if client == "client" { socket } else { format!("{socket},role=server") };
        for (addresses, options) in [
            (v4, &["--proto", "udp:7"][..]),
            (v4, &["--proto", "udp:7", "--window", "32", "--size", "1400"]),
            (v4, &["--proto", "icmp", "--rate", "1000"]),
            (v4, &["--proto", "stamp"]),
            (v4, &["--proto", "sockperf"]),
            (v4, &["--proto", "udp:7", "--next-hop", MAC, "--mac", "02:00:00:00:09:02"]),
            (v6, &["--proto", "icmp"]),
            (v6, &["--proto", "udp:7", "--repeat", "2"]),
        ] {
            let asked = ["--memif", &memif, "--count", "300", "--timeout", "60", "--json", &json];
            let ended = barelane(&[&["probe"], &addresses[..], &asked, options].concat()).output().unwrap();
            assert!(ended.status.success(), "{options:?}: {}", text(&ended.stderr));
            let report = read(&json);
            let runs = if options.contains(&"--repeat") { 2 } else { 1 };
            assert_eq!((report.sent, report.answered), (300 * runs, 300 * runs), "{options:?}: {report}");
            assert_eq!((report.corrupted, report.unmatched, report.overruns), (0, 0, Some(0)), "{report}");
            assert_eq!((report.backend.as_str(), report.wait.as_str()), ("memif", "spin"));
            assert_eq!(report.means, format!("memif {client}, 1 queue"));
            assert_eq!(report.driver.as_deref(), Some("memif"));
            assert!(report.own_error.bias.bias_samples > 0, "{report}");
        }
    }
}

#[test]
fn who_asks_from_a_random_address_is_told_which() {
    let (_cores, socket) = (cores(), socket("random"));
    // A server that sleeps is woken by what is asked.
    let _server = Process::serve(&format!("{socket},idle=sleep"), MAC);
    let asked =
        ["10.9.0.1", "--memif", &socket, "--address", "10.9.0.2/24", "--count", "1", "--timeout", "60"];
    let says = || {
        let said = text(&barelane(&[&["probe"], &asked[..]].concat()).output().unwrap().stderr);
        said.lines()
            .find_map(|line| line.strip_prefix("barelane: asking from 10.9.0.2 at ").map(str::to_owned))
    };
    let (one, other) = (says().unwrap(), says().unwrap());
    assert!(one.len() == MAC.len() && one != other, "{one}, {other}");
}

/// The segment of a server.
fn segment_of(server: &Process) -> String {
    let process = u64::from(server.child.id());
    let of_server = |path: &PathBuf| Reader::open(path).is_ok_and(|reader| reader.process == process);
    let found: Vec<_> = side_channel::running().0.into_iter().filter(of_server).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_str().unwrap().to_owned()
}

/// The frames of a capture, in their order.
fn frames_of(file: &str) -> Vec<Vec<u8>> {
    let mut reader = nic::pcap::Reader::new(fs::File::open(file).unwrap()).unwrap();
    let mut next = || reader.next(|_, frame| frame.to_vec()).unwrap();
    std::iter::from_fn(&mut next).collect()
}

#[test]
fn a_capture_has_each_question_over_memif_with_its_answer() {
    const COUNT: usize = 100;
    let (_cores, directory, socket) = (cores(), Directory::new("capture"), socket("capture"));
    let server = Process::serve(&socket, MAC);
    let (file, segment, count) = (directory.file("memif.pcapng"), segment_of(&server), COUNT.to_string());
    let options = ["--write", &file, "--filter", "udp port 7", "--count", &count];
    let mut capture = Process::start(&[&["capture"], &options[..], &[&segment]].concat());
    capture.line("capturing on");
    let address = ["10.9.0.1", "--memif", &socket, "--address", "10.9.0.2/24"];
    let asked = ["--proto", "udp:7", "--count", &count, "--timeout", "60"];
    assert!(barelane(&[&["probe"], &address[..], &asked].concat()).output().unwrap().status.success());
    let said = capture.line("questions and");
    assert!(said.contains(&format!("{COUNT} questions and {COUNT} answers")), "{said}");
    assert!(capture.child.wait().unwrap().success());
    let frames = frames_of(&file);
    assert_eq!(frames.len(), 2 * COUNT);
    for exchange in frames.chunks(2) {
        let (question, answer) = (&exchange[0], &exchange[1]);
        assert_eq!([&question[..6], &question[6..12]], [&answer[6..12], &answer[..6]], "it goes back");
        assert_eq!(question[36..38], [0, 7], "to port 7");
        assert_eq!(question[42..], answer[42..], "an echo carries what was asked");
    }
}

/// How many were answered and lost, by a line of progress.
fn progress(line: &str) -> (u64, u64) {
    let number = |word: &str| {
        let (_, rest) = line.split_once(word).unwrap();
        rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    (number("answered "), number("lost "))
}

#[test]
fn what_a_server_that_dies_was_asked_is_lost_and_the_next_one_answers_again() {
    let (_cores, directory, socket) = (cores(), Directory::new("killed"), socket("killed"));
    let json = directory.file("probe.json");
    let server = Process::serve(&socket, MAC);
    let address = ["probe", "10.9.0.1", "--memif", &socket, "--address", "10.9.0.2/24"];
    let asked = ["--proto", "udp:7", "--rate", "500", "--seconds", "600", "--timeout", "0.2"];
    let mut probe = Process::start(&[&address[..], &asked, &["--progress", "--json", &json]].concat());
    probe.line("is connected");
    while progress(&probe.line(": sent ")).0 == 0 {}
    server.kill();
    probe.line("has gone");
    let (_, lost) = progress(&probe.line(": sent "));
    while progress(&probe.line(": sent ")).1 <= lost {}
    // Another one, with another Ethernet address: the probe has to ask for it.
    let _server = Process::serve(&socket, "02:00:00:00:09:07");
    probe.line("is connected");
    let (answered, _) = progress(&probe.line(": sent "));
    while progress(&probe.line(": sent ")).0 <= answered {}
    assert_eq!(probe.interrupt(), Some(0));
    let report = read(&json);
    assert_eq!(report.ended, "stopped");
    assert!(report.lost > 0 && report.sent == report.answered + report.lost + report.late, "{report}");
    assert_eq!((report.corrupted, report.overruns), (0, Some(0)), "{report}");
}

#[test]
fn a_target_that_nobody_has_is_told_after_it_was_asked_for() {
    let (_cores, socket) = (cores(), socket("silent"));
    let _server = Process::serve(&socket, MAC);
    for (target, address) in [("10.9.0.5", "10.9.0.2/24"), ("fd09::5", "fd09::2/64")] {
        let line = refusal(&[target, "--memif", &socket, "--address", address]);
        assert!(line.contains(&format!("TARGET = \"{target}\": nobody on the link")), "{line}");
        assert!(line.contains("--next-hop MAC"), "{line}");
    }
}

#[test]
fn a_socket_where_nobody_is_is_told_with_who_has_to_be_there() {
    let socket = socket("nobody");
    for (role, other) in [("client", "server"), ("server", "client")] {
        let memif = format!("{socket},role={role}");
        let line = refusal(&["10.9.0.1", "--memif", &memif, "--address", "10.9.0.2/24"]);
        assert!(
            line.contains(&format!("--memif = \"{socket}\": nobody was connected within 10 s")),
            "{line}"
        );
        assert!(line.contains(&format!("with role={other}")), "{line}");
    }
}

#[test]
fn what_shared_memory_has_not_or_only_it_has_is_refused() {
    let memif = ["--memif", "@a"];
    let address = ["--address", "10.9.0.2/24"];
    let with = |options: &[&'static str]| [&memif[..], &address, options].concat();
    let only = |options: &[&'static str]| [&memif[..], options].concat();
    for (target, options, words) in [
        ("10.9.0.1", only(&[]), &["--address = \"\"", "--address 192.0.2.2/24"][..]),
        ("10.9.0.1", only(&["--address", "10.9.0.2"]), &["--address = \"10.9.0.2\"", "/24"]),
        ("10.9.0.1", only(&["--address", "224.0.0.1/24"]), &["--address", "no station"]),
        ("10.9.0.1", with(&["--nic", "eth9"]), &["--nic = \"eth9\"", "none of this"]),
        ("10.9.0.1", with(&["--stamps", "kernel"]), &["--stamps = \"kernel\""]),
        ("10.9.0.1", with(&["--backend", "xdp"]), &["--backend = \"xdp\""]),
        ("10.9.0.1", with(&["--backend", "socket"]), &["--backend = \"socket\""]),
        ("10.9.0.1", with(&["--mac", "x"]), &["--mac = \"x\"", "not an Ethernet"]),
        ("10.9.0.1", with(&["--mac", "03:00:00:00:00:01"]), &["--mac", "no station"]),
        ("10.9.0.1", with(&["--gateway", "10.8.0.1"]), &["--gateway = \"10.8.0.1\"", "on the link"]),
        ("10.9.0.1", with(&["--gateway", "10.9.0.9", "--next-hop", MAC]), &["--gateway", "one of the two"]),
        ("10.9.0.1", with(&["--next-hop", "y"]), &["--next-hop = \"y\""]),
        ("10.9.0.1", [&["--memif", "@a,idle=sleep"], &address[..]].concat(), &["idle=sleep", "spins"]),
        ("10.9.0.1", [&["--memif", "@a,role=master"], &address[..]].concat(), &["--memif = \"role=master\""]),
        ("10.9.0.2", with(&[]), &["TARGET = \"10.9.0.2\"", "our own address"]),
        ("10.8.0.1", with(&[]), &["TARGET = \"10.8.0.1\"", "--gateway A"]),
        ("fd09::1", with(&[]), &["--address = \"10.9.0.2/24\"", "another family"]),
        ("224.0.0.1", with(&[]), &["TARGET = \"224.0.0.1\"", "no station"]),
        ("127.0.0.1", vec!["--backend", "memif"], &["--backend = \"memif\"", "--memif SOCKET"]),
        ("127.0.0.1", vec!["--mac", MAC], &["--mac = \"02:00:00:00:09:01\"", "--memif SOCKET"]),
        ("127.0.0.1", address.to_vec(), &["--address = \"10.9.0.2/24\"", "--memif SOCKET"]),
    ] {
        let line = refusal(&[&[target], &options[..]].concat());
        for word in words {
            assert!(line.contains(word), "{options:?}: `{word}` is not in\n{line}");
        }
    }
    let asked = ["10.9.0.1", "--memif", "@a", "--address", "10.9.0.2/24", "--proto", "udp:7"];
    let line = refusal(&[&asked[..], &["--size", "1999"]].concat());
    assert!(line.contains("of memif:@a, whose MTU is 2026") && line.contains("give at most 1998"), "{line}");
}
