//! Puts vectors to whatever answers packets, and says precisely what went wrong.

use std::fmt;

use telemetry::{Ns, Reason};

use super::{Conversation, Expectation, QUIET, Rule, Vector};
use crate::hex;
use crate::random::Random;

/// Whatever answers packets: a lane over some card, a driver program, an endpoint behind a wire.
pub trait Tier {
    /// What becomes of one question that arrives `quiet` after the one before.
    fn ask(&mut self, question: &[u8], quiet: Ns) -> Outcome;

    /// Whether there is a stack behind that frames are handed on to. Where there is none, what a vector wants handed
    /// on must be dropped for the same reason.
    fn can_pass(&self) -> bool;
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This frame came back.
    Reply(Vec<u8>),
    /// This frame went on to the stack behind, for the reason where the tier says it.
    Pass(Vec<u8>, Option<Reason>),
    /// It ended there, for the reason where the tier says it.
    Drop(Option<Reason>),
    /// Nothing came back, which is all that can be seen of this tier.
    Silence,
    /// What no question may lead to: two answers, an answer and a drop, counters that do not fit.
    Nonsense(String),
}

/// What was asked, where all of it was answered as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Vectors or conversations.
    pub vectors: usize,
    /// Questions in them.
    pub questions: usize,
}

/// The first question of a vector that was not answered as it should be.
#[derive(Clone, Debug)]
pub struct Failure {
    rule: Rule,
    which: usize,
    failed: usize,
    asked: usize,
    question: Vec<u8>,
    expectation: Expectation,
    outcome: Outcome,
}

/// Every vector that failed, each with its first question that did.
#[derive(Clone, Debug)]
pub struct Failures(Vec<Failure>);

/// Puts every question of these vectors to the tier, each after [`QUIET`].
///
/// # Errors
/// Every vector that failed.
pub fn run<'a>(
    vectors: impl IntoIterator<Item = &'a Vector>,
    tier: &mut impl Tier,
) -> Result<Tally, Failures> {
    run_some(vectors, usize::MAX, 0, tier)
}

/// Puts so many questions of each of these vectors to the tier, at most, each after [`QUIET`]: the first, and others drawn
/// from the seed, where it has more.
///
/// # Errors
/// Every vector that failed. The numbers of its questions are those of this run.
pub fn run_some<'a>(
    vectors: impl IntoIterator<Item = &'a Vector>,
    most: usize,
    seed: u64,
    tier: &mut impl Tier,
) -> Result<Tally, Failures> {
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    let mut random = Random::new(seed);
    for vector in vectors {
        let count = vector.question_count();
        let which = (0..count.min(most))
            .map(|turn| if count <= most || turn == 0 { turn } else { random.below(count) });
        let questions = which.map(|index| (QUIET, vector.question_at(index), &vector.expectation));
        tally.vectors += 1;
        tally.questions += count.min(most);
        failures.extend(ask_all(&vector.rule, questions, tier));
    }
    if failures.is_empty() { Ok(tally) } else { Err(Failures(failures)) }
}

/// Holds every conversation with the tier, the first question of each after [`QUIET`].
///
/// # Errors
/// Every conversation that failed.
pub fn converse<'a>(
    conversations: impl IntoIterator<Item = &'a Conversation>,
    tier: &mut impl Tier,
) -> Result<Tally, Failures> {
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    for conversation in conversations {
        let steps = conversation.steps.iter().enumerate().map(|(index, step)| {
            let quiet = if index == 0 { Ns(QUIET.0 + step.after.0) } else { step.after };
            (quiet, step.question.clone(), &step.expectation)
        });
        tally.vectors += 1;
        tally.questions += conversation.steps.len();
        failures.extend(ask_all(&conversation.rule, steps, tier));
    }
    if failures.is_empty() { Ok(tally) } else { Err(Failures(failures)) }
}

