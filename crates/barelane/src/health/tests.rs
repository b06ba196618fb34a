//! What is asked, put to a lane that has the plan's tables, over a card in memory; and who is told what.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lane::{Lane, Verdict, mailbox};
use nic::sim::{Card, Faults};
use nix::errno::Errno;
use telemetry::{Page, Still, Tick};

use super::card::{CardHealth, Counts, is_unable};
use super::lanes::{LaneDoor, ask_all};
use super::wanted::{Wanted, Wants};
use super::{Finding, Health, Report};
use crate::Plan;
use crate::plan::tests::{facts, plan_of};

/// Every service, once over each family.
const ALL: &str = "serve.respond = [\"icmp-echo\", \"udp-echo:7\", \"stamp\", \"sockperf:11111\"]";

/// An address of each family that only Barelane has.
const OWN: &str = "serve.addresses = [\"10.0.0.9/24\", \"fd00::9/64\"]";

fn plan(lines: &[&str]) -> Plan {
    plan_of(&lines.join("\n"), facts()).unwrap()
}

fn wanted(plan: &Plan) -> Vec<Wanted> {
    Wants::of(plan, None).wanted
}

/// A lane over a card in memory that answers by the tables of a plan.
fn lane_of(plan: &Plan) -> Lane<Card, Still> {
    let (_sender, mailbox) = mailbox();
    let card = Card::new(4, 1, Faults::default());
    Lane::new(card, Box::new(plan.tables()), Still::default(), Arc::new(Page::default()), mailbox)
}

/// What a lane answers to a frame.
fn answer(lane: &mut Lane<Card, Still>, question: &[u8]) -> Option<Vec<u8>> {
    lane.queue_mut().inject(question);
    lane.turn(Tick(0));
    let mut sent = Vec::new();
    lane.queue_mut().take_sent(|frame| sent.push(frame.to_vec()));
    assert!(sent.len() < 2);
    sent.pop()
}

/// Asks everything of a plan three times, and demands that it is answered, and by nobody's way. Gives the names.
fn ask_everything(plan: &Plan) -> Vec<String> {
    let mut lane = lane_of(plan);
    let mut names = Vec::new();
    for Wanted { name, question } in wanted(plan) {
        let mut question = question.unwrap_or_else(|why| panic!("{name}: {why}"));
        for _ in 0..3 {
            let mut room = [0xa5; 512];
            let len = question.write(&mut room).unwrap();
            let said = answer(&mut lane, &room[..len]).unwrap_or_else(|| panic!("{name} is not answered"));
            assert_eq!(question.check(&said), Ok(()), "{name}");
            assert_eq!(said[..5], [0, 0, 0x5e, 0, 0x53], "{name}: to somebody's Ethernet address");
        }
        names.push(name);
    }
    names
}

#[test]
fn each_protocol_is_asked_what_a_lane_answers_over_each_family() {
    let names = ask_everything(&plan(&[ALL, OWN]));
    let expected = [
        "ARP",
        "neighbour discovery",
        "icmp-echo over IPv4",
        "icmp-echo over IPv6",
        "udp-echo:7 over IPv4",
        "udp-echo:7 over IPv6",
        "stamp:862 over IPv4",
        "stamp:862 over IPv6",
        "sockperf:11111 over IPv4",
        "sockperf:11111 over IPv6",
    ];
    assert_eq!(names, expected);
}

#[test]
fn addresses_that_the_kernel_has_too_are_asked_for_what_is_claimed_of_them_alone() {
    let names = ask_everything(&plan(&["serve.respond = [\"icmp-echo\"]"]));
    assert_eq!(names, ["icmp-echo over IPv4", "icmp-echo over IPv6"]);
}

#[test]
fn links_of_two_hosts_are_asked_by_the_other_one() {
    for addresses in
        ["\"10.0.0.9/31\"", "\"10.0.0.8/31\"", "\"fd00::9/127\"", "\"fd00::8/127\"", "\"10.1.2.2/30\""]
    {
        let names = ask_everything(&plan(&[ALL, &format!("serve.addresses = [{addresses}]")]));
        assert_eq!(names.len(), 5, "{addresses}: {names:?}");
    }
}

#[test]
fn an_asker_is_none_of_the_addresses_that_are_served() {
    let both = "serve.addresses = [\"10.0.0.8/31\", \"10.0.0.9/31\"]";
    let names = wanted(&plan(&["serve.respond = [\"icmp-echo\"]", both]));
    let refused = names.into_iter().filter_map(|one| Some((one.name, one.question.err()?)));
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].1.contains("nobody else is on the link of 10.0.0.8/31, 10.0.0.9/31"), "{refused:?}");
}

