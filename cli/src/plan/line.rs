//! What is told of one body.

use serde::Serialize;
use serde_json::value::RawValue;
use trefoil_domain::event::Event;
use trefoil_domain::time::Timestamp;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Line {
    pub(crate) events: Vec<Event>,
    pub(crate) requests: Vec<Request>,
    pub(crate) skipped: Vec<Skipped>,
}

/// One request, as it would go to the vendor.
#[derive(Debug, Serialize)]
pub(crate) struct Request {
    pub(crate) destination: &'static str,
    /// What it was made for.
    pub(crate) action: String,
    pub(crate) method: String,
    pub(crate) url: String,
    /// Byte for byte; `null` where there is none.
    pub(crate) body: Option<Box<RawValue>>,
}

/// Something that ended otherwise than done, or has not ended.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    /// The route that asked for it, or the stage at which it ended.
    pub(crate) route: String,
    pub(crate) reason: String,
    /// RFC 3339: when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
}

impl Line {
    pub(crate) fn skip(&mut self, route: &str, reason: &str) {
        self.skipped.push(Skipped { route: route.to_owned(), reason: reason.to_owned(), until: None });
    }

    pub(crate) fn waits(&mut self, route: &str, reason: &str, until: Option<Timestamp>) {
        let (route, reason) = (route.to_owned(), format!("waits: {reason}"));
        self.skipped.push(Skipped { route, reason, until: until.and_then(Timestamp::to_rfc3339) });
    }
}
