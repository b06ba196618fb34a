//! Vectors: one question, or many of one shape, with the rule that they test and what must become of them.
//!
//! The files under `vectors/` are written by `vectors/generate.py` from an independent stack; `docs/conformance.md`
//! says which rule stands where. A [`Vector`] asks every question of its kind by itself, of an endpoint that was quiet
//! for [`QUIET`]; a [`Conversation`] is for rules that depend on what was asked before.

mod mutation;
mod runner;

use serde::Deserialize;
use telemetry::{Ns, Reason};

use self::mutation::Mutation;
pub use self::runner::{Failure, Failures, Outcome, Tally, Tier, converse, run, run_some};
use crate::hex::Hex;

/// How long the endpoint was left alone before each question of a vector. Longer than any limit that it keeps: error
/// messages have theirs a second, the defence of an address 10 s (RFC 5227 2.4).
pub const QUIET: Ns = Ns(20_000_000_000);

/// Every vector file, in reading order.
const FILES: [(&str, &str); 11] = [
    ("ethernet.toml", include_str!("../../../vectors/ethernet.toml")),
    ("arp.toml", include_str!("../../../vectors/arp.toml")),
    ("ipv4.toml", include_str!("../../../vectors/ipv4.toml")),
    ("icmpv4.toml", include_str!("../../../vectors/icmpv4.toml")),
    ("udpv4.toml", include_str!("../../../vectors/udpv4.toml")),
    ("ipv6.toml", include_str!("../../../vectors/ipv6.toml")),
    ("icmpv6.toml", include_str!("../../../vectors/icmpv6.toml")),
    ("ndp.toml", include_str!("../../../vectors/ndp.toml")),
    ("udpv6.toml", include_str!("../../../vectors/udpv6.toml")),
    ("stamp.toml", include_str!("../../../vectors/stamp.toml")),
    ("sockperf.toml", include_str!("../../../vectors/sockperf.toml")),
];

/// A vector file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("vectors/{file}: {message}")]
pub struct Malformed {
    file: &'static str,
    message: String,
}

impl Malformed {
    pub(crate) fn new(file: &'static str, message: &impl ToString) -> Self {
        Self { file, message: message.to_string() }
    }
}

/// Where a rule comes from and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name of this vector, which begins with its row of `docs/conformance.md`.
    pub id: String,
    /// The RFC and section.
    pub source: String,
    /// The rule in one sentence.
    pub says: String,
    /// The file that it stands in.
    pub file: &'static str,
}

/// What must become of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// This frame comes back, byte for byte, and nothing else.
    Reply(Vec<u8>),
    /// It is handed on unchanged, for this reason where the rule names one.
    Pass(Option<Reason>),
    /// It ends there, for this reason where the rule names one.
    Drop(Option<Reason>),
    /// No answer; whether it is handed on or ends there is not the rule's business.
    Silence,
}

/// What is done about UDP checksums that the sender left unfinished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartialChecksums {
    /// They are wrong checksums.
    #[default]
    Refuse,
    /// They are accepted, as on a virtual link.
    Accept,
}

/// Which mode of STAMP is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stamp {
    /// Without a key.
    #[default]
    Unauthenticated,
    /// With the endpoint's key.
    Authenticated,
}

/// What is done about STAMP packets that are shorter than their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShortPackets {
    /// They are dropped.
    #[default]
    Drop,
    /// They are answered.
    Answer,
}

/// What the endpoint must be told before it is asked, beside `vectors/endpoint.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is done about UDP checksums that the sender left unfinished.
    pub partial_checksums: PartialChecksums,
    /// Which mode of STAMP is served.
    pub stamp: Stamp,
    /// What is done about STAMP packets that are shorter than their answers.
    pub short_packets: ShortPackets,
}

/// One question, or one for each of its mutations, with one expectation for all of them.
#[derive(Clone, Debug)]
pub struct Vector {
    /// What is tested.
    pub rule: Rule,
    /// How the endpoint is set.
    pub settings: Settings,
    /// The question before its mutations.
    pub question: Vec<u8>,
    /// What must become of every one.
    pub expectation: Expectation,
    each: Vec<Mutation>,
}

/// One question of a conversation.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long after the step before.
    pub after: Ns,
    /// The question.
    pub question: Vec<u8>,
    /// What must become of it, here.
    pub expectation: Expectation,
}

/// Questions in a row, each with what must become of it after those before it.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// What is tested.
    pub rule: Rule,
    /// The questions.
    pub steps: Vec<Step>,
}

impl Vector {
    /// How many questions this vector asks.
    pub fn question_count(&self) -> usize {
        self.each.iter().map(Mutation::count).product()
    }

    /// Every question: the product of all mutations, the last of them running fastest.
    pub fn questions(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..self.question_count()).map(|index| self.question_at(index))
    }

    /// The question of this index, which is below [`Self::question_count`].
    pub fn question_at(&self, mut index: usize) -> Vec<u8> {
        let mut frame = self.question.clone();
        for mutation in self.each.iter().rev() {
            mutation.apply(index % mutation.count(), &mut frame);
            index /= mutation.count();
        }
        frame
    }
}

/// Every vector of every file.
///
/// # Errors
/// The first file that cannot be read, and why.
pub fn load() -> Result<Vec<Vector>, Malformed> {
    let mut vectors = Vec::new();
    for (file, written) in read()? {
        for vector in written.vector {
            vectors.push(vector.checked(file).map_err(|message| Malformed::new(file, &message))?);
        }
    }
    Ok(vectors)
}

