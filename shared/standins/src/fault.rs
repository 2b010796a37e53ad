//! What can go wrong between a client and a vendor, switched on and off while a test runs.

use crate::clock::Clock;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What happens to a request instead of, or around, the ordinary answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, with the vendor's usual body for it, and nothing is applied. `wait` is told in the vendor's way:
    /// Customer.io in `Retry-After`, Intercom in `X-RateLimit-Reset`.
    Answer { status: u16, wait: Option<Duration> },
    /// No answer until [`Faults::clear`], which then drops the connection.
    Hang { applied: bool },
    /// The connection is closed without an answer; `applied`: after the request was done as usual, so that the client cannot
    /// tell.
    Drop { applied: bool },
    /// The ordinary answer, later. A client that gives up before that leaves nothing applied and nothing recorded.
    Latency(Duration),
}

impl Fault {
    /// [`Fault::Answer`] that does not say how long to wait.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer { status, wait: None }
    }
}

/// For how long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// The next so many requests that it applies to.
    Requests(u64),
    /// From now on, by the stand-in's clock.
    Time(Duration),
    /// Until [`Faults::clear`].
    Always,
}

/// The faults of one stand-in.
#[derive(Debug)]
pub struct Faults {
    clock: Clock,
    armed: Mutex<Vec<Armed>>,
    cleared: watch::Sender<u64>,
}

#[derive(Debug)]
struct Armed {
    at: At,
    fault: Fault,
    left: Left,
}

/// Which requests a fault is for.
#[derive(Debug)]
enum At {
    /// Of the path.
    Prefix(String),
    /// Exactly this operation.
    Operation { method: String, route: String },
}

impl At {
    fn fits(&self, method: &str, route: &str, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Operation { method: wanted, route: operation } => wanted == method && operation == route,
        }
    }
}

#[derive(Debug)]
enum Left {
    Requests(u64),
    UntilMs(i64),
    Always,
}

/// What the faults ask of one request: wait, then possibly something else than the ordinary answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) latency: Duration,
    pub(crate) then: Option<Fault>,
}

impl Faults {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, armed: Mutex::default(), cleared: watch::Sender::new(0) }
    }

    /// Arms `fault` for paths that begin with `prefix`; `""` is every path. Faults apply in the order they were set: all
    /// latencies that fit, and the first other fault that fits.
    pub fn set(&self, prefix: &str, fault: Fault, during: During) {
        self.arm(At::Prefix(prefix.to_owned()), fault, during);
    }

    /// As [`Faults::set`], for one operation only, named as in the journal: `POST` and `/contacts`, or `PUT` and
    /// `/contacts/{id}`.
    pub fn set_on(&self, method: &str, route: &str, fault: Fault, during: During) {
        self.arm(At::Operation { method: method.to_owned(), route: route.to_owned() }, fault, during);
    }

    fn arm(&self, at: At, fault: Fault, during: During) {
        let left = match during {
            During::Requests(count) => Left::Requests(count),
            During::Time(span) => Left::UntilMs(self.clock.now_ms().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))),
            During::Always => Left::Always,
        };
        self.armed().push(Armed { at, fault, left });
    }

    /// Disarms everything and lets go of the requests that hang.
    pub fn clear(&self) {
        self.armed().clear();
        self.cleared.send_modify(|times| *times += 1);
    }

    pub(crate) fn next(&self, method: &str, route: &str, path: &str) -> Happening {
        let mut armed = self.armed();
        let mut happening = Happening::default();
        if armed.is_empty() {
            return happening;
        }
        let now_ms = self.clock.now_ms();
        armed.retain(|armed| match armed.left {
            Left::Requests(count) => count > 0,
            Left::UntilMs(until) => now_ms < until,
            Left::Always => true,
        });
        for armed in armed.iter_mut().filter(|armed| armed.at.fits(method, route, path)) {
            match armed.fault {
                Fault::Latency(latency) => happening.latency += latency,
                Fault::Answer { .. } | Fault::Hang { .. } | Fault::Drop { .. } => {
                    if happening.then.is_some() {
                        continue;
                    }
                    happening.then = Some(armed.fault);
                }
            }
            match &mut armed.left {
                Left::Requests(count) => *count = count.saturating_sub(1),
                Left::UntilMs(_) | Left::Always => {}
            }
        }
        happening
    }

    /// Ends with the first [`Faults::clear`] after this call, even one that comes before it is awaited.
    pub(crate) fn released(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut cleared = self.cleared.subscribe();
        async move {
            // An error means that the stand-in is gone, which releases as well.
            cleared.changed().await.ok();
        }
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
