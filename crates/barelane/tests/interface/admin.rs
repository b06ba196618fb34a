//! Are metrics served to Prometheus as it wants them, do they say what `barelane top` says, and can nobody who asks badly hold
//! up a server?

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::Server;
use crate::side_channel::{ask, segment_of};
use crate::steady::wait_until_traced;
use crate::top::top;
use crate::topology::{Ended, SERVER, Topology, finish, ip};

/// How long an answer may take, on two busy cores.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// How long Prometheus may take to start and to have asked twice.
const SCRAPED_MAX: Duration = Duration::from_mins(1);

/// The default, in a namespace where nobody else has it.
const ADDRESS: &str = "127.0.0.1:9464";

/// Hosts whose loopback is up: a new network namespace's is down.
pub(crate) fn hosts() -> Topology {
    let topology = Topology::new();
    ip(&topology.server, &["link", "set", "lo", "up"]);
    topology
}

fn connect(topology: &Topology, address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().unwrap();
    let stream = topology.server.run(|| TcpStream::connect_timeout(&address, ANSWER_MAX)).unwrap().unwrap();
    stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    stream
}

/// All that is answered to these bytes, until the other end closes.
fn exchange(topology: &Topology, address: &str, bytes: &[u8]) -> String {
    let mut stream = connect(topology, address);
    // Who is refused in the middle of what he says may be cut off while he says it.
    let _cut_off = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _cut_off = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn get(topology: &Topology, path: &str, header: &str) -> String {
    exchange(topology, ADDRESS, format!("GET {path} HTTP/1.1\r\nHost: {ADDRESS}\r\n{header}\r\n").as_bytes())
}

pub(crate) fn body(answer: &str) -> &str {
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1
}

/// The value of a sample.
pub(crate) fn sample(page: &str, name: &str) -> f64 {
    let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

/// Waits until the page says this.
pub(crate) fn page_when(topology: &Topology, name: &str, value: f64) -> String {
    let deadline = Instant::now() + ANSWER_MAX;
    loop {
        let answer = get(topology, "/metrics", "");
        if (sample(body(&answer), name) - value).abs() < f64::EPSILON {
            return body(&answer).to_owned();
        }
        assert!(Instant::now() < deadline, "{name} is never {value}: {answer}");
        thread::sleep(Duration::from_millis(20));
    }
}

const REPLIED_UDP: &str =
    "barelane_lane_frames_total{lane=\"0\",fate=\"replied\",counter=\"replied_udp\",stage=\"respond\"}";

#[test]
#[ignore = "needs root: a network namespace"]
fn metrics_say_what_was_asked_and_a_server_that_answers_is_ready_and_healthy() {
    const COUNT: u32 = 500;
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    ask(&topology, COUNT.into());
    let page = page_when(&topology, REPLIED_UDP, COUNT.into());
    assert!((sample(&page, "barelane_up") - 1.0).abs() < f64::EPSILON, "{page}");
    assert!(
        page.contains("barelane_info{version=\"") && page.contains("nic=\"lane0\",driver=\"veth\""),
        "{page}"
    );
    let count = "barelane_lane_residence_seconds_count{lane=\"0\",answer=\"udp\"}";
    assert!((sample(&page, count) - f64::from(COUNT)).abs() < f64::EPSILON, "{page}");
    for path in ["/readyz", "/healthz"] {
        let said = get(&topology, path, "");
        assert!(body(&said).contains("good lanes-turn: all 1 of them"), "{said}");
        assert_eq!(body(&said).contains("good program-attached: number "), path == "/healthz", "{said}");
    }
    let open = get(&topology, "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0"), "{open}");
    assert!(body(&open).ends_with("# EOF\n"), "{open}");
    let (status, said) = server.end("TERM");
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn promtool_of_prometheus_finds_nothing_to_say_about_the_page() {
    let topology = hosts();
    let _server = Server::alone_with(&topology, &["--tier", "lane"]);
    ask(&topology, 10);
    let page = page_when(&topology, REPLIED_UDP, 10.0);
    check_by_promtool(&page);
}

/// Demands that promtool finds nothing wrong with a page.
pub(crate) fn check_by_promtool(page: &str) {
    let mut promtool = Command::new("/usr/bin/promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("`cargo xtask test` installs it");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let Ended { status, said } = finish(promtool);
    assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{page}");
}

/// A server in shared memory, whose lane sleeps where nothing comes, and so publishes seldom.
#[test]
#[ignore = "needs root: a network namespace"]
fn promtool_of_prometheus_reads_memif_too_and_a_lane_that_sleeps_is_ready() {
    let topology = hosts();
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args([
        "serve",
        "--memif",
        "@admin,idle=sleep",
        "--mac",
        "02:00:00:00:09:01",
        "--address",
        "10.9.0.1/24",
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Ends(topology.server.run(|| command.spawn()).unwrap().unwrap());
    let deadline = Instant::now() + ANSWER_MAX;
    let address: SocketAddr = ADDRESS.parse().unwrap();
    while topology.server.run(|| TcpStream::connect(address)).unwrap().is_err() {
        assert!(Instant::now() < deadline, "nobody listens");
        thread::sleep(Duration::from_millis(20));
    }
    for path in ["/readyz", "/healthz"] {
        let said = get(&topology, path, "");
        assert!(body(&said).contains("good lanes-turn") && !said.contains("program"), "{said}");
        assert_eq!(said.contains("skip questions: not asked: over memif"), path == "/healthz", "{said}");
    }
    let page = page_when(&topology, "barelane_memif_peers_total{event=\"connected\"}", 0.0);
    assert!(sample(&page, "barelane_queue_kicks_total{queue=\"0\"}").abs() < f64::EPSILON);
    check_by_promtool(&page);
}

/// One thread alone, held still by a tracer as long as that runs.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_lane_that_stands_still_is_not_ready_and_is_again_when_it_goes_on() {
    const HOLD: &str = "import ctypes,sys\nptrace=ctypes.CDLL(None,use_errno=True).ptrace\nthread=int(sys.argv[1])\n\
                        seize,interrupt=0x4206,0x4207\n\
                        assert ptrace(seize,thread,None,None)==0 and ptrace(interrupt,thread,None,None)==0\n\
                        print('held',flush=True)\nsys.stdin.read()";
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let mut python = Command::new("python3");
    python.args(["-c", HOLD, &server.lanes()[0].to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = Ends(python.spawn().unwrap());
    let mut said = [0; 5];
    python.0.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    // Its last turns are published a moment after it was held.
    let deadline = Instant::now() + ANSWER_MAX;
    while get(&topology, "/readyz", "").starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "ready, and held");
    }
    for path in ["/readyz", "/healthz"] {
        let said = get(&topology, path, "");
        assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
        assert!(
            said.contains("good segment-fresh") && said.contains("bad  lanes-turn: lane 0 has not"),
            "{said}"
        );
    }
    assert!(body(&get(&topology, "/metrics", "")).contains("barelane_up 1\n"), "housekeeping goes on");
    drop(python);
    assert!(body(&get(&topology, "/readyz", "")).contains("good lanes-turn"));
    ask(&topology, 10);
}

/// Memory that is given back makes the kernel interrupt every core on which the process runs, lanes' cores too.
#[test]
#[ignore = "needs root: a network namespace"]
fn under_strace_answers_give_no_memory_back() {
    const ANSWERS: usize = 60;
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let thread = server.threads("admin")[0].to_string();
    let paths = ["/metrics", "/page.json", "/"];
    let ask_often = || (0..ANSWERS).for_each(|number| drop(get(&topology, paths[number % 3], "")));
    ask_often();
    let mut strace = Command::new("strace");
    strace
        .args(["-e", "trace=munmap,madvise,brk,accept4", "-p", &thread])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let strace = strace.spawn().unwrap();
    wait_until_traced(&thread);
    ask_often();
    assert!(Command::new("kill").args(["-s", "INT", &strace.id().to_string()]).status().unwrap().success());
    let said = finish(strace).said;
    let calls = |name: &str| said.matches(name).count();
    assert!(
        calls("accept4(") >= ANSWERS && calls("munmap(") + calls("madvise(") + calls("brk(") == 0,
        "{said}"
    );
}

/// Prometheus on the server's host, in a directory of its own. Ended by SIGKILL when dropped.
pub(crate) struct Prometheus {
    child: Child,
    directory: PathBuf,
}

/// Where Prometheus answers, in the same namespace.
const PROMETHEUS: &str = "127.0.0.1:9090";

impl Prometheus {
    pub(crate) fn start(topology: &Topology) -> Self {
        let directory = std::env::temp_dir().join(format!("barelane-prometheus-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let config = directory.join("prometheus.yml");
        let text = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n  - job_name: barelane\n    \
             static_configs:\n      - targets: [\"{ADDRESS}\"]\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("/usr/bin/prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
        command.arg(format!("--web.listen-address={PROMETHEUS}"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("log")).unwrap());
        let child = topology.server.run(|| command.spawn()).unwrap().expect("`cargo xtask test` installs it");
        Self { child, directory }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// The one value of a query, once there is one that is so.
    pub(crate) fn value(&self, topology: &Topology, query: &str, is_so: impl Fn(f64) -> bool) -> f64 {
        let deadline = Instant::now() + SCRAPED_MAX;
        let query: String = query.bytes().map(percent_encoded).collect();
        let request = format!("GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n");
        let mut said = String::new();
        while Instant::now() < deadline {
            thread::sleep(Duration::from_millis(100));
            let address: SocketAddr = PROMETHEUS.parse().unwrap();
            let Ok(stream) = topology.server.run(|| TcpStream::connect(address)).unwrap() else { continue };
            drop(stream);
            said = exchange(topology, PROMETHEUS, request.as_bytes());
            let Some((_, body)) = said.split_once("\r\n\r\n") else { continue };
            let Ok(answer) = serde_json::from_str::<Value>(body) else { continue };
            let found = answer["data"]["result"].as_array().map_or(&[][..], Vec::as_slice);
            assert!(found.len() < 2, "{said}");
            let value = found.first().and_then(|one| one["value"][1].as_str()?.parse().ok());
            if let Some(value) = value.filter(|value| is_so(*value)) {
                return value;
            }
        }
        panic!("{query}: {said}\n{}", self.log());
    }
}

/// A byte as it may stand in a query, whatever it is.
fn percent_encoded(byte: u8) -> String {
    format!("%{byte:02x}")
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn prometheus_knows_what_top_knows() {
    const COUNT: u32 = 5_000;
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    ask(&topology, COUNT.into());
    let prometheus = Prometheus::start(&topology);
    let replied = "sum(barelane_lane_frames_total{counter=\"replied_udp\"})";
    let value = prometheus.value(&topology, replied, |value| value >= f64::from(COUNT));
    assert!((value - f64::from(COUNT)).abs() < f64::EPSILON, "{value}");
    assert!((prometheus.value(&topology, "up", |up| up > 0.0) - 1.0).abs() < f64::EPSILON);
    let law = "sum(barelane_lane_frames_total) - sum(barelane_lane_received_frames_total)";
    assert!(prometheus.value(&topology, law, |_| true).abs() < f64::EPSILON, "every frame has one fate");
    // Of UDP alone: no packet of the kernels' own comes between the two.
    let quantile =
        "histogram_quantile(0.99, sum by (le) (barelane_lane_residence_seconds_bucket{answer=\"udp\"}))";
    let theirs = prometheus.value(&topology, quantile, |value| value > 0.0) * 1e9;
    let segment = segment_of(&server);
    let ended = top(&["--json", "--interval", "0.2", "--segment", segment.to_str().unwrap()]);
    let document: Value = serde_json::from_str(&ended.said).unwrap();
    let answers = document["servers"][0]["answers"].as_array().unwrap();
    let udp = answers.iter().find(|answer| answer["name"] == "udp").unwrap();
    let ours = f64::from(u32::try_from(udp["residence"]["p99_ns"].as_u64().unwrap()).unwrap());
    // Both stand between the same two powers of two, or one of them at the border of the next.
    assert!(ours / 2.0 <= theirs && theirs <= ours * 2.0, "top says {ours} ns, Prometheus {theirs} ns");
    drop(server);
    prometheus.value(&topology, "up", |up| up < 1.0);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn who_asks_slowly_too_much_or_nonsense_is_cut_off_and_nobody_else_waits_for_it() {
    const COUNT: u64 = 500;
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    // One that says nothing, one that never ends a header, one that asks and does not read: more of them than have a place.
    let mut slow: Vec<TcpStream> = (0..40).map(|_| connect(&topology, ADDRESS)).collect();
    for (number, stream) in slow.iter_mut().enumerate().skip(1) {
        let said: &[u8] = if number % 2 == 0 {
            b"GET /metrics HTTP/1.1\r\nHost: "
        } else {
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
        };
        stream.write_all(said).unwrap();
    }
    ask(&topology, COUNT);
    // Behind them all, and in time all the same, since they lose their places.
    assert!(get(&topology, "/metrics", "").starts_with("HTTP/1.1 200 "));
    drop(slow);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1_000));
    for (bytes, wanted) in [
        (long.as_bytes(), ["414", "431"]),
        (many.as_bytes(), ["431", "431"]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ["400", "400"]),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", ["405", "405"]),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", ["404", "404"]),
    ] {
        let answer = exchange(&topology, ADDRESS, bytes);
        // Where it was cut off while it spoke, the kernel may have thrown the answer away with what was not read (RST).
        let is_told = wanted.iter().any(|code| answer.starts_with(&format!("HTTP/1.1 {code}")));
        assert!(is_told || (answer.is_empty() && bytes.len() > 1_000), "{wanted:?}: {answer}");
    }
    connect(&topology, ADDRESS).shutdown(Shutdown::Both).unwrap();
    ask(&topology, COUNT);
    page_when(&topology, REPLIED_UDP, 1_000.0);
    assert_eq!(server.counts()["replied_udp"], 2 * COUNT);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn the_second_server_of_a_host_says_that_it_has_no_metrics_and_starts_all_the_same() {
    let topology = hosts();
    let taken = topology.server.run(|| std::net::TcpListener::bind(ADDRESS)).unwrap().unwrap();
    let (child, lines) = crate::server::spawn(&topology, &["--address", &format!("{}/24", SERVER[0])]);
    let mut second = Ends(child);
    let lines: Vec<String> = lines.iter().take_while(|line| !line.starts_with("barelane: ready")).collect();
    let warning =
        "barelane: warning: no metrics and no health are served: 127.0.0.1:9464: Address already in use";
    let said = lines.iter().find(|line| line.starts_with(warning));
    let said = said.unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(said.ends_with("name another address with serve.admin (--admin), or off"), "{said}");
    assert!(second.0.try_wait().unwrap().is_none(), "it goes on");
    drop(taken);
}

/// A process that is ended by SIGKILL when this is dropped.
pub(crate) struct Ends(pub(crate) Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One that was named is needed: an error, and the interface as it was.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_named_address_that_cannot_be_had_and_one_without_its_token_are_refused() {
    let topology = hosts();
    let _taken = topology.server.run(|| std::net::TcpListener::bind("127.0.0.1:9500")).unwrap().unwrap();
    for (address, wanted) in [
        ("127.0.0.1:9500", "Address already in use (os error 98); name an address of this host"),
        (
            "0.0.0.0:9464",
            "others than this host could ask there, and no token is asked for; name a file with a token",
        ),
        ("10.9.0.3:9464", "and no token is asked for"),
        ("[::]:9464", "and no token is asked for"),
        ("nonsense", "not an address with a port; write ADDRESS:PORT"),
    ] {
        let (mut child, lines) = crate::server::spawn(&topology, &["--admin", address]);
        let lines: Vec<String> = lines.iter().collect();
        assert_eq!(child.wait().unwrap().code(), Some(2), "{lines:#?}");
        let beginning = format!("barelane: error: serve.admin (--admin) = \"{address}\": ");
        assert!(
            lines.len() == 1 && lines[0].starts_with(&beginning) && lines[0].contains(wanted),
            "{lines:#?}"
        );
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn beyond_this_host_the_token_opens() {
    use std::os::unix::fs::OpenOptionsExt;

    let topology = hosts();
    let file = std::env::temp_dir().join(format!("barelane-token-{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(&file).unwrap().write_all(b"0123abcd\n").unwrap();
    // An address of the server's kernel, which keeps what no route claims.
    let options = ["--admin", "10.9.0.3:9464", "--admin-token", file.to_str().unwrap()];
    let _server = Server::alone_with(&topology, &options);
    fs::remove_file(&file).unwrap();
    let asked = |header: &str| {
        let mut stream = topology.connect("10.9.0.3", 9464, ANSWER_MAX).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        stream.write_all(format!("GET /readyz HTTP/1.1\r\n{header}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for header in ["", "Authorization: Bearer 0123abce\r\n"] {
        let answer = asked(header);
        assert!(
            answer.starts_with("HTTP/1.1 401 ") && answer.contains("www-authenticate: Bearer"),
            "{answer}"
        );
    }
    let answer = asked("Authorization: Bearer 0123abcd\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
