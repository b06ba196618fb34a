//! Whose loss lanes tell: of which questions there are streams.

use route::{Service, TierChoice};

use super::Plan;
use crate::config::keys::STREAMS;

/// What is told of streams.
pub(super) fn explain(plan: &Plan) -> String {
    match plan.config.lane.streams {
        0 => "none: nobody is told what was lost on the way here".to_owned(),
        count => format!(
            "each lane tells {count} apart: what was lost, doubled and late of STAMP and sockperf, and the jitter of STAMP"
        ),
    }
}

/// Streams that nothing can be said of.
pub(super) fn warning(plan: &Plan) -> Option<String> {
    let has_sequence = |service| matches!(service, Service::Stamp { .. } | Service::Sockperf { .. });
    let mut routes = plan.routes.routes().iter().filter(|route| route.tier != TierChoice::Kernel);
    if plan.config.lane.streams == 0 || routes.any(|route| has_sequence(route.service)) {
        return None;
    }
    Some(format!(
        "streams are to be told apart ({STREAMS}), and no question that is answered carries a sequence: --respond stamp, or sockperf:PORT"
    ))
}
