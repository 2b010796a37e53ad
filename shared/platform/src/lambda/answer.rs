//! What every function that takes webhooks makes of the answer: a count, a line in the log where an operator should look, and
//! the response.

use super::webhook::Response;
use crate::clock::SystemClock;
use crate::telemetry::{Dimension, emit};
use trefoil_domain::event::Source;
use trefoil_domain::ports::Clock;
use trefoil_domain::steps::ingest::Answer;

/// Counts and logs it, and gives what the sender gets.
pub fn answered(source: Source, answer: &Answer) -> Response {
    emit(SystemClock.now(), &[("webhooks", 1.0)], &[(Dimension::Source, source.name()), (Dimension::Outcome, answer.name())]);
    log(answer);
    let body = match answer {
        // The word stands in the sender's delivery log, where the author of the webhook looks.
        Answer::Refused(reason) => (*reason).to_owned(),
        Answer::Accepted { .. } | Answer::Ignored(_) | Answer::Parked(_) | Answer::Unauthorized | Answer::Unavailable(_) => String::new(),
    };
    Response { status: answer.status(), body }
}

/// A reason is a word of this program (`&'static str`): nothing that a sender wrote can get into the log by it.
pub fn log(answer: &Answer) {
    match answer {
        Answer::Accepted { parked: 1.., .. } => tracing::warn!("messages of no use were parked; their neighbours were taken"),
        Answer::Parked(reason) | Answer::Refused(reason) => tracing::warn!(reason, "something of no use was parked"),
        Answer::Unavailable(why) => tracing::error!(why, "it could not be made durable; it will come again"),
        Answer::Accepted { .. } | Answer::Ignored(_) | Answer::Unauthorized => {}
    }
}
