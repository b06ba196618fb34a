//! The command line as it was typed: no file is read and nothing is judged here.
//!
//! Values stay text. They are read by the same table of keys that reads a configuration file (see
//! [`config`](crate::config)), so that a wrong value is refused with the same words wherever it came from.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "barelane", version, disable_help_subcommand = true)]
#[command(about = "A low-ping server: every packet answered from wire to wire on one pinned core")]
#[command(after_help = "Example:\n  barelane demo\n  barelane serve --nic eth1 --respond icmp-echo")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build a link between two hosts in memory and measure the kernel's path and Barelane's side by side
    #[command(after_help = "Example:\n  barelane demo --seconds 20 --json demo.json --report demo.html")]
    Demo(DemoArguments),
    /// Answer packets on an interface until SIGTERM or SIGINT; SIGHUP reads the configuration again
    #[command(
        after_help = "Example:\n  barelane serve --nic eth1 --address 192.0.2.1/24 --respond icmp-echo --respond udp-echo:7 --core 3\n  \
                            barelane serve --nic eth1 --nic eth2 --respond icmp-echo\n  \
                            barelane serve --config /etc/barelane.toml"
    )]
    Serve(ServeArguments),
    /// Print what serve would do on this host, and why; touch nothing
    #[command(after_help = "Example:\n  barelane check --config /etc/barelane.toml")]
    Check(ServeArguments),
    /// Look at what would be answered; touch nothing
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Routes(RoutesCommand),
    /// Say what of this host costs latency, and put it right and back again
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArguments),
    /// Send a capture through the same lane: no NIC, no root
    #[command(
        after_help = "Example:\n  barelane replay questions.pcap --config barelane.toml --trace --write answers.pcap"
    )]
    Replay(ReplayArguments),
    /// Ask on a schedule and measure the answers from outside
    #[command(after_help = PROBE_EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Probe(ProbeCommand),
    /// Show what the servers of this host do: lanes, answers, drops, stalls
    #[command(
        after_help = "Example:\n  barelane top\n  barelane top --nic eth1\n  barelane top --once\n  barelane top --json --interval 10"
    )]
    Top(TopArguments),
    /// Write down what the lanes of a running server see and send, as a capture file with a comment for each packet
    #[command(after_help = CAPTURE_EXAMPLES)]
    Capture(CaptureArguments),
}

const CAPTURE_EXAMPLES: &str = "\
Example:
  barelane capture --write echo.pcapng --filter 'udp port 7' --count 1000
      a thousand questions with their answers; each comment says verdict, reason, responder and route
  barelane capture --write all.pcapng --seconds 10 --sample 100 --snaplen 96
      of every hundredth question, the first 96 bytes, for ten seconds
  barelane capture --write - --filter 'icmp and not src net 10.0.0.0/8' eth1 | wireshark -k -i -
      of the server on eth1, as it comes, until Ctrl-C

Filters: arp, icmp, icmp6, ip, ip6, tcp, udp, [src|dst] port N, [src|dst] host A, [src|dst] net A/LEN,
joined by and, or, not and parentheses. An answer is there if its question is. What the driver tier
answers comes to no lane: serve with --tier lane to see all.

Exit codes: 0 done; 1 no server runs, it refuses, or it has ended; 2 an option is wrong.";

const PROBE_EXAMPLES: &str = "\
Example:
  barelane probe 192.0.2.1
      one ping after the other, for five seconds
  barelane probe 192.0.2.1 --proto udp:7 --rate 1000 --poisson
      an open loop: a server that stalls shows
  barelane probe 192.0.2.1 --proto stamp --rate 1000 --report stamp.html
      the network's part of each round trip and the server's, as a page
  barelane probe 192.0.2.1 --proto udp:7 --search
      the highest rate without loss, and the latency below it
  barelane probe 192.0.2.1 --backend xdp --nic eth1 --core 3 --repeat 20 --json probe.json
      past the kernel, 20 times, with intervals
  barelane probe 192.0.2.1 --memif /run/lane.sock --address 192.0.2.2/24 --proto udp:7
      over shared memory, to barelane serve --memif, DPDK or VPP: no kernel, no privileges
  barelane probe compare before.json after.json --report compared.html

