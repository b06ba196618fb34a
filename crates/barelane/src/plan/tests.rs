//! Plans on hosts that do not exist.

use std::net::IpAddr;

use host::cores::{Taken, Topology};
use host::links::{AddressState, AttachedProgram, Link, ProgramMode};
use host::ports::Ports;
use nic::xdp::{ArrivalStamps, TransmitStamps};
use route::{Owner, PartialChecksums, Tier};

use super::{CardPlan, Facts, LanePlan, Plan};
use crate::Config;

mod several;

pub(crate) fn facts() -> Facts {
    Facts {
        link: Link {
            index: 7,
            name: "eth9".into(),
            mac: [2, 0, 0, 0, 0, 9],
            mtu: 1500,
            kind: None,
            driver: Some("ice".into()),
            is_up: true,
            has_carrier: true,
            rx_queues: 2,
            tx_queues: 2,
            program: None,
            numa_node: None,
            rx_vlan_offload: None,
            tx_checksum: None,
            peer_namespace: None,
            peer_index: None,
        },
        other_end_has_program: None,
        interface_addresses: vec![("10.0.0.1".parse().unwrap(), 24), ("fd00::1".parse().unwrap(), 64)],
        unusable_addresses: Vec::new(),
        kernel_addresses: vec![
            "10.0.0.1".parse().unwrap(),
            "fd00::1".parse().unwrap(),
            "127.0.0.1".parse().unwrap(),
        ],
        ports: Ports::default(),
        topology: Topology::plain(&[0, 1, 2, 3]),
        taken: Vec::new(),
    }
}

pub(crate) fn plan_of(text: &str, facts: Facts) -> Result<Plan, String> {
    let config = Config::parse(&format!("nic.interface = \"eth9\"\n{text}"), "test").unwrap();
    Plan::resolve(&config, facts).map_err(|wrong| wrong.to_string())
}

fn with_cores(cores: &[usize]) -> Facts {
    Facts { topology: Topology::plain(cores), ..facts() }
}

fn refused(text: &str, facts: Facts) -> String {
    plan_of(text, facts).unwrap_err()
}

#[test]
fn every_active_queue_gets_a_lane_isolated_cores_come_first_and_core_0_last() {
    let lanes = plan_of("", facts()).unwrap().lanes;
    assert_eq!(lanes, [LanePlan { queue: 0, core: 1 }, LanePlan { queue: 1, core: 2 }]);
    let lanes = plan_of("", with_cores(&[0, 1])).unwrap().lanes;
    assert_eq!(lanes, [LanePlan { queue: 0, core: 1 }, LanePlan { queue: 1, core: 0 }]);
    let mut isolated = facts();
    isolated.topology.cores[3].is_isolated = true;
    let lanes = plan_of("", isolated).unwrap().lanes;
    assert_eq!(lanes, [LanePlan { queue: 0, core: 3 }, LanePlan { queue: 1, core: 1 }]);
}

#[test]
fn named_cores_take_the_first_queues_and_the_rest_is_warned_of() {
    let plan = plan_of("lane.cores = [3]", facts()).unwrap();
    assert_eq!(plan.lanes, [LanePlan { queue: 0, core: 3 }]);
    assert!(plan.warnings[0].contains("1 of 2 active queues have a lane"));
}

#[test]
fn a_core_or_queue_that_does_not_exist_is_refused() {
    assert!(
        refused("lane.cores = [4]", facts())
            .contains("lane.cores (--core) = \"4\": this machine has no such core")
    );
    assert!(refused("nic.queues = [2]", facts()).contains("nic.queues (--queue) = \"2\""));
}

