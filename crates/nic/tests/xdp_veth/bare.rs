//! The programs that do as little as a program can.

use barelane_nic::xdp::bare::{self, Bare};
use barelane_nic::xdp::generator::{Answered, Generator};
use barelane_nic::xdp::{Mode, ModeChoice, XdpError};
use etherparse::PacketBuilder;

use crate::cable::{Cable, INTERFACE, LIMIT, arrives};
use crate::packets::{CLIENT_MAC, CLIENTS, KERNELS, OURS, SERVER_MAC, icmp, udp, v4};

/// What another stack would send back.
fn answer_to_echo_request() -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(SERVER_MAC, CLIENT_MAC).ipv4(v4(OURS), v4(CLIENTS), 64);
    builder.icmpv4_raw(0, 0, [0, 1, 0, 1]).write(&mut packet, &[0xa5; 20]).unwrap();
    packet
}

fn answer_to_udp() -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(SERVER_MAC, CLIENT_MAC).ipv4(v4(OURS), v4(CLIENTS), 64);
    builder.udp(9, 4000).write(&mut packet, b"a question, and its tail of zeros\0\0\0").unwrap();
    packet
}

#[test]
fn the_swap_answers_in_the_driver_and_passes_what_it_cannot_answer() {
    let Some(cable) = Cable::lay(1) else { return };
    let attach = || bare::attach(Bare::Swap, INTERFACE, cable.ifindex, ModeChoice::Native);
    let swap = cable.server.run(attach).unwrap().unwrap();
    assert_eq!(swap.mode(), Mode::Native);
    assert_eq!(cable.program().unwrap().name.unwrap(), Bare::Swap.name());
    // Without a program at the other end a veth does not deliver what XDP_TX sends.
    let pass = || bare::attach(Bare::Pass, "bl1", cable.peer, ModeChoice::Native);
    let _pass = cable.client.run(pass).unwrap().unwrap();

    let (client, kernel) = (cable.client_socket(), cable.kernel_socket());
    for (question, answer) in [(udp(OURS, 9), answer_to_udp()), (icmp(OURS, 8), answer_to_echo_request())] {
        client.send(&question).unwrap();
        assert!(arrives(&client, &answer, LIMIT));
    }
    for passed in [icmp(KERNELS, 0), icmp(KERNELS, 13), [&CLIENT_MAC[..], &[0xa5; 60]].concat()] {
        client.send(&passed).unwrap();
        assert!(arrives(&kernel, &passed, LIMIT));
    }
    drop(swap);
    assert!(cable.program().is_none());
}

#[test]
fn a_bare_program_does_not_replace_another() {
    let Some(cable) = Cable::lay(1) else { return };
    let attach = || bare::attach(Bare::Pass, INTERFACE, cable.ifindex, ModeChoice::Auto);
    let _first = cable.server.run(attach).unwrap().unwrap();
    let error = cable.server.run(attach).unwrap().unwrap_err();
    assert!(matches!(error, XdpError::Occupied { .. }), "{error}");
    assert!(error.to_string().contains(Bare::Pass.name()), "{error}");
}

/// Frames that the client's end has received, those included that its program dropped: the second word behind the name.
fn received(cable: &Cable) -> u64 {
    let text = cable.client.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
    let row = text.lines().find_map(|line| line.trim().strip_prefix("bl1:")).unwrap();
    row.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Far more than there are frames, so that each comes round again and again.
const GENERATED: u32 = 20_000;

#[test]
fn every_frame_of_the_generator_is_a_question_also_when_it_comes_round_as_an_answer() {
    let Some(cable) = Cable::lay(1) else { return };
    let (client, kernel) = (cable.client_socket(), cable.kernel_socket());
    let question = udp(OURS, 9);
    let generator = |answered| {
        let make = || Generator::new(cable.peer, &question, answered).unwrap();
        cable.client.run(make).unwrap()
    };
    let send = |generator: &Generator, count| cable.client.run(|| generator.send(count)).unwrap();

    // With nothing that answers, the kernel sees what is sent.
    let end = |bare| cable.client.run(|| bare::attach(bare, "bl1", cable.peer, ModeChoice::Native)).unwrap();
    let server = |bare| {
        let attach = || bare::attach(bare, INTERFACE, cable.ifindex, ModeChoice::Native);
        cable.server.run(attach).unwrap().unwrap()
    };
    let (passing, _seeing) = (server(Bare::Pass), end(Bare::Pass).unwrap());
    for answered in [Answered::Elsewhere, Answered::InPlace] {
        send(&generator(answered), 1).unwrap();
        assert!(arrives(&kernel, &question, LIMIT), "{answered:?}");
    }
    drop(passing);

    // With one that does, the client sees as many answers as there were questions, and the last is one.
    let _swapping = server(Bare::Swap);
    let before = received(&cable);
    send(&generator(Answered::InPlace), GENERATED).unwrap();
    let answers = received(&cable) - before;
    // The server's kernel may have had something to say too.
    assert!((GENERATED..GENERATED + 10).contains(&u32::try_from(answers).unwrap()), "{answers}");
    assert!(arrives(&client, &answer_to_udp(), LIMIT));
}