#[test]
fn authenticated_stamp_is_asked_with_its_key() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("barelane-health-key-{}", std::process::id()));
    std::fs::write(&path, b"a secret").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let key = format!("stamp.key_file = \"{}\"", path.display());
    let names = ask_everything(&plan(&["serve.respond = [\"stamp\"]", &key]));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(names, ["stamp:862 over IPv4", "stamp:862 over IPv6"]);
}

/// Routes of a file, with services that stand behind them.
fn with_routes(routes: &[&str]) -> Plan {
    let routes: Vec<String> = routes.iter().map(|route| format!("[[route]]\n{route}")).collect();
    plan(&["serve.respond = []", OWN, &routes.join("\n")])
}

#[test]
fn a_route_is_asked_what_it_takes_itself_and_no_other_does() {
    let routes = [
        "respond = \"udp-echo:1000-2000\"",
        "respond = \"stamp:900-1500\"",
        "respond = \"icmp-echo\"\nfrom = [\"10.0.0.128/25\", \"fd00::/64\"]",
        "respond = \"icmp-echo\"\naddress = \"10.0.0.9\"",
    ];
    let names = ask_everything(&with_routes(&routes));
    assert_eq!(names.len(), 2 + 2 + 2 + 2 + 1, "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("icmp-echo on 10.0.0.9")), "{names:?}");
}

#[test]
fn what_cannot_be_asked_is_named_with_why() {
    let refused = |plan: &Plan| -> Vec<String> {
        let refused =
            wanted(plan).into_iter().filter_map(|one| Some(format!("{}: {}", one.name, one.question.err()?)));
        refused.collect()
    };
    let limited = refused(&with_routes(&["respond = \"icmp-echo\"\nanswers_per_second = 10"]));
    assert_eq!(limited.len(), 2);
    assert!(limited.iter().all(|why| why.contains("its answers are limited")), "{limited:?}");
    let alone = refused(&plan(&[
        "serve.respond = [\"icmp-echo\"]",
        "serve.addresses = [\"10.7.0.1/32\", \"fd07::1/128\"]",
    ]));
    assert_eq!(alone.len(), 2, "{alone:?}");
    assert!(alone[0].contains("nobody else is on the link of 10.7.0.1/32"), "{alone:?}");
    let far = refused(&with_routes(&["respond = \"icmp-echo\"\nfrom = [\"192.168.0.0/16\"]"]));
    assert!(far.len() == 1 && far[0].contains("none of the askers that were tried"), "{far:?}");
    let reflected = plan(&[
        "serve.respond = [\"icmp-echo\"]",
        "serve.addresses = [\"10.7.0.1/32\"]",
        "serve.next_hop = \"reflect\"",
    ]);
    assert_eq!(ask_everything(&reflected).len(), 2);
}

#[test]
fn a_route_that_is_left_to_the_kernel_is_not_asked() {
    let plan = with_routes(&["respond = \"udp-echo:9\"\ntier = \"kernel\"", "respond = \"icmp-echo\""]);
    assert!(wanted(&plan).iter().all(|one| !one.name.contains("udp-echo")));
}

#[test]
fn what_is_not_the_answer_to_the_last_question_is_refused() {
    let plan = plan(&[ALL, OWN]);
    let mut lane = lane_of(&plan);
    for Wanted { name, question } in wanted(&plan) {
        let mut question = question.unwrap();
        let mut room = [0; 512];
        let len = question.write(&mut room).unwrap();
        let asked = room[..len].to_vec();
        let said = answer(&mut lane, &asked).unwrap();
        assert!(question.check(&asked).is_err(), "{name}: the question itself");
        assert!(question.check(&said[..20]).is_err() && question.check(&[]).is_err(), "{name}: cut short");
        let mut from_another = said.clone();
        from_another[11] ^= 1;
        assert!(question.check(&from_another).is_err(), "{name}: from another station");
        // Behind the Ethernet header of an ARP reply, an IPv4 and an IPv6 header: within what an answer says.
        let mut damaged = said.clone();
        damaged[30] ^= 1;
        assert!(question.check(&damaged).is_err(), "{name}: damaged");
        let is_always_the_same = name == "ARP" || name == "neighbour discovery";
        question.write(&mut room).unwrap();
        assert_eq!(question.check(&said).is_ok(), is_always_the_same, "{name}: of the question before");
    }
}

#[test]
fn a_lane_that_turns_answers_beside_its_ring_and_one_that_does_not_is_told_apart() {
    let plan = plan(&[ALL, OWN]);
    let page = Arc::new(Page::default());
    let (mut sender, mailbox) = mailbox();
    let card = Card::new(4, 1, Faults::default());
    let mut turning = Lane::new(card, Box::new(plan.tables()), Still::default(), Arc::clone(&page), mailbox);
    let (mut other_sender, _mailbox_of_one_that_stands) = lane::mailbox();
    let door = |queue, sender: &mut lane::TableSender| {
        LaneDoor::new(queue, Arc::clone(&page), sender.take_inquiries().unwrap())
    };
    let mut lanes = [door(0, &mut sender), door(1, &mut other_sender)];
    let stop = AtomicBool::new(false);
    let mut question = wanted(&plan).remove(2).question.unwrap();
    let mut room = [0; 512];
    let len = question.write(&mut room).unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                turning.housekeeping();
                turning.queue_mut().take_sent(|_| {});
                thread::yield_now();
            }
        });
        for _ in 0..3 {
            let deadline = Instant::now() + Duration::from_millis(200);
            let (_, said) = ask_all(&mut lanes, &room[..len], deadline, &stop);
            let first = said[0].as_ref().unwrap();
            assert!(matches!(first.outcome.verdict, Verdict::Reply { .. }));
            assert_eq!(question.check(&first.answer), Ok(()));
            assert!(said[1].is_none(), "nobody is there");
        }
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_a_kernel_or_a_privilege_lacks_is_told_from_what_is_wrong() {
    let is_unable = |errno: Errno| is_unable(&io::Error::from(errno));
    assert!([Errno::EINVAL, Errno::EPERM, Errno::EACCES, Errno::ENOTSUP].into_iter().all(is_unable));
    assert!(![Errno::ENODEV, Errno::ENOMEM, Errno::EFAULT, Errno::EINTR].into_iter().any(is_unable));
}

