//! What Trefoil knows of the three tools: one folder a tool, both directions. A vendor quirk lives here and nowhere else.
//!
//! Nothing here knows of AWS, queues, stored people or routes. Webhooks come in as bytes and leave as canonical events;
//! writes and questions come in as the domain's own types and leave as outcomes.
//!
//! Features take one direction each (`intercom-in`, `customerio-in`, `segment-in`, `intercom-out`, `customerio-out`,
//! `segment-out`), so that
//! a function that only receives webhooks is built without an HTTP client.

#[cfg(feature = "http")]
pub mod breaker;
#[cfg(any(feature = "customerio-in", feature = "customerio-out"))]
pub mod customerio;
#[cfg(any(
    feature = "customerio-in",
    feature = "customerio-out",
    feature = "intercom-in",
    feature = "intercom-out",
    feature = "segment-in"
))]
#[cfg_attr(not(any(feature = "intercom-in", feature = "intercom-out", feature = "customerio-in")), allow(dead_code))]
mod cut;
#[cfg(feature = "http")]
mod door;
#[cfg(any(feature = "customerio-in", feature = "intercom-in", feature = "segment-in"))]
mod half_characters;
#[cfg(feature = "http")]
pub mod http;
#[cfg(any(feature = "intercom-in", feature = "intercom-out"))]
pub mod intercom;
#[cfg(any(feature = "customerio-in", feature = "intercom-in", feature = "segment-in"))]
pub mod keyring;
// Each direction reads with a part of it.
#[cfg(any(
    feature = "customerio-in",
    feature = "customerio-out",
    feature = "intercom-in",
    feature = "intercom-out",
    feature = "segment-in"
))]
#[cfg_attr(not(all(feature = "intercom-in", feature = "intercom-out", feature = "segment-in")), allow(dead_code))]
mod lenient;
#[cfg(feature = "http")]
pub mod limit;
#[cfg(any(feature = "customerio-in", feature = "segment-in"))]
mod preferences;
#[cfg(any(feature = "segment-in", feature = "segment-out"))]
pub mod segment;