/// Every conversation of every file.
///
/// # Errors
/// The first file that cannot be read, and why.
pub fn conversations() -> Result<Vec<Conversation>, Malformed> {
    let mut conversations = Vec::new();
    for (file, written) in read()? {
        for conversation in written.conversation {
            conversations.push(conversation.checked(file).map_err(|message| Malformed::new(file, &message))?);
        }
    }
    Ok(conversations)
}

fn read() -> Result<Vec<(&'static str, Written)>, Malformed> {
    let read = |(file, text)| Ok((file, toml::from_str(text).map_err(|error| Malformed::new(file, &error))?));
    FILES.into_iter().map(read).collect()
}

/// One file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    vector: Vec<WrittenVector>,
    #[serde(default)]
    conversation: Vec<WrittenConversation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenVector {
    id: String,
    rule: String,
    says: String,
    #[serde(default)]
    settings: Settings,
    verdict: Verdict,
    reason: Option<String>,
    #[serde(default)]
    each: Vec<Mutation>,
    question: Hex,
    answer: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConversation {
    id: String,
    rule: String,
    says: String,
    step: Vec<WrittenStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    after_ms: u64,
    verdict: Verdict,
    reason: Option<String>,
    question: Hex,
    answer: Option<Hex>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Reply,
    Pass,
    Drop,
    Silence,
}

impl WrittenVector {
    fn checked(self, file: &'static str) -> Result<Vector, String> {
        let rule = Rule { id: self.id, source: self.rule, says: self.says, file };
        let expectation = expectation(self.verdict, self.reason.as_deref(), self.answer);
        let expectation = expectation.map_err(|message| format!("{}: {message}", rule.id))?;
        let Hex(question) = self.question;
        if let Some(mutation) = self.each.iter().find(|mutation| !mutation.fits(question.len())) {
            return Err(format!("{}: {mutation:?} changes nothing, or bytes that are not there", rule.id));
        }
        Ok(Vector { rule, settings: self.settings, question, expectation, each: self.each })
    }
}

impl WrittenConversation {
    fn checked(self, file: &'static str) -> Result<Conversation, String> {
        let rule = Rule { id: self.id, source: self.rule, says: self.says, file };
        let step = |written: WrittenStep| {
            let expectation = expectation(written.verdict, written.reason.as_deref(), written.answer)?;
            let after = Ns(written.after_ms * 1_000_000);
            Ok(Step { after, question: written.question.0, expectation })
        };
        let steps = self.step.into_iter().map(step).collect::<Result<_, String>>();
        let steps = steps.map_err(|message| format!("{}: {message}", rule.id))?;
        Ok(Conversation { rule, steps })
    }
}

fn expectation(verdict: Verdict, reason: Option<&str>, answer: Option<Hex>) -> Result<Expectation, String> {
    let named = |name| Reason::ALL.iter().copied().find(|reason| reason.name() == name);
    let reason = match reason {
        Some(name) => Some(named(name).ok_or_else(|| format!("no reason is called `{name}`"))?),
        None => None,
    };
    match (verdict, reason, answer) {
        (Verdict::Reply, None, Some(Hex(frame))) => Ok(Expectation::Reply(frame)),
        (Verdict::Pass, reason, None) => Ok(Expectation::Pass(reason)),
        (Verdict::Drop, reason, None) => Ok(Expectation::Drop(reason)),
        (Verdict::Silence, None, None) => Ok(Expectation::Silence),
        (verdict, ..) => Err(format!("{verdict:?} with the wrong of `reason` and `answer`")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_file_can_be_read_and_no_id_stands_twice() {
        let (vectors, conversations) = (load().unwrap(), conversations().unwrap());
        assert!(vectors.len() > 500 && !conversations.is_empty());
        let rules =
            vectors.iter().map(|vector| &vector.rule).chain(conversations.iter().map(|one| &one.rule));
        let mut seen = HashSet::new();
        for rule in rules {
            assert!(seen.insert(&rule.id), "{} stands twice", rule.id);
        }
    }

    #[test]
    fn a_vector_without_mutations_asks_once_and_with_two_their_product() {
        let vectors = load().unwrap();
        let named = |id| vectors.iter().find(|vector| vector.rule.id == id).unwrap();
        assert_eq!(
            named("A1-request").questions().collect::<Vec<_>>(),
            [named("A1-request").question.clone()]
        );
        let types = named("C1-types");
        assert_eq!(types.question_count(), 255 * 256);
        assert_eq!(types.questions().collect::<HashSet<_>>().len(), 255 * 256);
    }

    #[test]
    fn no_answer_is_shorter_than_a_frame_may_be() {
        for vector in load().unwrap() {
            if let Expectation::Reply(answer) = vector.expectation {
                assert!(answer.len() >= 60, "{}", vector.rule.id);
            }
        }
    }

    #[test]
    fn a_reply_needs_an_answer_and_a_reason_its_name() {
        assert!(expectation(Verdict::Reply, None, None).is_err());
        assert!(expectation(Verdict::Drop, Some("because"), None).unwrap_err().contains("because"));
        assert_eq!(
            expectation(Verdict::Drop, Some("unclaimed"), None),
            Ok(Expectation::Drop(Some(Reason::Unclaimed)))
        );
    }
}