#[test]
fn over_memif_it_is_said_that_nothing_is_asked() {
    let mut card = CardHealth::new(Err("nothing stands there".to_owned()), Vec::new(), Arc::default());
    let mut wants = Wants::of(&plan(&[ALL]), None);
    let report = card.round(&mut wants, Instant::now(), &AtomicBool::new(false));
    assert!(report.is_good());
    assert_eq!(report.to_string(), "skip questions: not asked: nothing stands there\n");
}

#[test]
fn all_who_ask_within_a_second_are_told_what_one_round_found_and_a_newer_plan_begins_another() {
    let counts = Arc::new(Counts::default());
    let card = CardHealth::new(Err("nothing stands there".to_owned()), Vec::new(), counts);
    let wants = || Wants::of(&plan(&[ALL]), None);
    let health = Health::start(card, wants(), None).unwrap();
    let asking = health.asking();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let begun = Instant::now();
        let first = asking.ask().await.unwrap();
        for _ in 0..100 {
            let (one, other) = tokio::join!(asking.ask(), asking.ask());
            let is_same = Arc::ptr_eq(&one.unwrap(), &first) && Arc::ptr_eq(&other.unwrap(), &first);
            assert!(is_same || begun.elapsed() >= Duration::from_secs(1));
        }
        health.renew(wants());
        assert!(!Arc::ptr_eq(&asking.ask().await.unwrap(), &first));
        drop(health);
        assert!(asking.ask().await.unwrap_err().contains("nobody asks any more"));
    });
}

#[test]
fn a_report_has_a_line_for_each_thing_and_is_good_where_nothing_is_bad() {
    let mut report = Report::default();
    report.add("one", Ok("it is".to_owned()));
    report.add("two", Finding::Skipped("it is not asked".to_owned()));
    assert!(report.is_good());
    report.add("three", Err("it is not".to_owned()));
    assert!(!report.is_good());
    assert_eq!(report.to_string(), "good one: it is\nskip two: it is not asked\nbad  three: it is not\n");
}

#[test]
fn more_questions_than_a_round_has_are_named() {
    let respond: Vec<String> = (1000..1050).map(|port| format!("\"udp-echo:{port}\"")).collect();
    let plan = plan(&[&format!("serve.respond = [{}]", respond.join(", "))]);
    let wanted = wanted(&plan);
    let asked = wanted.iter().filter(|one| one.question.is_ok()).count();
    assert_eq!((asked, wanted.len()), (64, 100));
    assert!(wanted[99].question.as_ref().unwrap_err().contains("64 questions at most"));
}
