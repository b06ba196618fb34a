//! Who is on the link is answered at the station that asked; the others go by the kernel's routes, of which there is none here.

use std::net::IpAddr;

use nic::xdp::dry_run::{Action, DryRun};
use nic::xdp::{Answers, Claim, ClaimKey, ClaimedAddress, Claims, Owner, Tier};
use route::{Asks, Question};

use crate::can_load;
use crate::refined::frame;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// No bit that is changed in one of these makes it an address that no host can have.
const OWN: [&str; 2] = ["10.85.85.85", "2001:db8:5555::5555"];

/// Echo of an address whose link has a prefix of this length.
fn claims(address: IpAddr, link_len: u8) -> Claims {
    let (protocol, selector) = if address.is_ipv4() { (1, 8) } else { (58, 128) };
    let key =
        |protocol, selector| Claim { key: ClaimKey { address, protocol, selector }, tier: Tier::Driver };
    Claims {
        mac: MAC,
        addresses: vec![ClaimedAddress { link_len, ..ClaimedAddress::new(address, Owner::Kernel) }],
        claims: vec![key(protocol, selector), key(17, 7)],
        answers: Answers { hop_limit: 64, ..Answers::default() },
        ..Claims::default()
    }
}

/// The address that shares exactly so many of its first bits with this one.
fn sharing(own: IpAddr, bit_count: u8) -> IpAddr {
    match own {
        IpAddr::V4(own) => IpAddr::V4((own.to_bits() ^ (1 << 31 >> bit_count)).into()),
        IpAddr::V6(own) => IpAddr::V6((own.to_bits() ^ (1 << 127 >> bit_count)).into()),
    }
}

#[test]
fn an_asker_is_on_the_link_who_shares_its_prefix() {
    if !can_load() {
        return;
    }
    let mut program = DryRun::load(&Claims::default()).unwrap();
    for own in OWN.map(|own| own.parse::<IpAddr>().unwrap()) {
        let bits = if own.is_ipv4() { 32 } else { 128 };
        for link_len in 0..=bits {
            program.set_claims(&claims(own, link_len)).unwrap();
            for shared in 0..bits {
                let asks = if shared % 2 == 0 { Asks::Echo } else { Asks::Udp(7) };
                let question = frame(MAC, &Question { from: sharing(own, shared), to: own, asks, vid: 0 });
                let (action, _) = program.run(&question).unwrap();
                let wanted = if shared >= link_len { Action::Reply } else { Action::Drop };
                assert_eq!(action, wanted, "{shared} bits shared with {own}/{link_len}");
            }
        }
    }
}

#[test]
fn who_has_an_address_for_the_link_alone_is_on_it() {
    if !can_load() {
        return;
    }
    let to: IpAddr = OWN[1].parse().unwrap();
    let program = DryRun::load(&claims(to, 64)).unwrap();
    for (from, wanted) in [
        ("fe80::9", Action::Reply),
        ("febf:ffff::9", Action::Reply),
        ("fec0::9", Action::Drop),
        ("fe7f::9", Action::Drop),
    ] {
        let question = Question { from: from.parse().unwrap(), to, asks: Asks::Echo, vid: 0 };
        assert_eq!(program.run(&frame(MAC, &question)).unwrap().0, wanted, "{from}");
    }
}
