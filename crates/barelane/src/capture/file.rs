//! Exchanges as packets of a pcapng file, with what is known of them as comments.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use lane::tap::ExchangeHead;
use nic::pcapng::{Direction, Interface, Packet, Statistics, Writer};
use route::Decision;

use super::incoming::Exchange;
use super::settings::Settings;
use super::talk::{Counts, Fate, Granted, Totals};
use crate::error::{Error, Wrong};
use crate::side_channel::unix_ns;

/// What the interfaces of a file say of its stamps.
const CLOCK: &str = "Stamps: UTC by the server's time-stamp counter; of a question the beginning of the turn that found it, of an \
                     answer when it stood in its frame. Counts of this interface are of questions.";

/// The file that is being written.
pub(super) struct CaptureFile {
    name: String,
    writer: Writer<BufWriter<Box<dyn Write>>>,
    granted: Granted,
    /// How many questions are wanted.
    count: u64,
    began_unix_ns: u64,
    /// The questions that stand in it, by lane; and all answers.
    questions: Vec<u64>,
    answers: u64,
}

impl CaptureFile {
    /// Begins the file with an interface for each lane.
    pub(super) fn create(settings: &Settings, granted: Granted) -> Result<Self, Error> {
        let (file, name) = open(&settings.file)?;
        let failed = |cause: &dyn std::fmt::Display| Error::Failed(format!("{name}: {cause}"));
        let application = format!("barelane {}", granted.version);
        let mut writer = Writer::new(BufWriter::new(file), &application).map_err(|cause| failed(&cause))?;
        let snaplen = u32::try_from(settings.snaplen).unwrap_or(u32::MAX);
        for (lane, queue) in granted.queues.iter().enumerate() {
            let interface = Interface {
                name: &format!("{} queue {queue}", granted.nic),
                description: &format!("Lane {lane}. {CLOCK}"),
                filter: &settings.filter,
                snaplen,
            };
            writer.interface(&interface).map_err(|cause| failed(&cause))?;
        }
        writer.flush().map_err(|cause| failed(&cause))?;
        let questions = vec![0; granted.queues.len()];
        let count = settings.count.unwrap_or(u64::MAX);
        Ok(Self { name, writer, granted, count, began_unix_ns: unix_ns(), questions, answers: 0 })
    }

    /// Whether more questions are wanted.
    pub(super) fn has_room(&self) -> bool {
        self.written() < self.count
    }

    fn written(&self) -> u64 {
        self.questions.iter().sum()
    }

    /// Writes a question down, and its answer where there was one.
    pub(super) fn put(&mut self, exchange: &Exchange) -> Result<(), Error> {
        let Exchange { head, question, answer } = exchange;
        let Some(questions) = self.questions.get_mut(usize::from(head.lane)) else {
            return Err(Error::Failed(format!("the server sends what is no capture: lane {}", head.lane)));
        };
        *questions += 1;
        let comment = comment(&self.granted, head);
        let asked = Packet {
            interface: u32::from(head.lane),
            unix_ns: head.asked_ns,
            direction: Direction::Inbound,
            len: head.question.sent,
            bytes: question,
            comment: &comment,
        };
        self.write(&asked)?;
        if head.answer.sent == 0 {
            return Ok(());
        }
        self.answers += 1;
        let took_ns = head.answered_ns.saturating_sub(head.asked_ns);
        self.write(&Packet {
            unix_ns: head.answered_ns,
            direction: Direction::Outbound,
            len: head.answer.sent,
            bytes: answer,
            comment: &format!("{comment}; {took_ns} ns after its turn began"),
            ..asked
        })
    }

    fn write(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        self.writer.packet(packet).map_err(|cause| Error::Failed(format!("{}: {cause}", self.name)))
    }