#[test]
fn a_core_that_cannot_be_had_is_refused_with_what_helps() {
    let mut facts = facts();
    facts.topology.present.push(4);
    facts.topology.cores[2].is_allowed = false;
    for (setting, name) in [
        ("lane.cores = [N]", "lane.cores (--core)"),
        ("serve.housekeeping_core = N", "serve.housekeeping_core (--housekeeping-core)"),
    ] {
        for (core, parts) in [
            (
                "4",
                [
                    "the core is offline",
                    "choose from 0, 1, 3, or bring it online: echo 1 > /sys/devices/system/cpu/cpu4/online",
                ],
            ),
            ("2", ["this process may not run there", "taskset"]),
            ("9", ["this machine has no such core", "choose from 0, 1, 3"]),
        ] {
            let wrong = refused(&setting.replace('N', core), facts.clone());
            assert!(wrong.starts_with(&format!("{name} = \"{core}\"")), "{wrong}");
            assert!(parts.iter().all(|part| wrong.contains(part)), "{wrong}");
        }
    }
}

#[test]
fn the_plan_says_where_housekeeping_runs_and_what_is_worse_about_what_was_named() {
    let plan = plan_of("", facts()).unwrap();
    assert!(plan.to_string().contains("housekeeping on core 0: no lane has it"), "{plan}");
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    let text = "lane.cores = [0, 1]\nserve.housekeeping_core = 1";
    let plan = plan_of(text, facts()).unwrap();
    assert!(plan.to_string().contains("housekeeping on core 1: named by hand"), "{plan}");
    let [core_0, housekeeping] = plan.warnings.as_slice() else { panic!("{:?}", plan.warnings) };
    assert!(
        core_0.contains("a lane is on core 0") && core_0.ends_with("left to choose it would be 1-2"),
        "{core_0}"
    );
    assert!(housekeeping.contains("housekeeping is on core 1, which a lane has"), "{housekeeping}");
}

#[test]
fn a_core_that_another_server_has_is_left_to_it() {
    let taken = vec![Taken { core: 1, by: "the lane of queue 0 of the server on eth1 (process 9)".into() }];
    let plan = plan_of("", Facts { taken: taken.clone(), ..facts() }).unwrap();
    assert_eq!(plan.lanes, [LanePlan { queue: 0, core: 2 }, LanePlan { queue: 1, core: 3 }]);
    let plan = plan_of("lane.cores = [1, 2]", Facts { taken, ..facts() }).unwrap();
    assert!(plan.warnings[0].contains("server on eth1 (process 9) has it too"), "{:?}", plan.warnings);
}

