//! Both ends of memif, ours, in one process: what one sends the other has, whatever the role.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop"
)]

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use barelane_nic::memif::{Control, Idle, MemifQueue, Role, Settings, SocketName, open};
use barelane_nic::{FRAME_LEN_MIN, Queue};

mod alone;
mod foreign;
mod hostile;
mod raw;

/// How long anything may take that takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Settings for a socket that nobody else has.
fn settings(name: &str) -> Settings {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Settings {
        socket: SocketName::new(&format!("@barelane-{}-{number}-{name}", process::id())),
        role: Role::Server,
        id: 0,
        secret: None,
        queues: 1,
        ring_size: 256,
        buffer_size: 2048,
        idle: Idle::Spin,
    }
}

fn client_of(settings: &Settings) -> Settings {
    Settings { role: Role::Client, ..settings.clone() }
}

/// A client of these settings.
fn open_client(settings: &Settings) -> (Control, Vec<MemifQueue>) {
    open(&client_of(settings)).unwrap()
}

/// Turns until it is so.
fn until(mut is_so: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::yield_now();
    }
}

/// Turns until somebody is connected.
fn join(queue: &mut MemifQueue) {
    let is_joined = || {
        queue.rx();
        queue.is_connected()
    };
    until(is_joined, "a connection");
}

/// Turns until nobody is connected any more.
fn part(queue: &mut MemifQueue) {
    let is_parted = || {
        queue.rx();
        !queue.is_connected()
    };
    until(is_parted, "the end of the connection");
}

/// Takes everything that waits.
fn take(queue: &mut MemifQueue) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    let mut burst = queue.rx();
    while let Some(frame) = queue.next(&mut burst) {
        let len = frame.len();
        taken.push(queue.room_mut(&frame)[..len].to_vec());
        queue.release(frame);
    }
    queue.flush();
    taken
}

/// Sends one packet; false where there is no room.
fn send(queue: &mut MemifQueue, packet: &[u8]) -> bool {
    let Some(mut frame) = queue.spare() else { return false };
    queue.room_mut(&frame)[..packet.len()].copy_from_slice(packet);
    frame.set_len(packet.len());
    queue.tx(frame).map_err(|frame| queue.release(frame)).is_ok()
}

/// Sends everything back.
fn echo(queue: &mut MemifQueue) -> usize {
    let mut burst = queue.rx();
    let mut count = 0;
    while let Some(frame) = queue.next(&mut burst) {
        let byte = queue.room_mut(&frame)[0];
        queue.room_mut(&frame)[0] = byte ^ 0xff;
        match queue.tx(frame) {
            Ok(()) => count += 1,
            Err(frame) => queue.release(frame),
        }
    }
    queue.flush();
    count
}

/// Two connected ends: the server's and the client's.
fn connected(settings: &Settings) -> [(Control, Vec<MemifQueue>); 2] {
    let mut server = open(settings).unwrap();
    let mut client = open(&client_of(settings)).unwrap();
    for (_, queues) in [&mut server, &mut client] {
        for queue in queues {
            join(queue);
        }
    }
    [server, client]
}

fn packet(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from((number * 31 + index * 7) % 251).unwrap()).collect()
}

/// Packets of all lengths to a server or a client that sends them back, many times around the rings.
fn conversation(asking: &mut MemifQueue, answering: &mut MemifQueue, rounds: usize) {
    let mut number = 0;
    for round in 0..rounds {
        let wanted: Vec<_> = (0..=round % 150)
            .map(|_| {
                number += 1;
                packet(number, FRAME_LEN_MIN + (number * 13) % (2048 - FRAME_LEN_MIN + 1))
            })
            .collect();
        let mut answers = Vec::new();
        let mut unsent = wanted.iter();
        let deadline = Instant::now() + PATIENCE;
        let mut next = unsent.next();
        while answers.len() < wanted.len() {
            assert!(Instant::now() < deadline, "round {round}: {} of {}", answers.len(), wanted.len());
            while next.is_some_and(|packet| send(asking, packet)) {
                next = unsent.next();
            }
            asking.flush();
            echo(answering);
            answers.extend(take(asking));
        }
        for (answer, packet) in answers.iter_mut().zip(&wanted) {
            answer[0] ^= 0xff;
            assert!(answer == packet, "round {round}");
        }
        assert_eq!((asking.held(), answering.held()), (0, 0));
    }
}

#[test]
fn what_a_client_asks_a_server_answers() {
    let [(_server, mut servers), (_client, mut clients)] = connected(&settings("server"));
    conversation(&mut clients[0], &mut servers[0], 400);
}

#[test]
fn what_a_server_asks_a_client_answers() {
    let [(_server, mut servers), (_client, mut clients)] = connected(&settings("client"));
    conversation(&mut servers[0], &mut clients[0], 400);
}

#[test]
fn every_queue_has_its_own_packets() {
    let settings = Settings { queues: 3, ..settings("queues") };
    let [(_server, mut servers), (_client, mut clients)] = connected(&settings);
    for (number, queue) in clients.iter_mut().enumerate() {
        assert!(send(queue, &packet(number, 100)));
        queue.flush();
    }
    for (number, queue) in servers.iter_mut().enumerate() {
        assert_eq!(take(queue), [packet(number, 100)]);
    }
}

#[test]
fn a_server_with_fewer_queues_gets_fewer() {
    let server_settings = Settings { queues: 1, ..settings("fewer") };
    let (_server, mut servers) = open(&server_settings).unwrap();
    let (_client, mut clients) = open(&Settings { queues: 2, ..client_of(&server_settings) }).unwrap();
    join(&mut clients[0]);
    clients[1].rx();
    assert!(!clients[1].is_connected() && !send(&mut clients[1], &[0; 60]));
    join(&mut servers[0]);
    conversation(&mut clients[0], &mut servers[0], 3);
}

