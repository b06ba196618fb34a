//! Frames that no wire has brought, put to a card that serves.

use std::thread;

use barelane_nic::Queue;
use barelane_nic::xdp::dry_run::Action;
use barelane_nic::xdp::{Claim, Claims, Entrance, Judged, ModeChoice, Settings, StandIn, Tier};

use crate::cable::{Cable, LIMIT, NOTHING, arrives, claims, receive};
use crate::packets::{CLIENT_MAC, CLIENTS, KERNELS, OURS, SERVER_MAC, icmp, tcp, udp, v4};

/// What the program of a cable makes of a frame, as if that queue had received it.
fn judge(cable: &Cable, stand_in: &StandIn, queue: u32, frame: &[u8]) -> (Action, Vec<u8>) {
    let mut out = vec![0xa5; 2048];
    let entrance = Entrance { ifindex: cable.ifindex, queue };
    let Judged { action, len, .. } =
        cable.server.run(|| stand_in.judge(entrance, frame, &mut out)).unwrap().unwrap();
    out.truncate(len);
    (action, out)
}

#[test]
fn the_program_that_serves_says_what_it_would_do_and_nothing_goes_anywhere() {
    let Some(cable) = Cable::lay(2) else { return };
    for mode in [ModeChoice::Native, ModeChoice::Generic] {
        let (attachment, mut queues) = cable.open(&Settings { mode, ..cable.settings() }).unwrap();
        let (client, kernel) = (cable.client_socket(), cable.kernel_socket());
        let stand_in = attachment.stand_in().unwrap();
        let question = udp(KERNELS, 7);
        assert_eq!(judge(&cable, &stand_in, 0, &question), (Action::Redirect, question.clone()));
        assert_eq!(judge(&cable, &stand_in, 1, &question).0, Action::Pass, "no socket is there");
        assert_eq!(judge(&cable, &stand_in, 0, &udp(KERNELS, 8)).0, Action::Pass);
        assert_eq!(judge(&cable, &stand_in, 0, &tcp(OURS)).0, Action::Drop);
        assert!(receive(&mut queues[0], NOTHING).is_none());
        assert!(!arrives(&kernel, &question, NOTHING) && !arrives(&client, &question, NOTHING));
    }
}

#[test]
fn an_answer_of_the_driver_tier_comes_back_and_does_not_leave() {
    let Some(cable) = Cable::lay(1) else { return };
    let (mut attachment, mut queues) = cable.open(&cable.settings()).unwrap();
    let stand_in = attachment.stand_in().unwrap();
    let Claims { claims: list, .. } = claims();
    let answered = list.into_iter().map(|claim| Claim { tier: Tier::Driver, ..claim }).collect();
    attachment.set_claims(&Claims { claims: answered, ..claims() }).unwrap();
    let client = cable.client_socket();
    let (action, answer) = judge(&cable, &stand_in, 0, &icmp(KERNELS, 8));
    assert_eq!(action, Action::Reply);
    assert_eq!([&answer[..6], &answer[6..12]], [CLIENT_MAC, SERVER_MAC]);
    assert_eq!([&answer[26..30], &answer[30..34]], [v4(KERNELS), v4(CLIENTS)]);
    assert_eq!(answer[34], 0, "an echo reply");
    assert!(!arrives(&client, &answer, NOTHING) && receive(&mut queues[0], NOTHING).is_none());
}

#[test]
fn behind_the_driver_a_frame_goes_the_way_of_every_frame_into_the_ring_of_queue_0() {
    let Some(cable) = Cable::lay(1) else { return };
    let settings = Settings { mode: ModeChoice::Generic, ..cable.settings() };
    let (attachment, mut queues) = cable.open(&settings).unwrap();
    let (stand_in, kernel) = (attachment.stand_in().unwrap(), cable.kernel_socket());
    let put = |frame: &[u8]| cable.server.run(|| stand_in.receive(cable.ifindex, frame)).unwrap().unwrap();
    for size in [46, 100, 1000] {
        let mut question = udp(KERNELS, 7);
        question.resize(14 + size, 0);
        put(&question);
        let frame = receive(&mut queues[0], LIMIT).expect("it does not reach the ring");
        assert_eq!(queues[0].room_mut(&frame)[..frame.len()], question);
        queues[0].release(frame);
    }
    let passed = udp(KERNELS, 8);
    put(&passed);
    assert!(arrives(&kernel, &passed, LIMIT) && receive(&mut queues[0], NOTHING).is_none());
}

/// The case that a lock is there for: one core puts frames in, and another brings them by the cable.
#[test]
fn behind_the_driver_frames_of_two_cores_do_not_get_lost_and_keep_their_buffers() {
    const COUNT: usize = 400;
    let Some(cable) = Cable::lay(1) else { return };
    let settings = Settings { mode: ModeChoice::Generic, ..cable.settings() };
    let (attachment, mut queues) = cable.open(&settings).unwrap();
    let (stand_in, client) = (attachment.stand_in().unwrap(), cable.client_socket());
    let (put, sent) = (udp(KERNELS, 7), udp(OURS, 9));
    let mut received = [0, 0];
    thread::scope(|scope| {
        scope.spawn(|| {
            let put = || (0..COUNT).for_each(|_| stand_in.receive(cable.ifindex, &put).unwrap());
            cable.server.run(put).unwrap();
        });
        scope.spawn(|| (0..COUNT).for_each(|_| client.send(&sent).unwrap()));
        while received.iter().sum::<usize>() < 2 * COUNT {
            let Some(frame) = receive(&mut queues[0], LIMIT) else { break };
            let bytes = &queues[0].room_mut(&frame)[..frame.len()];
            let which = [&put, &sent].iter().position(|one| **one == *bytes);
            received[which.expect("a frame that is neither")] += 1;
            queues[0].release(frame);
            queues[0].flush();
        }
    });
    assert_eq!(received, [COUNT, COUNT]);
    assert_eq!(queues[0].held(), 0);
}

#[test]
fn an_interface_or_a_queue_that_is_not_there_is_told() {
    let Some(cable) = Cable::lay(1) else { return };
    let (attachment, _queues) = cable.open(&cable.settings()).unwrap();
    let stand_in = attachment.stand_in().unwrap();
    let errno = |ifindex, queue| {
        let judged = || stand_in.judge(Entrance { ifindex, queue }, &udp(KERNELS, 7), &mut [0; 2048]);
        cable.server.run(judged).unwrap().unwrap_err().raw_os_error()
    };
    assert_eq!(errno(cable.ifindex + 1000, 0), Some(libc::ENODEV));
    assert_eq!(errno(cable.ifindex, 1), Some(libc::EINVAL));
    let received = cable.server.run(|| stand_in.receive(cable.ifindex + 1000, &udp(KERNELS, 7))).unwrap();
    assert_eq!(received.unwrap_err().raw_os_error(), Some(libc::ENODEV));
}