Ctrl-C ends a measurement early: what was measured until then is printed and written, and judged
as ever. Exit codes: 0 done; 1 nothing was answered, an answer was wrong, or the measurement
failed on its way; 2 an option is wrong.";

const DOCTOR_EXAMPLES: &str = "\
Example:
  barelane doctor --nic eth1
      how the host stands; changes nothing
  barelane doctor --nic eth1 --fix
      change what the running kernel can change, each setting recorded before it is touched
  barelane doctor --undo
      put back exactly what --fix has changed
  barelane doctor --measure --only c-states --only timer-migration
      what these fixes gain on a link in memory, undone afterwards
  barelane doctor --fix --measure --nic eth1 --target 192.0.2.1 -- --proto udp:7
      fix, and say of each fix what it gained for whoever answers there
  barelane doctor --noise 10 --core 2 --core 3
      which of the two is the quieter core for a lane

Exit codes: 0 nothing is bad; 1 something is bad, or could not be changed; 2 an option is wrong.";

/// What to look at, and what to do about it.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Interface that lanes would serve; repeat it for more [default: none, and nothing is said about cards]
    #[arg(long, value_name = "IF")]
    pub nic: Vec<String>,
    /// Core that a lane would have; repeat it for more, of several --nic one for each [default: those that serve would take]
    #[arg(long, value_name = "N")]
    pub core: Vec<String>,
    /// Requirement to look at and to fix, by its name; repeat it for more [default: all]
    #[arg(long, value_name = "NAME", conflicts_with = "undo")]
    pub only: Vec<String>,
    /// Change what is listed, after recording what it was
    #[arg(long)]
    pub fix: bool,
    /// Put back what was changed, backwards and exactly, and remove the record
    #[arg(long, conflicts_with = "fix")]
    pub undo: bool,
    /// File that says what was changed [default: doctor.json in `$STATE_DIRECTORY`, or in /var/lib/barelane]
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Measure for so many seconds on each core how quiet it is, in place of looking: the gaps of a spinning thread
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["fix", "undo", "only", "nic", "root"])]
    pub noise: Option<String>,
    /// Look at a copy of some machine's /proc and /sys below this directory, its cards in card/NAME.json
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// What fixes gain.
    #[command(flatten)]
    pub measuring: MeasuringArguments,
}

/// What fixes gain.
#[derive(Debug, Args)]
#[command(next_help_heading = "Measuring")]
pub struct MeasuringArguments {
    /// Measure what each fix gains: round trips without it and with it, in turns; undone at the end, unless --fix says otherwise
    #[arg(long, conflicts_with_all = ["undo", "noise", "root"])]
    pub measure: bool,
    /// With --measure: how often each fix is made and undone; six or more give intervals
    #[arg(long, value_name = "N", default_value = "9", requires = "measure")]
    pub rounds: String,
    /// With --measure: whom to ask [default: a lane of our own, on a link in memory]
    #[arg(long, value_name = "TARGET", requires = "measure")]
    pub target: Option<String>,
    /// With --target: what barelane probe takes for one measurement, behind --
    #[arg(last = true, value_name = "PROBE OPTIONS", requires = "target")]
    pub probe: Vec<String>,
}