#[test]
fn the_plan_says_how_much_memory_a_lane_takes_and_where() {
    let mut facts = facts();
    (facts.topology.node_count, facts.topology.home) = (2, Some(1));
    facts.topology.huge_pages_free = Some(512);
    let text = plan_of("", facts).unwrap().to_string();
    let expected = "a lane: 8 MiB of packets on the card's NUMA node 1, in huge pages (8 of 512 free ones for all); 72 KiB of rings";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn lanes_cores_and_queues_must_agree() {
    assert!(refused("lane.cores = [1, 2, 3]", facts()).contains("3 lanes are more than the 2 active queues"));
    assert!(refused("lane.cores = [1, 2]\nnic.queues = [0]", facts()).contains("2 cores for 1 queues"));
    assert!(refused("", with_cores(&[1])).contains("ethtool -L eth9 combined 1"));
}

#[test]
fn the_interfaces_own_addresses_stay_the_kernels() {
    let plan = plan_of("", facts()).unwrap();
    assert!(plan.routes.addresses().iter().all(|address| address.owner == Owner::Kernel));
    assert_eq!(plan.own_addresses().count(), 0);
    assert_eq!(plan.claims().claims.len(), 2);
}

#[test]
fn an_address_that_the_kernel_does_not_have_is_barelanes_alone() {
    let plan = plan_of("serve.addresses = [\"10.0.0.1/24\", \"10.0.0.9/24\"]", facts()).unwrap();
    let own: Vec<IpAddr> = plan.own_addresses().collect();
    assert_eq!(own, ["10.0.0.9".parse::<IpAddr>().unwrap()]);
}

#[test]
fn an_address_that_the_kernel_must_not_use_is_skipped_or_refused() {
    let ip: IpAddr = "fd00::9".parse().unwrap();
    for (state, word) in [(AddressState::Duplicate, "another host"), (AddressState::Tentative, "still asks")]
    {
        let facts = Facts { unusable_addresses: vec![(ip, state)], ..facts() };
        let plan = plan_of("", facts.clone()).unwrap();
        assert!(plan.routes.addresses().iter().all(|address| address.ip != ip));
        assert!(plan.warnings[0].starts_with("fd00::9 is not served: "), "{:?}", plan.warnings);
        assert!(plan.warnings[0].contains(word), "{:?}", plan.warnings);
        let wrong = refused("serve.addresses = [\"fd00::9/64\"]", facts.clone());
        assert!(wrong.starts_with("serve.addresses (--address) = \"fd00::9\": ") && wrong.contains(word));
        let alone = Facts { interface_addresses: Vec::new(), ..facts };
        assert!(refused("", alone).contains(word));
    }
}

#[test]
fn an_address_that_no_host_can_have_is_refused_with_the_remedy() {
    for address in ["224.0.0.1/4", "127.0.0.1/8", "ff02::1/64", "10.0.0.255/24", "0.0.0.0/0"] {
        let wrong = refused(&format!("serve.addresses = [\"{address}\"]"), facts());
        assert!(wrong.starts_with("serve.addresses (--address) = ") && wrong.contains("; use "), "{wrong}");
    }
}

#[test]
fn a_route_must_stand_on_a_served_address_and_only_once() {
    let route =
        |address: &str, respond: &str| format!("[[route]]\naddress = \"{address}\"\nrespond = \"{respond}\"");
    assert!(refused(&route("10.0.0.2", "udp-echo:7"), facts()).contains("that is not served"));
    let twice = [route("10.0.0.1", "udp-echo:7"), route("10.0.0.1", "udp-echo:7")].join("\n");
    assert!(refused(&twice, facts()).contains("route.respond = \"udp-echo:7\""));
    assert!(plan_of(&route("10.0.0.1", "udp-echo:7"), facts()).is_ok());
}

#[test]
fn two_services_on_one_port_are_refused_by_both_names() {
    let wrong = refused("serve.respond = [\"udp-echo:862\", \"stamp\"]", facts());
    assert!(wrong.starts_with("serve.respond (--respond) = \"stamp:862\": route 2 (`stamp:862`)"), "{wrong}");
    assert!(wrong.contains("since route 1 (`udp-echo:862`) comes first"), "{wrong}");
    assert!(wrong.contains("; remove one of the two, "), "{wrong}");
    assert!(plan_of("serve.respond = [\"udp-echo:862\", \"stamp:862-863\"]", facts()).is_ok());
    assert!(plan_of("serve.respond = [\"udp-echo:7\", \"stamp\", \"sockperf:8\"]", facts()).is_ok());
}

#[test]
fn the_plan_says_which_mode_of_stamp_is_served() {
    let plan = plan_of("serve.respond = [\"stamp\"]", facts()).unwrap().to_string();
    assert!(
        plan.contains("STAMP        unauthenticated, packets of less than 44 bytes are dropped; stateless"),
        "{plan}"
    );
    let answering = "serve.respond = [\"stamp\"]\nstamp.short_packets = \"answer\"";
    let plan = plan_of(answering, facts()).unwrap().to_string();
    assert!(plan.contains("packets of less than 44 bytes are answered with 44; stateless"), "{plan}");
    assert!(!plan_of("", facts()).unwrap().to_string().contains("STAMP"));
    let wrong = refused("stamp.key_file = \"/nowhere/key\"", facts());
    assert!(wrong.starts_with("stamp.key_file (--stamp-key) = \"/nowhere/key\": "), "{wrong}");
}

#[test]
fn the_default_of_what_is_answered_everywhere_gives_way_to_routes_and_nothing_else_does() {
    let kernels = "[[route]]\nrespond = \"icmp-echo\"\ntier = \"kernel\"\n";
    let plan = plan_of(&format!("{kernels}[[route]]\nrespond = \"udp-echo:7\"\n"), facts()).unwrap();
    let routes: Vec<String> = plan.routes.routes().iter().map(ToString::to_string).collect();
    assert_eq!(routes, ["icmp-echo, tier kernel", "udp-echo:7"]);
    let wrong = refused(&format!("serve.respond = [\"udp-echo:7\", \"icmp-echo\"]\n{kernels}"), facts());
    assert!(wrong.starts_with("serve.respond (--respond) = \"icmp-echo\": route 3 (`icmp-echo`)"), "{wrong}");
    assert!(wrong.contains("route 1 (`icmp-echo, tier kernel`)"), "{wrong}");
}

/// A configuration with these routes, on Barelane's own addresses and VLANs 7 and 8.
fn own(routes: &[&str]) -> String {
    let routes = [&[""], routes].concat().join("\n[[route]]\n");
    format!("serve.addresses = [\"10.0.0.9/24\", \"fd00::9/64\"]\nserve.vlans = [7, 8]\n{routes}")
}

#[test]
fn a_route_is_refused_by_the_key_that_is_wrong_in_it() {
    for (route, wrong) in [
        (
            "respond = \"icmp-echo\"\nnic = \"eth1\"",
            "route.nic = \"eth1\": no packet comes by it: the interface that is served is eth9; write eth9",
        ),
        ("respond = \"icmp-echo\"\naddress = \"10.9.0.0/16\"", "route.address = \"10.9.0.0/16\": route 1"),
        ("respond = \"icmp-echo\"\nvlans = [\"untagged\", 9]", "route.vlans = \"9\": route 1"),
        (
            "respond = \"icmp-echo\"\naddress = \"10.0.0.9\"\nfrom = [\"fd00::/8\"]",
            "route.from = \"fd00::/8\": route 1",
        ),
        ("respond = \"stamp\"\ntier = \"driver\"", "route.tier = \"driver\": route 1"),
        (
            "respond = \"stamp\"\ntier = \"kernel\"\nnext_hop = \"auto\"",
            "route.next_hop = \"auto\": route 1 leaves its questions to the kernel, which sends the answers; leave the key out",
        ),
    ] {
        let told = refused(&own(&[route]), facts());
        assert!(told.starts_with(wrong) && told.contains("; "), "{told}");
    }
    let in_the_driver = own(&["respond = \"icmp-echo\"\ntier = \"driver\""]);
    assert!(plan_of(&in_the_driver, facts()).is_ok());
    let told = refused(&format!("serve.tier = \"lane\"\n{in_the_driver}"), facts());
    assert!(told.starts_with("route.tier = \"driver\": route 1"), "{told}");
    let right = [
        "respond = \"icmp-echo\"\nnic = \"eth9\"\naddress = \"10.0.0.0/24\"\nfrom = [\"10.0.0.0/8\"]\nvlans = [8]",
    ];
    assert!(plan_of(&own(&right), facts()).is_ok());
}

#[test]
fn the_plan_prints_routes_in_order_with_their_tiers_and_what_they_are_compiled_to() {
    let routes = [
        "respond = \"udp-echo:7\"\nfrom = [\"10.0.0.0/8\"]\ntier = \"kernel\"",
        "respond = \"udp-echo:4000-4999\"",
        "respond = \"stamp\"\nanswers_per_second_per_source = 50\nsource_prefix_ipv4 = 24",
    ];
    let text = plan_of(&own(&routes), facts()).unwrap().to_string();
    for part in [
        "route        1: udp-echo:7 from 10.0.0.0/8, tier kernel -> kernel (left to it)",
        "route        2: udp-echo:4000-4999 -> driver (the driver sends what its program answers)",
        "route        3: stamp:862, at most 50/s to one source (IPv4 /24, IPv6 /64) -> lane",
        "route        4: icmp-echo -> driver",
        "10.0.0.9/24: udp-echo:4000-4999, stamp:862, icmp-echo; Barelane's alone",
        "bytes for each lane",
        "warning      route 1 (`udp-echo:7 from 10.0.0.0/8, tier kernel`) leaves to the kernel",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn the_plan_says_which_routes_have_answers_go_another_way_than_the_others() {
    let routes =
        ["respond = \"udp-echo:7\"\nnext_hop = \"reflect\"", "respond = \"udp-echo:8\"\nnext_hop = \"auto\""];
    let text = plan_of(&own(&routes), facts()).unwrap().to_string();
    for part in [
        "1: udp-echo:7, next hop reflect -> driver",
        "2: udp-echo:8 -> driver",
        "table names; but 1 route says otherwise of its own\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let text = plan_of(&format!("serve.next_hop = \"reflect\"\n{}", own(&routes)), facts()).unwrap();
    for part in ["1: udp-echo:7 -> driver", "2: udp-echo:8, next hop auto -> driver", "; but 1 route says"] {
        assert!(text.to_string().contains(part), "{part} is not in\n{text}");
    }
    assert!(!plan_of(&own(&routes[1..]), facts()).unwrap().to_string().contains("otherwise"));
}

#[test]
fn the_kernels_routes_are_followed_where_an_answer_goes_by_them() {
    let route = |next_hop: &str| format!("[[route]]\nrespond = \"udp-echo:7\"\nnext_hop = \"{next_hop}\"\n");
    let kernels = "[[route]]\nrespond = \"icmp-echo\"\ntier = \"kernel\"\n";
    let ours = "serve.addresses = [\"10.0.0.9/24\"]\n";
    let reflect = "serve.next_hop = \"reflect\"\n";
    for (text, is_needed) in [
        (String::new(), true),
        (reflect.to_owned(), false),
        (format!("{reflect}{}", route("auto")), true),
        (format!("{reflect}{}", route("reflect")), false),
        // The rest of `serve.respond` goes by them.
        (route("reflect"), true),
        (format!("{}{kernels}", route("reflect")), false),
        (format!("{}{kernels}", route("auto")), true),
        // Of a closed port.
        (format!("{ours}{}{kernels}", route("reflect")), true),
        (format!("{ours}{reflect}{}{kernels}", route("reflect")), false),
    ] {
        assert_eq!(plan_of(&text, facts()).unwrap().needs_kernel_ways(), is_needed, "{text}");
    }
}

#[test]
fn what_a_route_says_of_its_answers_is_claimed_so() {
    let text = "[[route]]\nrespond = \"udp-echo:7\"\nnext_hop = \"reflect\"\n\
                [[route]]\nrespond = \"udp-echo:8-9\"\nnext_hop = \"reflect\"\n";
    for (servers, others) in [("auto", false), ("reflect", true)] {
        let claims = plan_of(&format!("serve.next_hop = \"{servers}\"\n{text}"), facts()).unwrap().claims();
        assert_eq!(claims.claims.len(), 4, "port 7 and echo, on two addresses");
        for claim in &claims.claims {
            assert_eq!(claim.is_reflected, claim.key.selector == 7 || others, "{claim:?}");
        }
        let mut verdicts = claims.refinements.verdicts.iter();
        assert_eq!(verdicts.len(), 2, "of ports 8-9, over IPv4 and IPv6");
        assert!(verdicts.all(|one| matches!(one, nic::xdp::Verdict::Tier { is_reflected: true, .. })));
        assert!(claims.addresses.iter().all(|address| [24, 64].contains(&address.link_len)));
    }
}

#[test]
fn on_an_address_that_the_kernel_has_too_the_program_decides_by_who_asks() {
    let plan = plan_of("[[route]]\nrespond = \"udp-echo:7\"\nfrom = [\"10.0.0.0/8\"]\n", facts()).unwrap();
    let claims = plan.claims();
    let refined: Vec<_> = claims.refined.iter().map(|key| (key.address.to_string(), key.protocol)).collect();
    assert_eq!(refined, [("10.0.0.1".to_owned(), 17)]);
    assert!(claims.claims.iter().all(|claim| claim.key.protocol != 17));
}

#[test]
fn a_range_that_reaches_into_the_ports_that_askers_have_is_warned_of() {
    let warned = |ports| {
        let plan = plan_of(&own(&[&format!("respond = \"udp-echo:{ports}\"")]), facts()).unwrap();
        plan.warnings.iter().any(|warning| warning.contains("asks from a port in"))
    };
    assert_eq!(["4000-4999", "40000", "30000-40000"].map(warned), [false, false, true]);
}

#[test]
fn more_than_the_programs_tables_hold_is_refused() {
    let addresses = |count: u32| -> String {
        let list: Vec<String> = (1..=count)
            .map(|host| format!("\"{}/8\"", std::net::Ipv4Addr::from((11 << 24) + host)))
            .collect();
        format!("serve.addresses = [{}]\n", list.join(", "))
    };
    let config = |count| Config::parse(&format!("nic.interface = \"eth9\"\n{}", addresses(count)), "test");
    let wrong = Plan::resolve(&config(16_385).unwrap(), facts()).unwrap_err().to_string();
    assert!(wrong.starts_with("serve.addresses (--address) = \"16385\": "), "{wrong}");
    assert!(wrong.contains("at most 16384"), "{wrong}");
    let mut many = config(2000).unwrap();
    many.serve.respond = (1..=33).map(|port| format!("udp-echo:{port}").parse().unwrap()).collect();
    let wrong = Plan::resolve(&many, facts()).unwrap_err().to_string();
    assert!(wrong.starts_with("serve.respond (--respond) = \"66000 claims\": "), "{wrong}");
    assert!(wrong.contains("at most 65536"), "{wrong}");
    many.serve.respond = vec!["udp-echo:1-33".parse().unwrap()];
    assert!(Plan::resolve(&many, facts()).is_ok(), "a range is one claim on each address");
}

#[test]
fn nothing_to_answer_is_refused() {
    assert!(refused("serve.respond = []", facts()).contains("no service is named; add one"));
    let nobody = Facts { interface_addresses: Vec::new(), ..facts() };
    assert!(refused("", nobody).contains("no address is served; give one"));
}

#[test]
fn an_interface_that_cannot_be_served_is_refused_with_the_command_that_helps() {
    let with = |change: fn(&mut Link)| {
        let mut facts = facts();
        change(&mut facts.link);
        refused("", facts)
    };
    assert!(with(|link| link.is_up = false).contains("ip link set eth9 up"));
    assert!(with(|link| link.mtu = 9000).contains("ip link set eth9 mtu"));
    let program = with(|link| {
        link.program =
            Some(AttachedProgram { id: 42, name: Some("other".into()), mode: ProgramMode::Native });
    });
    assert!(program.contains("program 42 (other, native)") && program.contains("xdp off"), "{program}");
}

#[test]
fn partial_checksums_are_accepted_on_a_veth_only_and_the_plan_says_why() {
    let plan = plan_of("", facts()).unwrap();
    assert_eq!(plan.lane.partial_checksums, PartialChecksums::Refuse);
    let mut veth = facts();
    veth.link.kind = Some("veth".into());
    let plan = plan_of("", veth.clone()).unwrap();
    assert_eq!(plan.lane.partial_checksums, PartialChecksums::Accept);
    assert!(plan.to_string().contains("a sender on a veth leaves them"));
    let plan = plan_of("lane.partial_checksums = \"refuse\"", veth).unwrap();
    assert_eq!(plan.lane.partial_checksums, PartialChecksums::Refuse);
    assert!(plan.to_string().contains("lane.partial_checksums says so"));
}

#[test]
fn the_plan_prints_every_lane_and_every_address() {
    let text = plan_of("", facts()).unwrap().to_string();
    for part in
        ["eth9 (index 7", "queue 0 on core 1", "queue 1 on core 2", "10.0.0.1/24: icmp-echo", "fd00::1/64"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

fn tier_of(text: &str, kind: Option<&str>, other_end_has_program: Option<bool>) -> (Tier, bool) {
    let facts = facts();
    let link = Link { kind: kind.map(Into::into), ..facts.link.clone() };
    let plan = plan_of(text, Facts { link, other_end_has_program, ..facts }).unwrap();
    let is_warned = plan.warnings.iter().any(|warning| warning.contains("may be lost"));
    assert!(!plan.earliest.why.is_empty());
    (plan.earliest.tier, is_warned)
}

#[test]
fn the_earliest_tier_is_one_that_the_link_is_known_to_carry() {
    for (text, kind, other_end, wanted) in [
        ("", None, None, Tier::Driver),
        ("", Some("veth"), Some(true), Tier::Driver),
        ("", Some("veth"), Some(false), Tier::Lane),
        ("", Some("veth"), None, Tier::Lane),
        ("nic.mode = \"generic\"", Some("veth"), Some(false), Tier::Driver),
        ("serve.tier = \"lane\"", None, None, Tier::Lane),
        ("serve.tier = \"driver\"", Some("veth"), Some(true), Tier::Driver),
    ] {
        assert_eq!(tier_of(text, kind, other_end), (wanted, false), "{text} {kind:?} {other_end:?}");
    }
    for other_end in [Some(false), None] {
        assert_eq!(tier_of("serve.tier = \"driver\"", Some("veth"), other_end), (Tier::Driver, true));
    }
}

#[test]
fn what_the_driver_answers_is_claimed_for_it_and_the_rest_for_the_lane() {
    let claims =
        plan_of("serve.respond = [\"icmp-echo\", \"udp-echo:7\", \"stamp\"]", facts()).unwrap().claims();
    for claim in &claims.claims {
        let wanted = if claim.key.selector == 862 { nic::xdp::Tier::Lane } else { nic::xdp::Tier::Driver };
        assert_eq!(claim.tier, wanted, "{claim:?}");
    }
    assert!(claims.addresses.iter().all(|address| address.neighbours == nic::xdp::Tier::Driver));
    assert_eq!(claims.addresses[0].broadcast, Some("10.0.0.255".parse().unwrap()));
    assert!([7, 862, 123, 0].iter().all(|port| claims.answers.refused_sources.contains(port)));
}

#[test]
fn an_age_limit_has_arrivals_stamped_and_rings_no_deeper_than_it_leaves_time_for() {
    let card = |text: &str, facts: Facts| match plan_of(text, facts).unwrap().card {
        CardPlan::Xdp(settings) => (settings.arrivals, settings.ring_size),
        CardPlan::Memif(_) => panic!("a memif"),
    };
    let veth = || Facts { link: Link { kind: Some("veth".into()), driver: None, ..facts().link }, ..facts() };
    assert_eq!(card("", facts()), (ArrivalStamps::None, 2048));
    assert_eq!(card("nic.arrival_stamps = \"driver\"", facts()), (ArrivalStamps::Program, 2048));
    let limited = "lane.age_limit = \"50us\"";
    assert_eq!(card(limited, facts()), (ArrivalStamps::Program, 1024));
    assert_eq!(card(limited, veth()), (ArrivalStamps::Program, 256));
    assert_eq!(card(&format!("{limited}\nnic.zero_copy = \"no\""), facts()).1, 256);
    assert_eq!(card(&format!("{limited}\nnic.ring_size = 4096"), veth()).1, 4096);
    let said = plan_of(limited, veth()).unwrap().to_string();
    let why = "rings of 256 slots (no deeper than an age limit of 50us leaves time for, at 1us an answer)";
    assert!(said.contains(why) && said.contains("waited for more than 50us"), "{said}");
}

#[test]
fn the_kernel_stamps_departures_where_it_is_asked_and_what_is_not_its_own_clock_is_refused() {
    let plan = |text: &str| plan_of(text, facts()).unwrap();
    assert_eq!(plan("").card.departures(), TransmitStamps::None);
    assert!(plan("").to_string().contains("departures   nobody says when answers leave"));
    let asked = plan("nic.transmit_stamps = \"kernel\"");
    assert_eq!(asked.card.departures(), TransmitStamps::Kernel);
    assert!(asked.to_string().contains("counted from the beginning of the lane's turn"), "{asked}");
    let asked = plan("nic.transmit_stamps = \"kernel\"\nnic.arrival_stamps = \"driver\"");
    assert!(asked.to_string().contains("counted from the question's arrival stamp"), "{asked}");
    assert!(!asked.to_string().contains("address of the kernel's memory"), "{asked}");
    let veth = Facts { link: Link { kind: Some("veth".into()), driver: None, ..facts().link }, ..facts() };
    let asked = plan_of("nic.transmit_stamps = \"kernel\"", veth).unwrap().to_string();
    assert!(asked.contains("warning      nic.transmit_stamps (--transmit-stamps): who receives"), "{asked}");
    let wrong = refused("nic.transmit_stamps = \"kernel\"\nnic.zero_copy = \"yes\"", facts());
    assert!(wrong.starts_with("nic.transmit_stamps (--transmit-stamps) = \"kernel\": "), "{wrong}");
    assert!(wrong.ends_with("; write none, or nic.zero_copy (--zero-copy) = no"), "{wrong}");
}

#[test]
fn streams_are_told_with_what_they_take_and_that_nothing_has_any() {
    let said = |text: &str| plan_of(text, facts()).unwrap().to_string();
    assert!(said("").contains("streams      none"), "{}", said(""));
    let plan = said("lane.streams = 1024\nserve.respond = [\"icmp-echo\", \"stamp\"]");
    assert!(plan.contains("each lane tells 1024 apart") && plan.contains("; 192 KiB of streams"), "{plan}");
    assert!(!plan.contains("carries a sequence"), "{plan}");
    let plan = said("lane.streams = 4");
    assert!(
        plan.contains("(lane.streams (--streams)), and no question that is answered carries a sequence"),
        "{plan}"
    );
}

#[test]
fn an_age_limit_that_could_not_hold_is_refused() {
    let wrong = refused("lane.age_limit = \"50us\"\nnic.arrival_stamps = \"none\"", facts());
    assert!(wrong.starts_with("lane.age_limit (--age-limit) = \"50us\": no question has an age"), "{wrong}");
    assert!(wrong.ends_with("write off, or nic.arrival_stamps (--arrival-stamps) = auto"), "{wrong}");
    for (setting, says) in [
        (
            "lane.age_limit = \"2ms\"",
            "lane.age_limit (--age-limit) = \"2ms\": no question has an age in shared memory",
        ),
        ("nic.arrival_stamps = \"driver\"", "nic.arrival_stamps (--arrival-stamps) = \"driver\": no program"),
        (
            "nic.transmit_stamps = \"kernel\"",
            "nic.transmit_stamps (--transmit-stamps) = \"kernel\": no kernel stands behind a queue in shared memory; write none",
        ),
    ] {
        let text = format!("nic.memif = \"@age\"\nnic.mac = \"02:00:00:00:00:01\"\n{setting}");
        let text = format!("serve.addresses = [\"10.0.0.9/24\"]\n{text}");
        let config = Config::parse(&text, "test").unwrap();
        let wrong = Plan::resolve(&config, Facts::gather(&config).unwrap()).unwrap_err().to_string();
        assert!(wrong.starts_with(says), "{wrong}");
    }
}