/// Asks all questions of one rule; the first that failed, with how many did.
fn ask_all<'a>(
    rule: &Rule,
    questions: impl Iterator<Item = (Ns, Vec<u8>, &'a Expectation)>,
    tier: &mut impl Tier,
) -> Option<Failure> {
    let (mut first, mut failed, mut asked) = (None, 0, 0);
    for (which, (quiet, question, expectation)) in questions.enumerate() {
        asked += 1;
        let outcome = tier.ask(&question, quiet);
        if is_met(expectation, &outcome, &question, tier.can_pass()) {
            continue;
        }
        failed += 1;
        first.get_or_insert_with(|| Failure {
            rule: rule.clone(),
            which,
            failed: 0,
            asked: 0,
            question,
            expectation: expectation.clone(),
            outcome,
        });
    }
    first.map(|failure| Failure { failed, asked, ..failure })
}

fn is_met(expectation: &Expectation, outcome: &Outcome, question: &[u8], can_pass: bool) -> bool {
    let agree = |wanted: &Option<Reason>, found: &Option<Reason>| {
        wanted.is_none() || found.is_none() || wanted == found
    };
    match (expectation, outcome) {
        (Expectation::Reply(answer), Outcome::Reply(frame)) => answer == frame,
        (Expectation::Silence, Outcome::Drop(_) | Outcome::Silence)
        | (Expectation::Pass(_) | Expectation::Drop(_), Outcome::Silence) => true,
        (Expectation::Silence, Outcome::Pass(frame, _)) => frame == question,
        (Expectation::Pass(wanted), Outcome::Pass(frame, found)) => frame == question && agree(wanted, found),
        (Expectation::Pass(wanted), Outcome::Drop(found)) => !can_pass && agree(wanted, found),
        (Expectation::Drop(wanted), Outcome::Drop(found)) => agree(wanted, found),
        _ => false,
    }
}

impl Failures {
    /// The vectors that failed.
    pub fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More than these are one fault seen many times.
        const SHOWN_MAX: usize = 20;
        writeln!(formatter, "{} vectors failed", self.0.len())?;
        for failure in self.0.iter().take(SHOWN_MAX) {
            writeln!(formatter, "\n{failure}")?;
        }
        let ids = self.0.iter().skip(SHOWN_MAX).map(|failure| failure.rule.id.as_str());
        let rest: Vec<&str> = ids.collect();
        if rest.is_empty() { Ok(()) } else { writeln!(formatter, "\nand also: {}", rest.join(", ")) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, which, failed, asked, question, expectation, outcome } = self;
        writeln!(formatter, "{} (RFC {}, vectors/{}): {}", rule.id, rule.source, rule.file, rule.says)?;
        writeln!(formatter, "  {failed} of {asked} questions failed; the first is number {which}:")?;
        write!(formatter, "{}", hex::rows(question))?;
        match (expectation, outcome) {
            (Expectation::Reply(wanted), Outcome::Reply(found)) => {
                difference(formatter, "answer", wanted, found)
            }
            (Expectation::Pass(_) | Expectation::Silence, Outcome::Pass(found, _)) if found != question => {
                difference(formatter, "frame handed on", question, found)
            }
            _ => writeln!(formatter, "  expected: {}\n  found:    {}", Expected(expectation), Found(outcome)),
        }
    }
}

fn difference(formatter: &mut fmt::Formatter<'_>, what: &str, wanted: &[u8], found: &[u8]) -> fmt::Result {
    let at = wanted.iter().zip(found).take_while(|(wanted, found)| wanted == found).count();
    let byte = |bytes: &[u8]| bytes.get(at).map_or("the end".into(), |byte| format!("{byte:02x}"));
    writeln!(
        formatter,
        "  the {what} differs first at byte {at}: {} wanted, {} found",
        byte(wanted),
        byte(found)
    )?;
    writeln!(
        formatter,
        "  wanted, {} bytes:\n{}  found, {} bytes:",
        wanted.len(),
        hex::rows(wanted),
        found.len()
    )?;
    write!(formatter, "{}", hex::rows(found))
}

