//! A lane that is asked beside its ring: it does to each question what it does to one that a wire brings, and says what that was.

use barelane_lane::tap::{self, EXCHANGE_SIZE_MAX, ExchangeHead, SNAPLEN_MAX, TapSettings};
use barelane_lane::{Inquiry, InquirySender, Verdict};
use nic::Queue;
use nic::sim::{BUFFER_SIZE, Card, Faults};
use route::PartialChecksums;
use telemetry::{Counter, Ns, Reason};
use testkit::endpoint;
use testkit::packets::{Exchange, Packets};
use testkit::vectors::{self, Outcome, Tier, Vector};
use wire::checksum::Summer;

use crate::simulated::{Alone, SimulatedLane, Window, card};

/// A lane whose ring nothing comes by.
struct InquiredLane<Q: Window> {
    inner: SimulatedLane<Q>,
    inquiries: InquirySender,
    /// There while none is under way.
    inquiry: Option<Box<Inquiry>>,
}

impl<Q: Window> InquiredLane<Q> {
    fn new(queue: Q) -> Self {
        let mut inner = SimulatedLane::new(queue, PartialChecksums::Refuse, Summer::fastest());
        let inquiries = inner.sender.take_inquiries().unwrap();
        Self { inner, inquiries, inquiry: Some(Box::new(Inquiry::with_room(BUFFER_SIZE))) }
    }

    fn send(&mut self, question: &[u8]) {
        let mut inquiry = self.inquiry.take().unwrap();
        assert!(inquiry.ask(question));
        self.inquiries.send(inquiry).unwrap();
    }

    /// Its verdict and its answer, once it is back.
    fn collect(&mut self) -> Option<(Verdict, Option<Vec<u8>>)> {
        let inquiry = self.inquiries.collect()?;
        let (verdict, answer) = (inquiry.outcome().unwrap().verdict, inquiry.answer().map(<[u8]>::to_vec));
        self.inquiry = Some(inquiry);
        Some((verdict, answer))
    }
}

impl<Q: Window> Tier for InquiredLane<Q> {
    /// Asks, and demands that the lane says what it did.
    fn ask(&mut self, question: &[u8], quiet: Ns) -> Outcome {
        self.send(question);
        let before = self.inner.lane.counters().clone();
        self.inner.look_after(quiet);
        let outcome = self.inner.outcome(&before);
        let (verdict, answer) = self.collect().unwrap();
        match &outcome {
            Outcome::Reply(sent) => assert_eq!(answer.as_ref(), Some(sent), "{verdict:?}"),
            Outcome::Pass(..) => assert!(matches!(verdict, Verdict::Pass(_)), "{verdict:?}"),
            Outcome::Drop(reason) => {
                let said = match verdict {
                    Verdict::Pass(reason) | Verdict::Drop(reason) => Some(reason),
                    Verdict::Reply { .. } => None,
                };
                assert_eq!(said, *reason);
            }
            Outcome::Silence | Outcome::Nonsense(_) => panic!("{outcome:?}"),
        }
        outcome
    }

    fn can_pass(&self) -> bool {
        self.inner.can_pass()
    }
}

/// Puts every vector to a lane beside its ring. Gives how many questions that were.
fn ask_all(queue: impl Window) -> usize {
    let all = vectors::load().unwrap();
    let wanted: Vec<&Vector> =
        all.iter().filter(|vector| vector.settings == vectors::Settings::default()).collect();
    let tally = vectors::run(wanted, &mut InquiredLane::new(queue));
    tally.unwrap_or_else(|failures| panic!("{failures}")).questions
}

#[test]
fn every_vector_holds_beside_the_ring_and_the_inquiry_says_what_became_of_it() {
    assert!(ask_all(card()) > 10_000 && ask_all(Alone(card())) > 10_000);
}

#[test]
fn an_inquiry_is_answered_by_a_lane_that_turns_and_counts_as_a_frame_does() {
    let mut lane = InquiredLane::new(card());
    let Exchange { question, answer } = Packets::new(&endpoint::load().unwrap(), 1).valid();
    lane.send(&question);
    let turns = (0..10_000).take_while(|_| {
        lane.inner.turn(Ns(100));
        lane.collect().is_none_or(|(_, said)| {
            assert_eq!(said.as_ref(), Some(&answer));
            false
        })
    });
    assert_eq!(turns.count(), 4095, "at its housekeeping");
    lane.inner.turn(Ns(100));
    assert_eq!(lane.inner.lane.counters().of(Counter::Rx), 1);
    let residence: u64 = lane.inner.page.turn_residence.iter().map(|kind| kind.read().count()).sum();
    assert_eq!(residence, 1, "it is looked back at");
}

#[test]
fn where_no_frame_is_free_an_inquiry_waits_and_where_the_transmit_ring_is_full_it_is_dropped() {
    let slow = Faults { slow_peer_ppm: 1_000_000, ..Faults::default() };
    let mut lane = InquiredLane::new(Card::new(1, 0, slow));
    let Exchange { question, .. } = Packets::new(&endpoint::load().unwrap(), 1).valid();
    let held: Vec<_> = std::iter::from_fn(|| lane.inner.lane.queue_mut().free_frame()).collect();
    lane.send(&question);
    lane.inner.lane.housekeeping();
    assert!(lane.collect().is_none(), "no frame is free");
    for frame in held {
        lane.inner.lane.queue_mut().release(frame);
    }
    lane.inner.look_after(Ns(0));
    assert!(matches!(lane.collect(), Some((Verdict::Reply { .. }, Some(_)))));

    let mut full = InquiredLane::new(Card::new(1, 0, Faults::default()));
    let mut frame = full.inner.lane.queue_mut().free_frame().unwrap();
    frame.set_len(60);
    full.inner.lane.queue_mut().tx(frame).unwrap();
    full.send(&question);
    full.inner.look_after(Ns(0));
    assert_eq!(full.collect(), Some((Verdict::Drop(Reason::TxRingFull), None)));
}

#[test]
fn who_captures_sees_what_a_lane_was_asked_beside_its_ring() {
    let mut lane = InquiredLane::new(card());
    let filter = barelane_lane::filter::Filter::new(&barelane_lane::filter::Expression::Anything).unwrap();
    let settings = TapSettings { filter, sample: 1, snaplen: SNAPLEN_MAX, lane: 0 };
    let (tap, mut exchanges) = tap::tap(settings);
    let mut taps = lane.inner.sender.take_taps().unwrap();
    taps.send(Some(Box::new(tap))).unwrap();
    lane.inner.look_after(Ns(0));
    let Exchange { question, answer } = Packets::new(&endpoint::load().unwrap(), 1).valid();
    assert_eq!(lane.ask(&question, Ns(0)), Outcome::Reply(answer.clone()));
    let mut exchange = Vec::new();
    assert!(exchanges.take(&mut exchange, EXCHANGE_SIZE_MAX));
    let (_, asked, answered) = ExchangeHead::read(&exchange).unwrap();
    assert_eq!((asked, answered), (&question[..], &answer[..]));
}

#[test]
fn what_does_not_fit_into_an_inquiry_is_refused() {
    let mut inquiry = Inquiry::with_room(60);
    assert!(inquiry.ask(&[0; 60]) && !inquiry.ask(&[0; 61]));
    assert_eq!((inquiry.outcome(), inquiry.answer()), (None, None));
}
