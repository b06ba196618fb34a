//! Plans of several cards.

use std::net::IpAddr;

use host::cores::Topology;
use host::links::Link;

use super::super::{Facts, Plan};
use super::facts;
use crate::Config;
use crate::args::ServeArguments;
use crate::per_card::PerCard;

/// The plans of cards that `[[nic]]` names, on a host where each has an address of its own.
fn plans_of(text: &str, cards: &[Facts]) -> Result<PerCard<Plan>, String> {
    let file = tempfile(text);
    let configs =
        Config::of_cards(&ServeArguments { config: Some(file.0.clone()), ..Default::default() }).unwrap();
    let cards: Vec<_> = configs.iter().zip(cards.iter().cloned()).collect();
    Plan::resolve_all(&cards).map_err(|wrong| wrong.to_string())
}

/// A file that goes with its test.
struct File(std::path::PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        // A file that is not there any more is what is wanted.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tempfile(text: &str) -> File {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("barelane-plan-{}-{number}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    File(path)
}

/// The interface `eth8`, with `10.8.0.1` and `fd08::1`; or `eth9` with `10.0.0.1` and no IPv6.
fn card(name: &str, queues: u32) -> Facts {
    let ips: &[(&str, u8)] =
        if name == "eth8" { &[("10.8.0.1", 24), ("fd08::1", 64)] } else { &[("10.0.0.1", 24)] };
    let addresses: Vec<(IpAddr, u8)> = ips.iter().map(|(ip, len)| (ip.parse().unwrap(), *len)).collect();
    let link = Link { name: name.into(), rx_queues: queues, tx_queues: queues, ..facts().link };
    let kernel_addresses = addresses.iter().map(|(ip, _)| *ip).collect();
    Facts { link, interface_addresses: addresses, kernel_addresses, ..facts() }
}

const BOTH: &str = "[[nic]]\ninterface = \"eth8\"\n[[nic]]\ninterface = \"eth9\"\n";

fn both(queues: [u32; 2]) -> [Facts; 2] {
    [card("eth8", queues[0]), card("eth9", queues[1])]
}

#[test]
fn no_two_lanes_of_two_cards_have_one_core_and_housekeeping_is_said_once_for_all() {
    let plans = plans_of(BOTH, &both([2, 1])).unwrap();
    let lanes: Vec<Vec<usize>> =
        plans.iter().map(|plan| plan.lanes.iter().map(|lane| lane.core).collect()).collect();
    assert_eq!(lanes, [vec![1, 2], vec![3]]);
    for plan in plans.iter() {
        assert_eq!(plan.placement.housekeeping.as_ref().unwrap().core, 0);
        assert!(plan.to_string().contains("housekeeping on core 0: no lane has it"), "{plan}");
    }
    // As of two lanes of one card: both cores are lanes', and that is said once.
    let on_two = both([1, 1]).map(|card| Facts { topology: Topology::plain(&[0, 1]), ..card });
    let plans = plans_of(BOTH, &on_two).unwrap();
    let cores: Vec<usize> = plans.iter().map(|plan| plan.lanes[0].core).collect();
    assert_eq!(cores, [1, 0]);
    let said: Vec<&String> = plans.iter().flat_map(|plan| &plan.warnings).collect();
    let every = said.iter().filter(|line| line.contains("the lanes take every core of this process")).count();
    assert!(every == 1 && plans.first().to_string().contains("the lanes have every core"), "{said:?}");
}

#[test]
fn more_lanes_than_the_other_cards_leave_cores_for_are_refused_with_the_card() {
    let wrong = plans_of(BOTH, &both([3, 2])).unwrap_err();
    assert_eq!(
        wrong,
        "nic.cores = \"\": 2 queues need 2 cores, and the 3 lanes of other cards leave 1; bring the queues down: ethtool -L eth9 \
         combined 1, or write some of them in its [[nic]]; or name the cores to have it so (for eth9)"
    );
    let wrong = plans_of(BOTH, &both([4, 1])).unwrap_err();
    assert!(
        wrong.contains("leave 0; leave the card out, or write fewer queues in the [[nic]] of the others"),
        "{wrong}"
    );
    let named = BOTH.replace("eth9\"", "eth9\"\ncores = [1]");
    let plans = plans_of(&named, &both([2, 1])).unwrap();
    let lanes = plans.first().lanes.iter().map(|lane| lane.core);
    assert_eq!(lanes.collect::<Vec<_>>(), [2, 3], "what is named for one is left to it by the others");
    let named = BOTH.replace("interface", "cores = [1]\ninterface");
    let plans = plans_of(&named, &both([1, 1])).unwrap();
    let turns =
        |plan: &Plan| plan.warnings.iter().any(|line| line.contains("of eth") && line.contains("has it too"));
    assert!(plans.iter().all(turns), "{plans:#?}");
}

#[test]
fn huge_pages_that_the_lanes_of_one_card_take_are_not_the_others() {
    let with = |free| {
        let topology = Topology { huge_pages_free: Some(free), ..Topology::plain(&[0, 1, 2, 3]) };
        both([1, 1]).map(|card| Facts { topology: topology.clone(), ..card })
    };
    let memory = |free| {
        let plans = plans_of(BOTH, &with(free)).unwrap();
        plans.iter().map(|plan| plan.to_string().contains("in huge pages")).collect::<Vec<_>>()
    };
    let wanted = plans_of(BOTH, &with(100)).unwrap().first().huge_pages();
    assert!(wanted > 0);
    assert_eq!((memory(2 * wanted), memory(2 * wanted - 1)), (vec![true, true], vec![true, false]));
}