struct Expected<'a>(&'a Expectation);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expectation::Reply(answer) => write!(formatter, "reply\n{}", hex::rows(answer)),
            Expectation::Pass(reason) => write!(formatter, "pass{}", Because(*reason)),
            Expectation::Drop(reason) => write!(formatter, "drop{}", Because(*reason)),
            Expectation::Silence => formatter.write_str("no answer"),
        }
    }
}

struct Found<'a>(&'a Outcome);

impl fmt::Display for Found<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Reply(answer) => write!(formatter, "reply\n{}", hex::rows(answer)),
            Outcome::Pass(_, reason) => write!(formatter, "pass{}", Because(*reason)),
            Outcome::Drop(reason) => write!(formatter, "drop{}", Because(*reason)),
            Outcome::Silence => formatter.write_str("no answer"),
            Outcome::Nonsense(what) => formatter.write_str(what),
        }
    }
}

struct Because(Option<Reason>);

impl fmt::Display for Because {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |reason| write!(formatter, ", {}", reason.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    /// A tier that does the same with every question.
    struct Always(Outcome);

    impl Tier for Always {
        fn ask(&mut self, _: &[u8], _: Ns) -> Outcome {
            self.0.clone()
        }

        fn can_pass(&self) -> bool {
            true
        }
    }

    fn named(id: &str) -> Vector {
        vectors::load().unwrap().into_iter().find(|vector| vector.rule.id == id).unwrap()
    }

    #[test]
    fn a_wrong_answer_is_shown_at_its_first_wrong_byte() {
        let vector = named("A1-request");
        let Expectation::Reply(mut answer) = vector.expectation.clone() else { panic!() };
        assert!(run([&vector], &mut Always(Outcome::Reply(answer.clone()))).is_ok());
        answer[21] ^= 1;
        let failures = run([&vector], &mut Always(Outcome::Reply(answer))).unwrap_err().to_string();
        assert!(
            failures.contains("A1-request") && failures.contains("byte 21: 02 wanted, 03 found"),
            "{failures}"
        );
    }

    #[test]
    fn a_wrong_reason_a_missing_and_an_unwanted_answer_fail() {
        let vector = named("I1-version");
        assert!(run([&vector], &mut Always(Outcome::Drop(Some(Reason::Ipv4Version)))).is_ok());
        for wrong in [
            Outcome::Drop(Some(Reason::Ipv4Length)),
            Outcome::Pass(vector.question.clone(), None),
            Outcome::Reply(vector.question.clone()),
            Outcome::Nonsense("two answers".into()),
        ] {
            assert!(run([&vector], &mut Always(wrong)).unwrap_err().to_string().contains("15 of 15"));
        }
        assert!(run([&named("A1-request")], &mut Always(Outcome::Silence)).is_err());
    }

    #[test]
    fn of_many_questions_the_first_and_others_of_the_seed_are_asked() {
        /// A tier that remembers its questions.
        struct Listening(Vec<Vec<u8>>);

        impl Tier for Listening {
            fn ask(&mut self, question: &[u8], _: Ns) -> Outcome {
                self.0.push(question.to_vec());
                Outcome::Silence
            }

            fn can_pass(&self) -> bool {
                false
            }
        }

        let vector = named("C1-types");
        let asked = |most, seed| {
            let mut tier = Listening(Vec::new());
            assert_eq!(run_some([&vector], most, seed, &mut tier).unwrap().questions, tier.0.len());
            tier.0
        };
        let some = asked(20, 1);
        assert_eq!((some.len(), &some[0]), (20, &vector.question_at(0)));
        assert!(some == asked(20, 1) && some != asked(20, 2));
        assert_eq!(asked(usize::MAX, 1), vector.questions().collect::<Vec<_>>());
    }

    #[test]
    fn a_frame_that_is_handed_on_must_be_unchanged() {
        let vector = named("A1-kernel-target");
        assert!(run([&vector], &mut Always(Outcome::Pass(vector.question.clone(), None))).is_ok());
        assert!(run([&vector], &mut Always(Outcome::Pass(vec![0; 60], None))).is_err());
        assert!(run([&vector], &mut Always(Outcome::Drop(Some(Reason::Unclaimed)))).is_err());
    }
}
