//! How many of a lane's stalls had which cause, and how long they were together, as it stands in its area.
//!
//! The last stalls stand there one by one, until newer ones take their places. These only grow, so that nobody who looks seldom
//! misses one.

use probe::own_error::Cause;

use super::areas::NotedStall;
use super::image::{CAUSES, Image};

/// What the names of these fields begin with, before the cause: how many stalls, and how long.
pub(crate) const STALLS_OF: &str = "stalls_";
pub(crate) const STALLED_BY: &str = "stalled_";

/// The stalls of a lane whose causes were asked for, by their causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StallCauses([OfCause; CAUSES.len()]);

/// The stalls of one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfCause {
    count: u64,
    ns: u64,
}

impl StallCauses {
    /// Counts one.
    pub(crate) fn add(&mut self, stall: &NotedStall) {
        let all = self.0.iter_mut().zip(CAUSES);
        for (of_cause, _) in all.filter(|(_, cause)| *cause == stall.cause) {
            of_cause.count += 1;
            of_cause.ns = of_cause.ns.saturating_add(stall.length_ns);
        }
    }
}

/// The word of a cause, as it stands in JSON.
const fn word(cause: Cause) -> &'static str {
    match cause {
        Cause::NotAsked => "not_asked",
        Cause::Preempted => "preempted",
        Cause::MajorFault => "major_fault",
        Cause::OffCore => "off_core",
        Cause::Steal => "steal",
        Cause::MinorFault => "minor_fault",
        Cause::OnCore => "on_core",
    }
}

/// Writes them into the area of their lane.
pub(super) fn causes(image: &mut Image, StallCauses(causes): &StallCauses) {
    for (cause, OfCause { count, ns }) in CAUSES.into_iter().zip(causes) {
        let word = word(cause);
        let sentence = format!("Of the stalls, how many had this cause: {cause}.");
        image.count(&format!("{STALLS_OF}{word}"), "stalls", &sentence, *count);
        let sentence = format!("How long the stalls were together that had this cause: {cause}.");
        image.count(&format!("{STALLED_BY}{word}"), "ns", &sentence, *ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_cause_is_that_of_the_json_forms() {
        for cause in CAUSES {
            assert_eq!(serde_json::to_value(cause).unwrap(), word(cause));
        }
    }
}
