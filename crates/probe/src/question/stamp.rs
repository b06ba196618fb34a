//! Questions that a STAMP reflector answers (RFC 8762, with the identifier and the TLVs of RFC 8972).
//!
//! ```text
//!   unauthenticated        authenticated
//!  ┌──────────────────┐   ┌────────────────────┐
//!  │ sequence, T1,    │   │ sequence, T1,      │
//!  │ error estimate,  │   │ error estimate,    │
//!  │ SSID     44 bytes│   │ SSID, HMAC 112 bytes
//!  ├──────────────────┤   ├────────────────────┤
//!  │ Extra Padding: token, pattern  (4 bytes and more) │   where the size leaves room for it
//!  └───────────────────────────────────────────────────┘
//! ```
//!
//! # What makes an answer right
//!
//! A reflector writes the base packet anew, so that an answer cannot be compared byte for byte. What it copies has to be
//! exact: the sequence number, T1, our error estimate and the SSID; the padding, where it sends that back; and the
//! signature, where there is a key. T1 is an instant in nanoseconds, so that it is a token as well: it is remembered
//! for as long as the question is.
//!
//! | reflectors differ in | what is taken |
//! |---|---|
//! | their own sequence number (stateful ones count their answers) | any; matched is the copy of ours |
//! | the SSID | ours, or zero from one that knows no SSID (RFC 8972 section 3) |
//! | TLVs | ours as it was, whatever its flag U says, among others; or none at all (RFC 8762 alone) |
//! | the flags M and I | behind such a TLV nothing is looked at (section 4) |
//! | an HMAC TLV | verified where there is a key (section 4.8) |
//! | NTP's format of T2 and T3 or PTP's | what their Z bit says (RFC 8186) |
//!
//! # Residence
//!
//! T3 − T2 is how long the reflector had the question, by its own clock. Where a stamp is zero, or T3 is before T2, or
//! they are further apart than any question waits, there is none: that clock was set, or is none. The answer is an
//! answer all the same, and has no part in the figures of residence, which say how many samples they have.

use std::cell::Cell;
use std::fmt;

use telemetry::{Ns, WallTime};
use wire::stamp::tlv::{self, EXTRA_PADDING, HMAC, INTEGRITY, MALFORMED, Tlv};
use wire::stamp::{
    ErrorEstimate, Format, Key, ReflectorPacket, ReflectorPacketAuthenticated, SenderPacket,
    SenderPacketAuthenticated, Timestamp, authenticate, is_authentic,
};

use super::{Question, Questions, Recognised, newest_with, pattern};
use crate::ask::{Ask, StampKey, TIMEOUT_MAX};

/// How a question's T1 is written. A reflector may use the other format for its own stamps.
const FORMAT: Format = Format::Ntp;

/// Everything of a run that its questions share.
#[derive(Debug)]
pub(super) struct Stamp {
    key: Option<Key>,
    ssid: u16,
    error_estimate: ErrorEstimate,
    asked: Asked,
}

/// What a reflector copies and adds, from whichever of the two base packets.
struct Answer {
    sequence: u32,
    ssid: u16,
    t1: Timestamp,
    asked_error_estimate: ErrorEstimate,
    t2: Timestamp,
    t3: Timestamp,
    error_estimate: ErrorEstimate,
}

/// The least payload: the base packet.
pub(super) const fn size_min(is_authenticated: bool) -> usize {
    if is_authenticated { SenderPacketAuthenticated::LEN } else { SenderPacket::LEN }
}

/// Whether a payload of this size can be made: what follows the base packet is a TLV or nothing.
pub(super) const fn is_size(size: usize, is_authenticated: bool) -> bool {
    let least = size_min(is_authenticated);
    size == least || size >= least + Tlv::LEN
}

impl Stamp {
    pub(super) fn new(ask: &Ask, ssid: u16, remembered_count: usize) -> Self {
        let key = ask.stamp_key.as_ref().and_then(StampKey::signer);
        Self { key, ssid, error_estimate: ask.stamp_error, asked: Asked::new(remembered_count) }
    }

    /// Writes the question into all of `room`, and remembers T1. The signature covers T1, so that a signed question
    /// leaves some hundred nanoseconds after it.
    pub(super) fn write(&self, room: &mut [u8], question: &Question<'_>, sent_at: WallTime) {
        let timestamp = Timestamp::new(sent_at.0, FORMAT);
        self.asked.remember(question.sequence, timestamp);
        let (base, padding) = room.split_at_mut(size_min(self.key.is_some()).min(room.len()));
        self.write_base(base, low(question.sequence), timestamp);
        if let Some(key) = &self.key {
            // None only where the room is smaller than the packet, which `Ask::check` refuses.
            let _signed = authenticate(base, key);
        }
        if tlv::pad(padding).is_some() {
            pattern::write(padding.get_mut(Tlv::LEN..).unwrap_or_default(), pattern::words(question.token));
        }
    }

    fn write_base(&self, base: &mut [u8], sequence: u32, timestamp: Timestamp) {
        base.fill(0);
        if self.key.is_none() {
            if let Some(packet) = SenderPacket::of_mut(base, 0) {
                packet.sequence = sequence.into();
                packet.timestamp = timestamp;
                packet.error_estimate = self.error_estimate;
                packet.ssid = self.ssid.into();
            }
        } else if let Some(packet) = SenderPacketAuthenticated::of_mut(base, 0) {
            packet.sequence = sequence.into();
            packet.timestamp = timestamp;
            packet.error_estimate = self.error_estimate;
            packet.ssid = self.ssid.into();
        }
    }