#[test]
fn a_route_holds_on_the_cards_that_it_is_for_and_has_one_number_on_all() {
    let routes = "[[route]]\nrespond = \"udp-echo:7\"\nnic = \"eth8\"\ntier = \"kernel\"\n\
                  [[route]]\nrespond = \"udp-echo:7\"\n\
                  [[route]]\nrespond = \"stamp\"\naddress = \"10.0.0.1\"\n\
                  [[route]]\nrespond = \"udp-echo:8\"\nfrom = [\"fd00::/8\"]\n";
    let plans = plans_of(&format!("{BOTH}{routes}"), &both([1, 1])).unwrap();
    let get: Vec<Vec<bool>> =
        plans.iter().map(|plan| (0..5).map(|number| plan.routes.gets_something(number)).collect()).collect();
    // The second has nothing left to it on eth8, the third no address there; the fourth no asker on eth9.
    assert_eq!(get, [[true, false, false, true, true], [false, true, true, false, true]]);
    let texts: Vec<String> = plans.iter().map(ToString::to_string).collect();
    for (text, part) in [
        (&texts[0], "1: udp-echo:7, tier kernel -> kernel (left to it)"),
        (&texts[0], "2: udp-echo:7 -> nothing on this card"),
        (&texts[1], "1: udp-echo:7, tier kernel -> nothing on this card"),
        (&texts[1], "3: stamp:862 on 10.0.0.1 -> lane"),
        (&texts[1], "4: udp-echo:8 from fd00::/8 -> nothing on this card"),
        (&texts[1], "5: icmp-echo -> driver"),
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let claimed = |plan: &Plan, port: u16| plan.claims().claims.iter().any(|one| one.key.selector == port);
    assert_eq!(plans.iter().map(|plan| claimed(plan, 862)).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_route_that_gets_nothing_on_any_card_is_refused_as_on_one() {
    for (route, wrong) in [
        (
            "address = \"10.7.0.1\"",
            "route.address = \"10.7.0.1\": route 1 (`udp-echo:7 on 10.7.0.1`) stands on an address that is not served",
        ),
        ("nic = \"eth8\"\naddress = \"10.0.0.1\"", "route.address = \"10.0.0.1\": route 1"),
        (
            "nic = \"eth7\"",
            "route.nic = \"eth7\": no packet comes by it: the interfaces that are served are eth8, eth9; write one of them, or leave the key out",
        ),
        ("nic = \"eth9\"\nfrom = [\"fd00::/8\"]", "route.from = \"fd00::/8\": route 1"),
        ("vlans = [9]", "route.vlans = \"9\": route 1"),
    ] {
        let told = plans_of(&format!("{BOTH}[[route]]\nrespond = \"udp-echo:7\"\n{route}\n"), &both([1, 1]))
            .unwrap_err();
        assert!(told.starts_with(wrong), "{told}");
    }
    let twice = format!("{BOTH}[[route]]\nrespond = \"udp-echo:7\"\n[[route]]\nrespond = \"sockperf:7\"\n");
    let told = plans_of(&twice, &both([1, 1])).unwrap_err();
    assert!(
        told.starts_with("route.respond = \"sockperf:7\": route 2 (`sockperf:7`) never takes a packet"),
        "{told}"
    );
    // What is answered where nothing else is said gives way, and what was said does not.
    let kernels = format!(
        "{BOTH}[[route]]\nrespond = \"icmp-echo\"\ntier = \"kernel\"\n[[route]]\nrespond = \"stamp\"\n"
    );
    assert!(plans_of(&kernels, &both([1, 1])).is_ok());
    let said = format!("serve.respond = [\"stamp:1\", \"icmp-echo\"]\n{kernels}");
    assert!(
        plans_of(&said, &both([1, 1])).unwrap_err().starts_with("serve.respond (--respond) = \"icmp-echo\"")
    );
}

#[test]
fn what_is_wrong_of_one_card_is_told_with_its_name_and_by_the_keys_that_it_has() {
    let [first, second] = both([1, 1]);
    let nobody = Facts { interface_addresses: Vec::new(), ..second.clone() };
    let wrong = plans_of(BOTH, &[first.clone(), nobody]).unwrap_err();
    assert_eq!(
        wrong,
        "nic.addresses = \"\": eth9 has no address to be served; give the interface one, or write addresses in its [[nic]] (for eth9)"
    );
    let down = Facts { link: Link { is_up: false, ..second.link.clone() }, ..second.clone() };
    let wrong = plans_of(BOTH, &[first.clone(), down]).unwrap_err();
    assert_eq!(
        wrong,
        "nic.interface (--nic) = \"eth9\": the interface is down; bring it up: ip link set eth9 up"
    );
    for (key, wrong) in [
        (
            "cores = [9]",
            "nic.cores = \"9\": this machine has no such core; choose from 0, 1, 2, 3 (for eth9)",
        ),
        (
            "queues = [1]",
            "nic.queues (--queue) = \"1\": the interface has 1 active queues, from 0 to 0; choose one of them, or ask the NIC for more: ethtool -L eth9 combined 2 (for eth9)",
        ),
        (
            "addresses = [\"224.0.0.1/4\"]",
            "nic.addresses = \"224.0.0.1\": address 224.0.0.1 cannot be a host's; use a unicast",
        ),
    ] {
        let told = plans_of(&format!("{BOTH}{key}\n"), &[first.clone(), second.clone()]).unwrap_err();
        assert!(told.starts_with(wrong), "{told}");
    }
    let none = format!("serve.respond = []\n{BOTH}[[route]]\nrespond = \"stamp\"\nnic = \"eth8\"\n");
    let wrong = plans_of(&none, &[first, second]).unwrap_err();
    assert!(
        wrong.starts_with("serve.respond (--respond) = \"\": no route is for eth9; add a service"),
        "{wrong}"
    );
}