#[test]
fn a_full_ring_gives_the_packet_back_and_room_comes_when_it_is_taken() {
    let [(_server, mut servers), (_client, mut clients)] = connected(&settings("full"));
    let (server, client) = (&mut servers[0], &mut clients[0]);
    let mut sent = 0;
    while send(client, &packet(sent, 60)) {
        sent += 1;
    }
    client.flush();
    assert_eq!(sent, 256);
    let mut taken = Vec::new();
    until(
        || {
            taken.extend(take(server));
            taken.len() == sent
        },
        "all packets",
    );
    assert!(taken.iter().enumerate().all(|(number, found)| *found == packet(number, 60)));
    until(
        || {
            take(server);
            send(client, &packet(sent, 60))
        },
        "room",
    );
}

#[test]
fn a_client_waits_for_its_server_and_comes_again_after_it() {
    let settings = settings("again");
    let (control, mut clients) = open(&client_of(&settings)).unwrap();
    thread::sleep(Duration::from_millis(120));
    assert!(!control.is_connected());
    for round in 1..4 {
        let (server, mut servers) = open(&settings).unwrap();
        for queue in [&mut servers[0], &mut clients[0]] {
            join(queue);
        }
        conversation(&mut clients[0], &mut servers[0], 5);
        drop(server);
        part(&mut clients[0]);
        assert_eq!((control.peers().connected, control.peers().left), (round, round));
    }
}

#[test]
fn a_server_is_there_for_the_next_client() {
    let settings = settings("next");
    let (control, mut servers) = open(&settings).unwrap();
    for round in 1..4 {
        let (client, mut clients) = open(&client_of(&settings)).unwrap();
        for queue in [&mut servers[0], &mut clients[0]] {
            join(queue);
        }
        conversation(&mut clients[0], &mut servers[0], 5);
        drop(client);
        part(&mut servers[0]);
        assert_eq!((control.peers().connected, control.peers().left), (round, round));
    }
    let said = control.news();
    assert!(said.iter().any(|news| news.line.contains("is connected, 1 queue")), "{said:?}");
    assert!(said.iter().any(|news| news.line.contains("has gone: It ends")), "{said:?}");
}

#[test]
fn a_lane_that_sleeps_is_woken() {
    let server_settings = Settings { idle: Idle::Sleep, ..settings("sleep") };
    let (_server, mut servers) = open(&server_settings).unwrap();
    let (_client, mut clients) = open(&Settings { idle: Idle::Spin, ..client_of(&server_settings) }).unwrap();
    let (client, mut server) = (&mut clients[0], servers.remove(0));
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_seen = std::sync::Arc::clone(&is_over);
    let lane = thread::spawn(move || {
        while !is_seen.load(Ordering::Relaxed) {
            echo(&mut server);
        }
    });
    join(client);
    for number in 0..20 {
        // Long enough for it to have fallen asleep.
        thread::sleep(Duration::from_millis(3));
        until(|| send(client, &packet(number, 80)), "room");
        client.flush();
        let mut answers = Vec::new();
        until(
            || {
                answers.extend(take(client));
                !answers.is_empty()
            },
            "an answer",
        );
        assert_eq!(answers[0][1..], packet(number, 80)[1..]);
    }
    is_over.store(true, Ordering::Relaxed);
    lane.join().unwrap();
}

#[test]
fn a_socket_that_a_dead_server_left_is_taken_over_and_a_living_ones_is_not() {
    let directory = std::env::temp_dir().join(format!("barelane-memif-{}", process::id()));
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("memif.sock");
    let settings = Settings { socket: SocketName::new(path.to_str().unwrap()), ..settings("file") };
    let (server, _queues) = open(&settings).unwrap();
    let refused = open(&settings).unwrap_err().to_string();
    assert!(refused.contains("memif.sock cannot be listened on: Address already in use"), "{refused}");
    // A dead one's file: kept by a second name, under which nobody finds who listens.
    drop(server);
    assert!(!path.exists());
    std::os::unix::net::UnixListener::bind(&path).unwrap();
    let (server, _queues) = open(&settings).unwrap();
    drop(server);
    // What is no socket is somebody's.
    std::fs::write(&path, "precious").unwrap();
    assert!(open(&settings).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn only_who_knows_the_secret_is_let_in() {
    let settings = Settings { secret: Some(b"open sesame".to_vec()), ..settings("secret") };
    let (control, mut servers) = open(&settings).unwrap();
    let wrong = Settings { secret: Some(b"open wheat".to_vec()), ..client_of(&settings) };
    let (client, _queues) = open(&wrong).unwrap();
    until(|| control.peers().of(barelane_nic::memif::Fault::SecretWrong) > 0, "a refusal");
    until(|| client.news().iter().any(|news| news.line.contains("does not know the secret")), "its reason");
    drop(client);
    let (_client, _queues) = open(&client_of(&settings)).unwrap();
    join(&mut servers[0]);
}

#[test]
fn a_second_client_is_turned_away_and_the_first_one_stays() {
    let settings = settings("second");
    let [(control, mut servers), (_client, mut clients)] = connected(&settings);
    let (second, _queues) = open(&client_of(&settings)).unwrap();
    until(|| control.peers().of(barelane_nic::memif::Fault::AlreadyConnected) > 0, "a refusal");
    drop(second);
    conversation(&mut clients[0], &mut servers[0], 3);
}