    /// Which of the questions of `run` a payload answers, or nothing where it is no right answer. `next` is the one that
    /// has not been asked yet.
    pub(super) fn recognise(&self, payload: &[u8], run: &Questions, next: u64) -> Option<Recognised> {
        let (base, tlvs) = payload.split_at_checked(size_min(self.key.is_some()))?;
        if self.key.as_ref().is_some_and(|key| !is_authentic(base, key)) {
            return None;
        }
        let answer = self.read(base)?;
        let sequence = newest_with(answer.sequence.into(), u32::MAX.into(), next)?;
        let is_ours = answer.asked_error_estimate == self.error_estimate
            && (answer.ssid == self.ssid || answer.ssid == 0)
            && self.asked.is_asked_at(sequence, answer.t1);
        let tlvs = Tlvs {
            all: tlvs,
            key: self.key.as_ref(),
            sequence: base.first_chunk()?,
            padding_size: run.size.checked_sub(base.len() + Tlv::LEN),
            token: run.at(sequence).token,
        };
        (is_ours && tlvs.are_right()).then(|| Recognised { sequence, residence: answer.residence() })
    }

    fn read(&self, base: &[u8]) -> Option<Answer> {
        if self.key.is_none() {
            ReflectorPacket::of(base, 0).map(Answer::unauthenticated)
        } else {
            ReflectorPacketAuthenticated::of(base, 0).map(Answer::authenticated)
        }
    }
}

impl Answer {
    fn unauthenticated(packet: &ReflectorPacket) -> Self {
        Self {
            sequence: packet.sender_sequence.get(),
            ssid: packet.ssid.get(),
            t1: packet.sender_timestamp,
            asked_error_estimate: packet.sender_error_estimate,
            t2: packet.receive_timestamp,
            t3: packet.timestamp,
            error_estimate: packet.error_estimate,
        }
    }

    fn authenticated(packet: &ReflectorPacketAuthenticated) -> Self {
        Self {
            sequence: packet.sender_sequence.get(),
            ssid: packet.ssid.get(),
            t1: packet.sender_timestamp,
            asked_error_estimate: packet.sender_error_estimate,
            t2: packet.receive_timestamp,
            t3: packet.timestamp,
            error_estimate: packet.error_estimate,
        }
    }

    /// T3 − T2, where it can be believed.
    fn residence(&self) -> Option<Ns> {
        let none = Timestamp::default();
        if self.t2 == none || self.t3 == none {
            return None;
        }
        self.t3.since(self.t2, self.error_estimate.format()).map(Ns).filter(|ns| *ns <= TIMEOUT_MAX)
    }
}

/// What follows the base packet of an answer.
struct Tlvs<'a> {
    all: &'a [u8],
    key: Option<&'a Key>,
    /// The reflector's sequence number, as it stands: an HMAC TLV covers it.
    sequence: &'a [u8; 4],
    /// How many bytes the question was padded with, where it was, and its token.
    padding_size: Option<usize>,
    token: u64,
}

impl Tlvs<'_> {
    /// Whether they are what a reflector may make of the question's.
    fn are_right(&self) -> bool {
        let (mut at, mut padding_count) = (0, 0);
        while at < self.all.len() {
            let Some((head, value)) = self.at(at) else { return false };
            if head.flags & (MALFORMED | INTEGRITY) != 0 {
                return true;
            }
            let is_right = match head.kind {
                EXTRA_PADDING => self.is_padding(value),
                HMAC => self.is_signed(at, value),
                _ => true,
            };
            if !is_right {
                return false;
            }
            padding_count += usize::from(head.kind == EXTRA_PADDING);
            at += Tlv::LEN + value.len();
        }
        self.all.is_empty() || padding_count == usize::from(self.padding_size.is_some())
    }

    fn is_padding(&self, value: &[u8]) -> bool {
        self.padding_size == Some(value.len()) && pattern::is_written(value, pattern::words(self.token))
    }

    /// The TLV that begins at `at`, or nothing where it does not end.
    fn at(&self, at: usize) -> Option<(Tlv, &[u8])> {
        let head = *Tlv::of(self.all, at)?;
        let begin = at + Tlv::LEN;
        Some((head, self.all.get(begin..begin + usize::from(head.len.get()))?))
    }

    /// Whether `value` signs all before the TLV at `at`; taken on trust where there is no key.
    fn is_signed(&self, at: usize, value: &[u8]) -> bool {
        let Some(key) = self.key else { return true };
        let before = self.all.get(..at).unwrap_or_default();
        value.try_into().is_ok_and(|signature| key.is_signed([self.sequence, before], signature))
    }
}

/// T1 of the questions that are remembered, in a circle as long as the matcher's.
struct Asked(Box<[Cell<(u64, Timestamp)>]>);

impl Asked {
    fn new(count: usize) -> Self {
        Self(vec![Cell::new((u64::MAX, Timestamp::default())); count].into_boxed_slice())
    }

    fn remember(&self, sequence: u64, timestamp: Timestamp) {
        if let Some(slot) = self.slot(sequence) {
            slot.set((sequence, timestamp));
        }
    }

    /// Whether the question was asked at T1. Of one that is no longer remembered nobody knows; it matches nothing.
    fn is_asked_at(&self, sequence: u64, t1: Timestamp) -> bool {
        self.slot(sequence).is_some_and(|slot| {
            let (remembered, asked_at) = slot.get();
            remembered != sequence || asked_at == t1
        })
    }

    fn slot(&self, sequence: u64) -> Option<&Cell<(u64, Timestamp)>> {
        usize::try_from(sequence % self.0.len() as u64).ok().and_then(|index| self.0.get(index))
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Asked({} slots)", self.0.len())
    }
}

/// What 32 bits hold of a sequence number.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what a packet holds")]
const fn low(sequence: u64) -> u32 {
    sequence as u32
}

#[cfg(test)]
mod tests;
