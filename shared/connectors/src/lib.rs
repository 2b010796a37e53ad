//! What Trefoil knows of the three tools: one folder a tool, both directions. A vendor quirk lives here and nowhere else.
//!
//! Nothing here knows of AWS, queues, stored people or routes. Webhooks come in as bytes and leave as canonical events;
//! writes and questions come in as the domain's own types and leave as outcomes.
//!
//! Features take one direction each (`intercom-in`, `intercom-out`, `customerio-in`, `customerio-out`, `segment-in`), so that a function that only
//! receives webhooks is built without an HTTP client.

#[cfg(feature = "http")]
pub mod breaker;
#[cfg(any(feature = "customerio-in", feature = "customerio-out"))]
pub mod customerio;
#[cfg(any(feature = "customerio-in", feature = "intercom-in", feature = "intercom-out"))]
mod cut;
#[cfg(feature = "http")]
mod door;
#[cfg(feature = "http")]
pub mod http;
#[cfg(any(feature = "intercom-in", feature = "intercom-out"))]
pub mod intercom;
// Each direction reads with a part of it.
#[cfg(any(feature = "customerio-in", feature = "intercom-in", feature = "intercom-out", feature = "segment-in"))]
#[cfg_attr(not(all(feature = "intercom-in", feature = "intercom-out", feature = "segment-in")), allow(dead_code))]
mod lenient;
#[cfg(feature = "http")]
pub mod limit;
#[cfg(feature = "segment-in")]
pub mod segment;
