//! Is what happens to a server told as events that programs can read, and does nobody wait who tells them?

use std::io::{PipeReader, Read, Write, pipe};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use barelane::side_channel::{Reader, Snapshot, running};
use serde_json::Value;

use crate::card::flood_while_stopped;
use crate::reload::{File, hang_up};
use crate::server::Server;
use crate::side_channel::{ask, when};
use crate::topology::{SERVER, SERVER_NIC, Topology, finish, ip};

/// How long an event may take on two busy cores.
const TOLD_MAX: Duration = Duration::from_secs(20);

const DOCUMENT: &str = include_str!("../../../../docs/events.md");

/// A server that tells events as JSON, and what it has told so far.
struct Teller {
    server: Server,
    told: Vec<Value>,
}

impl Teller {
    /// Starts one, and hears it until it is ready.
    fn start(topology: &Topology, arguments: &[&str]) -> Self {
        let json = ["--log-format", "json"];
        let server = Server::spawned(topology, &[arguments, &json].concat());
        let mut teller = Self { server, told: Vec::new() };
        teller.hear("ready", |_| true);
        teller
    }

    /// The first event of this name from now on of which this is so.
    fn hear(&mut self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + TOLD_MAX;
        while let Some(line) = self.server.next_line(deadline.saturating_duration_since(Instant::now())) {
            let event = read(&line);
            self.told.push(event.clone());
            if event["event"] == name && is_wanted(&event) {
                return event;
            }
        }
        panic!("no event {name} within {TOLD_MAX:?}, but: {:#?}", self.told);
    }

    /// Ends it, and gives all that it has told in its life.
    fn end(self) -> Vec<Value> {
        let Self { server, mut told } = self;
        let (status, rest) = server.end("TERM");
        told.extend(rest.iter().map(|line| read(line)));
        assert_eq!(status.code(), Some(0), "{told:#?}");
        told
    }
}

/// An event, of a name that is documented, with no field that is not.
fn read(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let name = event["event"].as_str().unwrap();
    let section = DOCUMENT.split("### `").find_map(|section| section.strip_prefix(name)?.strip_prefix('`'));
    let section = section.unwrap_or_else(|| panic!("{name} is not documented"));
    let common = ["timestamp", "level", "event", "message", "suppressed"];
    for (key, value) in event.as_object().unwrap() {
        let row = section.lines().find(|row| row.starts_with(&format!("| `{key}` |")));
        assert!(row.is_some() || common.contains(&key.as_str()), "{key} of {name} is not documented");
        let is_number = key == "suppressed" || row.is_some_and(|row| row.contains("| number |"));
        assert_eq!(value.is_u64(), is_number, "{key} of {line}");
    }
    event
}

fn named<'a>(told: &'a [Value], name: &str) -> Vec<&'a Value> {
    told.iter().filter(|event| event["event"] == name).collect()
}

fn alone() -> Vec<String> {
    let address = format!("{}/24", SERVER[0]);
    ["--address", &address, "--respond", "udp-echo:7", "--tier", "lane"].map(ToOwned::to_owned).to_vec()
}

