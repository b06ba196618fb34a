//! What the kernel and a lane may do differently, each by the words that `docs/conformance.md` has for it.

use telemetry::Reason;
use testkit::endpoint::{Address, Endpoint, Owner};
use testkit::vectors::Outcome;

use super::{ARP, IPV4, IPV6, ethertype};

const CODE: &str = "a code that is not 0";
const OPTIONS: &str = "options, extension headers and fragments";
const TO_MANY: &str = "a frame to many";
const FROM_NOBODY: &str = "a frame from a group, or from ourselves";
const ARP_FROM_NOBODY: &str = "an ARP sender that is a group, or ourselves";
const ARP_HARDWARE: &str = "an ARP hardware type of 6";
const SOURCE: &str = "a source that is our own, or nobody's";
const TO_A_GROUP: &str = "an echo request to a group";
const NO_WAY: &str = "an asker whom the kernel has no way to";
const DEFENCE: &str = "the defence of an address";
const ELSEWHERE: &str = "a solicitation sent elsewhere";
const STATION: &str = "the station that is answered";
const ZEROS: &str = "a reply of zeros only";
const TO_US_ALONE: &str = "a solicitation to us alone";

/// All of them.
pub(super) const DEVIATIONS: [&str; 14] = [
    CODE,
    OPTIONS,
    TO_MANY,
    FROM_NOBODY,
    ARP_FROM_NOBODY,
    ARP_HARDWARE,
    SOURCE,
    TO_A_GROUP,
    NO_WAY,
    DEFENCE,
    ELSEWHERE,
    STATION,
    ZEROS,
    TO_US_ALONE,
];

/// Which deviation it is where the two do not do the same; nothing where it is none of them.
pub(super) fn deviation(
    question: &[u8],
    kernels: Option<&[u8]>,
    lanes: &Outcome,
    endpoint: &Endpoint,
) -> Option<&'static str> {
    match (kernels, lanes) {
        (Some(kernels), Outcome::Reply(lanes)) => difference(question, kernels, lanes),
        (Some(_), Outcome::Pass(_, Some(reason)) | Outcome::Drop(Some(reason))) => {
            by_kernel_alone(question, *reason, endpoint)
        }
        (None, Outcome::Reply(answer)) => by_lane_alone(question, answer, endpoint),
        _ => None,
    }
}

/// Why a lane does not answer what the kernel does.
fn by_kernel_alone(question: &[u8], reason: Reason, endpoint: &Endpoint) -> Option<&'static str> {
    let is_ipv4 = ethertype(question) == IPV4;
    let code = question.get(if is_ipv4 { 35 } else { 55 });
    let is_from_nobody = |mac: &[u8]| mac[0] & 1 == 1 || mac == endpoint.mac;
    let (is, name) = match reason {
        Reason::Unclaimed if !is_ipv4 && question[38] == 0xff => (question.get(54) == Some(&128), TO_A_GROUP),
        Reason::Unclaimed => (code.is_some_and(|&code| code != 0), CODE),
        Reason::Ipv4Options | Reason::Ipv6Extension | Reason::Ipv4Fragment => (true, OPTIONS),
        Reason::EthernetNotOurs => (question[0] & 1 == 1, TO_MANY),
        Reason::EthernetSource => (is_from_nobody(&question[6..12]), FROM_NOBODY),
        Reason::ArpMalformed if question[14..16] == [0, 6] => (true, ARP_HARDWARE),
        Reason::ArpMalformed => (is_from_nobody(&question[22..28]), ARP_FROM_NOBODY),
        Reason::SourceInvalid => (true, SOURCE),
        _ => return None,
    };
    is.then_some(name)
}

/// Why a lane answers what the kernel does not.
fn by_lane_alone(question: &[u8], answer: &[u8], endpoint: &Endpoint) -> Option<&'static str> {
    let asker = &endpoint.asker;
    let knows_asker = match ethertype(question) {
        ARP if answer[..6] == [0xff; 6] => return Some(DEFENCE),
        ARP => question[28..32] == asker.ipv4.octets(),
        IPV4 => question[26..30] == asker.ipv4.octets(),
        _ => question[22..38] == asker.ipv6.octets(),
    };
    let is_own = |address: &Address| {
        address.owner == Owner::Barelane
            && matches!(address.ip, std::net::IpAddr::V6(ip) if question[38..54] == ip.octets())
    };
    if !knows_asker {
        return Some(NO_WAY);
    }
    (ethertype(question) == IPV6 && !endpoint.addresses.iter().any(is_own)).then_some(ELSEWHERE)
}

/// What two answers differ in, the first of it; nothing where it is another thing.
fn difference(question: &[u8], kernels: &[u8], lanes: &[u8]) -> Option<&'static str> {
    let (mut kernels, mut lanes) = (comparable(kernels), comparable(lanes));
    let mut names = Vec::new();
    if kernels[..6] != lanes[..6] {
        kernels[..6].copy_from_slice(&lanes[..6]);
        names.push(STATION);
    }
    if ethertype(&lanes) == IPV4 && kernels[36..38] != lanes[36..38] {
        assert_eq!((&kernels[36..38], &lanes[36..38]), (&[0; 2][..], &[0xff; 2][..]), "another checksum");
        kernels[36..38].fill(0xff);
        names.push(ZEROS);
    }
    if ethertype(&lanes) == IPV6 && lanes[54] == 136 && question[38] != 0xff {
        [&mut kernels, &mut lanes].into_iter().for_each(leave_out_option);
        names.push(TO_US_ALONE);
    }
    if kernels == lanes { names.first().copied() } else { None }
}

/// An advertisement without its option and the flag Override; its length and checksum are others then.
fn leave_out_option(advertisement: &mut Vec<u8>) {
    const OVERRIDE: u8 = 0x20;
    const WITHOUT_OPTION: usize = 14 + 40 + 24;
    advertisement[18..20].fill(0);
    advertisement[56..58].fill(0);
    advertisement[58] &= !OVERRIDE;
    advertisement.truncate(WITHOUT_OPTION);
}

/// What of an answer the two must agree on: not ECN, ID, DF, TTL and the IPv4 checksum; not ECN, flow label and hop limit.
pub(super) fn comparable(answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    match ethertype(&answer) {
        IPV4 => {
            answer[15] &= 0xfc;
            answer[18..21].fill(0);
            answer[22] = 0;
            answer[24..26].fill(0);
        }
        IPV6 if answer[54] == 129 => {
            answer[15] &= 0xc0;
            answer[16..18].fill(0);
            answer[21] = 0;
        }
        _ => {}
    }
    answer
}