/// Where the configuration comes from: a file, and options that overrule it.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArguments {
    /// Configuration file (TOML); options on the command line overrule it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Network interface to serve on; repeat it for more [default: those of the file]
    #[arg(long, value_name = "IF")]
    pub nic: Vec<String>,
    /// Interface in shared memory to serve on in place of --nic, for DPDK, VPP or another Barelane: no kernel, no privileges.
    /// More options: ring-size=N, buffer-size=N, idle=spin|adaptive, secret-file=FILE
    #[arg(long, value_name = "SOCKET[,role=server|client][,id=N][,queues=N]", conflicts_with = "nic")]
    pub memif: Option<String>,
    /// Ethernet address to have on an interface that has none of its own
    #[arg(long, value_name = "MAC")]
    pub mac: Option<String>,
    /// Address to serve, with its prefix length; repeat it for more [default: the interface's own]
    #[arg(long, value_name = "A/LEN")]
    pub address: Vec<String>,
    /// What to answer on every address: icmp-echo, udp-echo:PORT, stamp[:PORT], sockperf:PORT; repeat it for more
    /// [default: icmp-echo]
    #[arg(long, value_name = "NAME")]
    pub respond: Vec<String>,
    /// Core for one lane; repeat it for more, of several --nic one for each [default: one for each queue; barelane check says which, and why]
    #[arg(long, value_name = "N")]
    pub core: Vec<String>,
    /// Core for whatever is no lane: metrics, reloads, the side channel [default: one that no lane has]
    #[arg(long, value_name = "N")]
    pub housekeeping_core: Option<String>,
    /// What a lane does where nothing comes: spin, adaptive (spins for a millisecond after the last packet, then sleeps),
    /// interrupt (sleeps) [default: spin]
    #[arg(long, value_name = "POLICY")]
    pub idle: Option<String>,
    /// Where a lane that spins has answered nothing for this long, such as 1ms, it sends a frame to itself, so that what answers take is in
    /// the caches when a question comes; or off [default: off]
    #[arg(long, value_name = "TIME|off")]
    pub keep_warm: Option<String>,
    /// Queue for one lane; repeat it for more [default: every active queue, or one for each core]
    #[arg(long, value_name = "N")]
    pub queue: Vec<String>,
    /// VLAN to serve beside what is untagged, 1 to 4094, or all; repeat it for more [default: none]
    #[arg(long, value_name = "VID")]
    pub vlan: Vec<String>,
    /// What to hold of the machine while lanes run: power (cores wake at once), irqs (interrupts away from the lanes' cores), none
    /// [default: power, where it can be held]
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub hold: Vec<String>,
    /// File with the key of authenticated STAMP [default: none, STAMP is unauthenticated]
    #[arg(long, value_name = "FILE")]
    pub stamp_key: Option<String>,
    /// What to do with a STAMP packet that is shorter than its answer: drop, answer [default: drop]
    #[arg(long, value_name = "CHOICE")]
    pub stamp_short: Option<String>,
    /// How the program is attached: auto, native, generic [default: auto]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// Whether the NIC writes straight into the lane's memory: auto, yes, no [default: auto]
    #[arg(long, value_name = "CHOICE")]
    pub zero_copy: Option<String>,
    /// How long a question may have waited for its lane, such as 50us: what is older is dropped instead of answered late; or off
    /// [default: off]
    #[arg(long, value_name = "TIME|off")]
    pub age_limit: Option<String>,
    /// Of how many streams each lane says what was lost, doubled and late, where questions carry a sequence (STAMP, sockperf) [default: 0]
    #[arg(long, value_name = "COUNT")]
    pub streams: Option<String>,
    /// Who says when a question came: auto (the XDP program, where there is an age limit), driver, none [default: auto]
    #[arg(long, value_name = "WHO")]
    pub arrival_stamps: Option<String>,
    /// Who says when an answer left: kernel (where it sends copies), none [default: none]
    #[arg(long, value_name = "WHO")]
    pub transmit_stamps: Option<String>,
    /// Who drives the NIC's rings: need-wakeup, busy-poll, spin [default: need-wakeup]
    #[arg(long, value_name = "MODE")]
    pub wake: Option<String>,
    /// Where answers are made: auto (the earliest tier that may answer and that the link carries), driver, lane
    /// [default: auto]
    #[arg(long, value_name = "TIER")]
    pub tier: Option<String>,
    /// Where answers to askers behind routers go: auto (by the kernel's routes), reflect (to the station that asked)
    /// [default: auto]
    #[arg(long, value_name = "WAY")]
    pub next_hop: Option<String>,
    /// Where metrics and health are served: ADDRESS:PORT, or off [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDRESS:PORT|off")]
    pub admin: Option<String>,
    /// File with the token that whoever asks there must show; needed where others than this host can ask [default: none]
    #[arg(long, value_name = "FILE")]
    pub admin_token: Option<String>,
    /// File with the certificate (PEM) that is shown there: TLS; with --admin-tls-key [default: none, no TLS]
    #[arg(long, value_name = "FILE")]
    pub admin_tls_cert: Option<String>,
    /// File with the certificate's key (PEM), which nobody else may read [default: none]
    #[arg(long, value_name = "FILE")]
    pub admin_tls_key: Option<String>,
    /// How what happens is written to standard error: text (for people), json (for programs) [default: text]
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<String>,
    /// The least level of what is written there: info, warn, error [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct RoutesCommand {
    /// What to do.
    #[command(subcommand)]
    pub verb: RoutesVerb,
}