    /// Writes out what is still buffered.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(|cause| Error::Failed(format!("{}: {cause}", self.name)))
    }

    /// Ends the file with what was counted, as far as it is known.
    pub(super) fn finish(&mut self, totals: Option<&Totals>) -> Result<(), Error> {
        let known = |lane: usize| totals.and_then(|totals| totals.lanes.get(lane).copied().flatten());
        let ended_unix_ns = unix_ns();
        for (lane, &written) in (0_u32..).zip(&self.questions) {
            let Counts { seen, matched, dropped, .. } = known(lane as usize).unwrap_or_default();
            let counted = Statistics {
                began_unix_ns: self.began_unix_ns,
                ended_unix_ns,
                seen,
                matched,
                dropped,
                written,
            };
            let put = self.writer.statistics(lane, &counted);
            put.map_err(|cause| Error::Failed(format!("{}: {cause}", self.name)))?;
        }
        self.flush()
    }

    /// What was written, and what was not.
    pub(super) fn summary(&self, totals: Option<&Totals>) -> String {
        let (written, answers, name) = (self.written(), self.answers, &self.name);
        let written = format!("{written} questions and {answers} answers to {name}");
        let Some(totals) = totals else { return format!("{written}; what was dropped is not known") };
        let sum = |of: fn(&Counts) -> u64| totals.lanes.iter().flatten().map(of).sum::<u64>();
        let [seen, matched, dropped] =
            [sum(|lane| lane.seen), sum(|lane| lane.matched), sum(|lane| lane.dropped)];
        let missing = totals.lanes.iter().filter(|lane| lane.is_none()).count();
        let missing = if missing == 0 {
            String::new()
        } else {
            format!("; {missing} lanes have not said what they dropped")
        };
        format!(
            "{written}; {dropped} dropped for want of room, of {seen} questions seen and {matched} that match{missing}"
        )
    }
}

/// The file, and what it is called.
fn open(path: &Path) -> Result<(Box<dyn Write>, String), Wrong> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdout()), "standard output".to_owned()));
    }
    let file = File::create(path).map_err(|cause| {
        Wrong::new("--write", path.display())
            .because(format_args!("it cannot be created: {cause}"))
            .remedy("name a file in a directory that can be written to")
    })?;
    Ok((Box::new(file), path.display().to_string()))
}

/// What is known of a question: verdict and reason, responder, route.
fn comment(granted: &Granted, head: &ExchangeHead) -> String {
    let name_of = |number: u8| granted.fates.get(usize::from(number));
    let verdict = match (name_of(head.fate), name_of(head.reason)) {
        (Some(Fate { verdict, .. }), Some(reason)) if verdict == "pass" => format!("pass {}", reason.name),
        (Some(Fate { verdict, name }), _) => format!("{verdict} {name}"),
        (None, _) => format!("fate {}", head.fate),
    };
    let responder = granted.responders.get(usize::from(head.responder)).map_or("none", String::as_str);
    let route = match head.route {
        Decision::NO_ROUTE => "none".to_owned(),
        index => (u32::from(index) + 1).to_string(),
    };
    format!("{verdict}; responder {responder}; route {route}")
}

#[cfg(test)]
mod tests {
    use telemetry::Counter;

    use super::*;

    #[test]
    fn a_comment_says_verdict_reason_responder_and_the_route_as_check_numbers_it() {
        let granted = Granted::new("lane0", vec![0]);
        let of = |fate: Counter, reason: u8, responder, route| {
            comment(
                &granted,
                &ExchangeHead { fate: fate as u8, reason, responder, route, ..ExchangeHead::default() },
            )
        };
        let nothing = ExchangeHead::NOTHING;
        assert_eq!(of(Counter::RepliedUdp, nothing, 3, 1), "reply replied_udp; responder udp-echo; route 2");
        let no_route = Decision::NO_ROUTE;
        let unclaimed = Counter::Unclaimed as u8;
        assert_eq!(
            of(Counter::Passed, unclaimed, nothing, no_route),
            "pass unclaimed; responder none; route none"
        );
        assert_eq!(
            of(Counter::Unclaimed, unclaimed, 0, no_route),
            "drop unclaimed; responder arp; route none"
        );
        assert_eq!(of(Counter::TxRingFull, nothing, 2, 0), "drop tx_ring_full; responder icmp-echo; route 1");
    }
}