/// The time of day by a clock of others: of `date`, in the form of events.
fn now() -> String {
    let output = Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%S.%6NZ"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_servers_life_is_told_in_json_from_its_start_to_what_it_counted() {
    const COUNT: u64 = 100;
    let topology = Topology::new();
    let before = now();
    let options = alone();
    let mut teller = Teller::start(&topology, &options.iter().map(String::as_str).collect::<Vec<_>>());
    let names: Vec<_> = teller.told.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names[..3], ["start", "plan", "mode"], "{names:?}");
    let [start, plan, mode] = [0, 1, 2].map(|place| teller.told[place].clone());
    assert_eq!(
        (&start["nic"], start["process_id"].as_u64()),
        (&SERVER_NIC.into(), Some(teller.server.id().into()))
    );
    assert_eq!((plan["driver"].as_str(), plan["lane_count"].as_u64()), (Some("veth"), Some(1)));
    assert_eq!((mode["mode"].as_str(), mode["is_zero_copy"].as_bool()), (Some("native"), Some(false)));
    ask(&topology, COUNT);
    hang_up(&teller.server);
    let reload = teller.hear("reload", |_| true);
    assert_eq!((reload["address_count"].as_u64(), reload["tier"].as_str()), (Some(1), Some("lane")));
    ip(&topology.server, &["link", "set", SERVER_NIC, "down"]);
    let link = teller.hear("link", |_| true);
    assert_eq!((link["is_running"].as_bool(), link["nic"].as_str()), (Some(false), Some(SERVER_NIC)));
    ip(&topology.server, &["link", "set", SERVER_NIC, "up"]);
    teller.hear("link", |link| link["is_running"] == true);
    let told = teller.end();
    let stop = told.last().unwrap();
    assert_eq!(stop["event"], "stop", "{told:#?}");
    let count = |key: &str| stop[key].as_u64().unwrap();
    assert!(count("replied_count") >= COUNT, "{stop}");
    let fates = count("replied_count") + count("passed_count") + count("dropped_count");
    assert_eq!(count("received_count"), fates);
    // Written alike, so that their order as texts is that of time.
    let times: Vec<&str> = told.iter().map(|event| event["timestamp"].as_str().unwrap()).collect();
    let after = now();
    assert!(
        times.is_sorted() && *before <= *times[0] && *times[times.len() - 1] <= *after,
        "{before} {times:?} {after}"
    );
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_stall_a_loss_and_a_limit_are_told_when_they_come_and_the_latter_two_once() {
    let topology = Topology::new();
    let file = File::new("events");
    file.set(&format!(
        "[serve]\naddresses = [\"{}/24\"]\nrespond = [\"udp-echo:7\"]\ntier = \"lane\"\n[[route]]\n\
         respond = \"udp-echo:8\"\nanswers_per_second = 10\n",
        SERVER[0]
    ));
    let mut teller = Teller::start(&topology, &["--config", file.path()]);
    ask(&topology, 10);
    let stopped_unix_ns =
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let began = Instant::now();
    flood_while_stopped(&topology, &teller.server);
    let lasted_ns = u64::try_from(began.elapsed().as_nanos()).unwrap();
    // It may have stalled before, too, for others had its core.
    let is_ours = |stall: &Value| {
        stall["began_unix_ns"].as_u64().unwrap() + stall["length_ns"].as_u64().unwrap() > stopped_unix_ns
    };
    let stall = teller.hear("stall", is_ours);
    let length_ns = stall["length_ns"].as_u64().unwrap();
    assert!(length_ns >= 10_000_000 && length_ns < 2 * lasted_ns, "{stall}, of {lasted_ns} ns");
    assert!(stall["lane"] == 0 && !stall["cause"].as_str().unwrap().is_empty(), "{stall}");
    let is_drop = |loss: &Value| loss["counter"] == "rx_queue_0_drops";
    let loss = teller.hear("loss", is_drop);
    assert_eq!((&loss["counted_by"], &loss["queue"]), (&"driver".into(), &"0".into()));
    assert!(loss["count"].as_u64() > Some(0), "{loss}");
    let socket = topology.socket(SERVER[0], 8);
    (0..100).for_each(|_| _ = socket.send(b"limited").unwrap());
    let limit = teller.hear("limit_hit", |_| true);
    assert_eq!((&limit["limit"], &limit["tier"]), (&"route_limited".into(), &"lane".into()));
    assert!(limit["dropped_count"].as_u64() > Some(0), "{limit}");
    (0..100).for_each(|_| _ = socket.send(b"limited").unwrap());
    flood_while_stopped(&topology, &teller.server);
    let told = teller.end();
    assert_eq!(named(&told, "limit_hit").len(), 1, "{told:#?}");
    assert_eq!(named(&told, "loss").into_iter().filter(|loss| is_drop(loss)).count(), 1, "{told:#?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_reload_that_is_refused_and_an_interface_that_goes_and_comes_are_told_with_their_reasons() {
    let topology = Topology::new();
    let file = File::new("events-refused");
    file.set("[serve]\nrespond = [\"icmp-echo\"]\n");
    let mut teller = Teller::start(&topology, &["--config", file.path()]);
    file.set("[log]\nlevel = \"error\"\n");
    hang_up(&teller.server);
    let refused = teller.hear("reload_refused", |_| true);
    assert!(
        refused["reason"].as_str().unwrap().starts_with("log.level (--log-level) = \"error\""),
        "{refused}"
    );
    assert_eq!((refused["is_unchanged"].as_bool(), &refused["level"]), (Some(true), &"ERROR".into()));
    ip(&topology.server, &["link", "delete", SERVER_NIC]);
    let gone = teller.hear("interface_gone", |_| true);
    assert_eq!((&gone["level"], &gone["nic"]), (&"WARN".into(), &SERVER_NIC.into()));
    topology.lay(1, [2, 0, 0, 1, 9, 1]);
    let back = teller.hear("interface_back", |_| true);
    assert_eq!((&back["nic"], back["is_zero_copy"].as_bool()), (&SERVER_NIC.into(), Some(false)));
    assert!(back["absent_ns"].as_u64() > Some(0), "{back}");
    ip(&topology.server, &["link", "set", SERVER_NIC, "address", "02:00:00:00:00:77"]);
    let failed = teller.hear("failed", |_| true);
    assert_eq!(failed["exit_code"].as_u64(), Some(1));
    assert!(failed["message"].as_str().unwrap().starts_with("lane0 has the Ethernet address"), "{failed}");
    let (status, _) = teller.server.wait_for_end("its interface got another Ethernet address");
    assert_eq!(status.code(), Some(1));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_is_refused_at_the_start_is_one_line_in_the_form_that_was_asked_for_where_that_is_known() {
    let topology = Topology::new();
    let refused = |more: &[&str]| {
        let server = Server::of(&topology, &[&["serve", "--log-format", "json"], more].concat());
        let (status, said) = server.wait_for_end("it was refused");
        assert_eq!((status.code(), said.len()), (Some(2), 1), "{said:#?}");
        said[0].clone()
    };
    let failed = read(&refused(&["--nic", "nowhere"]));
    assert_eq!((&failed["event"], failed["exit_code"].as_u64()), (&"failed".into(), Some(2)));
    assert!(failed["message"].as_str().unwrap().contains("nic.interface (--nic) = \"nowhere\""), "{failed}");
    let text = refused(&["--nic", SERVER_NIC, "--log-level", "loud"]);
    assert!(
        text.starts_with("barelane: error: log.level (--log-level) = \"loud\": no such choice"),
        "{text}"
    );
}

/// Of text below a level nothing is said, and a level leaves the others alone.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_level_leaves_out_what_is_below_it() {
    let topology = Topology::new();
    let options = alone();
    let options: Vec<&str> = options.iter().map(String::as_str).chain(["--log-level", "error"]).collect();
    let server = Server::spawned(&topology, &options);
    let deadline = Instant::now() + TOLD_MAX;
    while side_channel_of(server.id()).is_none() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
    ask(&topology, 1);
    let (status, said) = server.end("TERM");
    assert_eq!((status.code(), said), (Some(0), Vec::new()));
}

fn side_channel_of(process: u32) -> Option<Reader> {
    let readers = running().0.into_iter().filter_map(|path| Reader::open(&path).ok());
    readers.into_iter().find(|reader| reader.process == u64::from(process))
}

/// A server whose standard error is a pipe that is full and that nobody reads. Killed when dropped.
struct Unheard {
    child: Child,
    pipe: PipeReader,
    reader: Reader,
}

impl Unheard {
    fn start(topology: &Topology, file: &File) -> Self {
        let (pipe, mut writer) = pipe().unwrap();
        let size = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap();
        // Whole pages of it do not block, and one byte more would.
        writer.write_all(&vec![b'.'; usize::try_from(size).unwrap()]).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
        command.args(["serve", "--nic", SERVER_NIC, "--config", file.path(), "--log-format", "json"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
        let child = topology.server.run(|| command.spawn()).unwrap().unwrap();
        // The command has the pipe's other end too, and a pipe ends with the last of them.
        drop(command);
        let deadline = Instant::now() + TOLD_MAX;
        let reader = loop {
            if let Some(reader) = side_channel_of(child.id()) {
                break reader;
            }
            assert!(Instant::now() < deadline, "it has no segment");
            thread::sleep(Duration::from_millis(5));
        };
        Self { child, pipe, reader }
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// Waits for its end, and gives its code.
    fn code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + TOLD_MAX;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lost(snapshot: &Snapshot) -> u64 {
    snapshot.of_kind("server").next().unwrap().number("log_lost").unwrap()
}

fn tables_taken(snapshot: &Snapshot) -> u64 {
    snapshot.of_kind("lane").next().unwrap().number("tables_taken").unwrap()
}

fn configuration() -> String {
    format!(
        "[serve]\naddresses = [\"{}/24\"]\nrespond = [\"udp-echo:7\"]\ntier = \"lane\"\naddress_check_ms = 0\n",
        SERVER[0]
    )
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_full_pipe_that_nobody_reads_holds_up_neither_answers_nor_housekeeping_nor_the_end() {
    let topology = Topology::new();
    let file = File::new("events-unheard");
    file.set(&configuration());
    let mut server = Unheard::start(&topology, &file);
    ask(&topology, 100);
    // More lines than are kept for a reader who comes back: each reload is told of.
    let deadline = Instant::now() + Duration::from_mins(2);
    while lost(&server.reader.read().unwrap()) < 10 {
        let before = tables_taken(&server.reader.read().unwrap());
        server.signal("HUP");
        when(&server.reader, |snapshot| tables_taken(snapshot) > before);
        assert!(Instant::now() < deadline);
    }
    // Housekeeping still follows what happens, and lanes answer.
    ask(&topology, 100);
    let replied =
        |snapshot: &Snapshot| snapshot.of_kind("lane").next().unwrap().number("replied_udp") >= Some(200);
    when(&server.reader, replied);
    server.signal("TERM");
    assert_eq!(server.code(), Some(0), "and it ends as it is told to");
    let mut text = String::new();
    server.pipe.read_to_string(&mut text).unwrap();
    assert!(text.trim_start_matches('.').is_empty(), "nobody read, so nothing came: {text}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_reader_who_comes_back_gets_what_was_kept_and_hears_how_much_was_lost() {
    let topology = Topology::new();
    let file = File::new("events-late");
    file.set(&configuration());
    let mut server = Unheard::start(&topology, &file);
    let deadline = Instant::now() + Duration::from_mins(2);
    while lost(&server.reader.read().unwrap()) < 3 {
        let before = tables_taken(&server.reader.read().unwrap());
        server.signal("HUP");
        when(&server.reader, |snapshot| tables_taken(snapshot) > before);
        assert!(Instant::now() < deadline);
    }
    let mut pipe = server.pipe.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    });
    let lost_count = lost(&server.reader.read().unwrap());
    // What it says of it comes when all that was kept has been read, within some looks of housekeeping.
    thread::sleep(Duration::from_millis(500));
    server.signal("TERM");
    assert_eq!(server.code(), Some(0));
    let text = reading.join().unwrap();
    let told: Vec<Value> = text.trim_start_matches('.').lines().map(read).collect();
    let named_lost = named(&told, "log_lost");
    assert_eq!(named_lost.len(), 1, "{text}");
    assert!(named_lost[0]["lost_count"].as_u64() >= Some(lost_count), "{text}");
    assert_eq!((&told[0]["event"], &told[told.len() - 1]["event"]), (&"start".into(), &"stop".into()));
}

/// Over shared memory, who comes and goes is told.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_peer_in_shared_memory_is_told_of_when_it_comes_and_when_it_goes() {
    let topology = Topology::new();
    let socket = format!("@barelane-events-{}", std::process::id());
    let options = ["--mac", "02:00:00:00:09:07", "--address", "10.9.0.1/24", "--respond", "udp-echo:7"];
    let arguments = [&["serve", "--memif", &socket, "--log-format", "json"], &options[..]].concat();
    let server = Server::of(&topology, &arguments);
    let mut teller = Teller { server, told: Vec::new() };
    teller.hear("ready", |_| true);
    let memif = format!("{socket},role=client");
    let asked = ["probe", "10.9.0.1", "--memif", &memif, "--address", "10.9.0.2/24", "--proto", "udp:7"];
    let mut asking = Command::new(env!("CARGO_BIN_EXE_barelane"));
    asking.args(asked).args(["--count", "10"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    // On the same host: a socket without a file is one of a network namespace.
    let asking = finish(topology.server.run(|| asking.spawn()).unwrap().unwrap());
    assert_eq!(asking.status.code(), Some(0), "{}", asking.said);
    let came = teller.hear("peer_connected", |_| true);
    assert!(came["message"].as_str().unwrap().contains("is connected, 1 queue"), "{came}");
    teller.hear("peer_left", |_| true);
    teller.end();
}