/// What can be asked of routes.
#[derive(Debug, Subcommand)]
pub enum RoutesVerb {
    /// Say which route takes a packet, at which tier, and why those before it do not
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArguments),
}

/// Which packet to explain, and what is served.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The packet: udp A:PORT > B:PORT, icmp A > B, icmp6 A > B, arp A > B or ndp A > B; vlan N at its end
    #[arg(value_name = "PACKET")]
    pub packet: String,
    /// What is served, as serve takes it.
    #[command(flatten)]
    pub serve: ServeArguments,
}

const EXPLAIN_EXAMPLES: &str = "\
Example:
  barelane routes explain \"udp 10.0.0.9:4000 > 10.0.0.1:7\" --config /etc/barelane.toml
  barelane routes explain \"icmp6 fd00::9 > fd00::1 vlan 7\" --nic eth1 --vlan 7";

/// What to replay.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// The capture: pcap or pcapng, Ethernet
    #[arg(value_name = "FILE.pcap")]
    pub capture: PathBuf,
    /// Addresses and responders [default: those of the host that the capture's questions are addressed to]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Of a configuration with several cards the one that the capture is of [default: the only one]
    #[arg(long, value_name = "IF", requires = "config")]
    pub nic: Option<String>,
    /// Print one line per stage per packet
    #[arg(long)]
    pub trace: bool,
    /// Write the answers to a capture
    #[arg(long, value_name = "OUT.pcap")]
    pub write: Option<PathBuf>,
}

/// A measurement, or what is done with those that were made.
#[derive(Debug, Args)]
pub struct ProbeCommand {
    /// What to do with measurements.
    #[command(subcommand)]
    pub verb: Option<ProbeVerb>,
    /// What to measure, where nothing else is to be done.
    #[command(flatten)]
    pub measure: Option<ProbeArguments>,
}

/// What is done with measurements.
#[derive(Debug, Subcommand)]
pub enum ProbeVerb {
    /// Show measurements side by side in one HTML page
    #[command(
        after_help = "Example:\n  barelane probe compare before.json after.json --report compared.html"
    )]
    Compare(CompareArguments),
}

/// What to compare.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// What barelane probe --json has written; the first is what the others are compared with
    #[arg(value_name = "FILE.json", required = true)]
    pub reports: Vec<PathBuf>,
    /// Write the page: one HTML file that needs no network
    #[arg(long, value_name = "FILE.html")]
    pub report: PathBuf,
}

/// Whom to ask, what, when, how, and for how long.
// A target is what makes a measurement of the options. It is named here because clap takes a group of arguments with
// groups in it for empty otherwise.
#[derive(Debug, Args)]
#[group(args = ["target"])]
pub struct ProbeArguments {
    /// Whom to ask: an address or a name
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// What to ask: icmp, udp:PORT (echo), stamp[:PORT] (RFC 8762), sockperf[:PORT]
    #[arg(long, value_name = "PROTO", default_value = "icmp")]
    pub proto: String,
    /// Payload of a question, in bytes [default: 64; 112 for authenticated STAMP]
    #[arg(long, value_name = "BYTES")]
    pub size: Option<String>,
    /// File with the key of authenticated STAMP, the reflector's own [default: none, STAMP is unauthenticated]
    #[arg(long, value_name = "FILE")]
    pub stamp_key: Option<PathBuf>,
    /// How long to ask [default: 5]
    #[arg(long, value_name = "N", conflicts_with = "count")]
    pub seconds: Option<String>,
    /// How many questions to ask
    #[arg(long, value_name = "N")]
    pub count: Option<String>,
    /// How many seconds an answer may take; a later one is late, and none is lost
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub timeout: String,
    /// How many times to measure, one run after the other; six or more give intervals, RFC 8219 asks for 20
    #[arg(long, value_name = "N", default_value = "1")]
    pub repeat: String,
    /// When to ask.
    #[command(flatten)]
    pub schedule: ScheduleArguments,
    /// How to ask.
    #[command(flatten)]
    pub means: MeansArguments,
    /// Where results go.
    #[command(flatten)]
    pub results: ResultArguments,
}

/// When to ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArguments {
    /// Ask the next question when an earlier one is answered; flatters a server that stalls [default]
    #[arg(long)]
    pub closed: bool,
    /// Questions that a closed loop keeps under way [default: 1]
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "poisson"])]
    pub window: Option<String>,
    /// Ask by the clock, so many times a second whatever the answers do; FROM..TO changes the rate along the run
    #[arg(long, value_name = "PPS|FROM..TO", conflicts_with = "closed")]
    pub rate: Option<String>,
    /// With --rate: exponential gaps instead of even ones (RFC 2330 11.1.1)
    #[arg(long, requires = "rate")]
    pub poisson: bool,
    /// Look for the highest rate without loss (RFC 2544), within --rate FROM..TO [default: 1000..2000000], by trials of
    /// --seconds; then measure at 10, 50 and 90 % of it
    #[arg(long, conflicts_with_all = ["closed", "window", "poisson", "count", "repeat"])]
    pub search: bool,
}

/// How to ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Means")]
pub struct MeansArguments {
    /// How packets are sent and taken: socket (the kernel's stack), xdp (no kernel between) [default: socket, or memif where
    /// --memif is named]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Ask by an interface in shared memory, of Barelane, DPDK or VPP: no kernel, no privileges. The role is client where
    /// none is named. More options: ring-size=N, buffer-size=N, secret-file=FILE
    #[arg(long, value_name = "SOCKET[,role=client|server][,id=N]")]
    pub memif: Option<String>,
    /// With --memif: the address to ask from, with its prefix length
    #[arg(long, value_name = "A/LEN")]
    pub address: Option<String>,
    /// With --memif: the Ethernet address to ask from [default: a random one, which is said]
    #[arg(long, value_name = "MAC")]
    pub mac: Option<String>,
    /// With --memif: the router that takes questions to targets outside of the prefix of --address
    #[arg(long, value_name = "A")]
    pub gateway: Option<String>,
    /// With --memif: the station that takes all questions, for an end that answers neither ARP nor neighbour discovery
    #[arg(long, value_name = "MAC", alias = "next-hop-mac")]
    pub next_hop: Option<String>,
    /// Where the stamps are taken: user (around the system call), kernel (where its stack meets the driver; sockets only)
    #[arg(long, value_name = "PLACE", default_value = "user")]
    pub stamps: String,
    /// Ask the socket again and again instead of sleeping in the kernel: no wake-up in the figures, a core used up
    #[arg(long)]
    pub spin: bool,
    /// Core to measure on [default: where it spins, the last one that nobody else is bound to]
    #[arg(long, value_name = "N")]
    pub core: Option<String>,
    /// Interface to ask on [default: where the route to the target leads]
    #[arg(long, value_name = "IF")]
    pub nic: Option<String>,
}

/// Where results go, beside the table on standard output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub struct ResultArguments {
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the result as a page: one HTML file that needs no network
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Print a line of progress every two seconds where standard error is not a terminal
    #[arg(long)]
    pub progress: bool,
}

/// What to show of the servers that run.
#[derive(Debug, Args)]
pub struct TopArguments {
    /// Print one table and end
    #[arg(long)]
    pub once: bool,
    /// Print one JSON document and end, with or without --once
    #[arg(long)]
    pub json: bool,
    /// Time between two looks, which rates are of, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub interval: String,
    /// Interface to show, of one server; repeat it for more [default: all that are served]
    #[arg(long, value_name = "IF")]
    pub nic: Vec<String>,
    /// Segment of one server, as it says at its start [default: those of all servers that run]
    #[arg(long, value_name = "FILE", conflicts_with = "nic")]
    pub segment: Option<PathBuf>,
}

/// What to capture, how long, and of which server.
#[derive(Debug, Args)]
pub struct CaptureArguments {
    /// File to write, pcapng; - for standard output
    #[arg(long, value_name = "FILE.pcapng")]
    pub write: PathBuf,
    /// Which questions to take, in the language of pcap-filter(7), a part of it [default: all]
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// End after so many questions, each with its answer [default: never]
    #[arg(long, value_name = "N")]
    pub count: Option<String>,
    /// End after so many seconds [default: never]
    #[arg(long, value_name = "N")]
    pub seconds: Option<String>,
    /// Take one in so many of the questions that match
    #[arg(long, value_name = "N", default_value = "1")]
    pub sample: String,
    /// Keep so many bytes of each packet, at most
    #[arg(long, value_name = "BYTES", default_value = "65535")]
    pub snaplen: String,
    /// Interface of the server, or its segment [default: the only one that runs]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// How to demonstrate.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// How long to measure, all rounds together; setting up and taking down comes on top of it
    #[arg(long, value_name = "N", default_value = "7")]
    pub seconds: String,
    /// How many times all rows are measured in turn; of an odd number the middle one is a round that there was
    #[arg(long, value_name = "N", default_value = "5")]
    pub rounds: String,
    /// Measure how many answers a second are given at saturation, in place of round trips
    #[arg(long, conflicts_with = "report")]
    pub saturation: bool,
    /// Measure a lane that is asked for twice as much as it carries, with an age limit and without, in place of round trips
    #[arg(long, conflicts_with_all = ["report", "saturation"])]
    pub overload: bool,
    /// With --overload: the age limit
    #[arg(long, value_name = "TIME", default_value = "100us", requires = "overload")]
    pub age_limit: String,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the UDP rows as an HTML page: percentile curves, time series, histograms
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_target_is_measured_and_files_are_compared() {
        let probe = |line: &str| match Arguments::parse_from(line.split_whitespace()).verb {
            Verb::Probe(command) => command,
            other => panic!("{other:?}"),
        };
        let measured = probe("barelane probe 10.0.0.1 --proto udp:7 --rate 10");
        assert_eq!(measured.measure.unwrap().target, "10.0.0.1");
        let compared = probe("barelane probe compare a.json b.json --report c.html");
        assert!(compared.measure.is_none() && compared.verb.is_some());
    }

    #[test]
    fn the_help_of_every_verb_ends_with_an_example() {
        for verb in Arguments::command().get_subcommands() {
            let example = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.starts_with("Example:\n  barelane "), "{}", verb.get_name());
        }
    }
}
