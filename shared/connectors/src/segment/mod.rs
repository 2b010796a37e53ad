//! Segment, and Customer.io's data pipelines, which speak its language.
//!
//! In: [`SegmentWebhooks`] turns signed webhooks into canonical events, [`SegmentEvents`] what arrives by Amazon
//! EventBridge; [`SegmentOrPipelines`] tells the two sources apart by who signed. Out: [`SegmentClient`] sends messages through
//! the Tracking API.
//!
//! <https://segment.com/docs/connections/spec/>

#[cfg(feature = "segment-in")]
mod computed;
#[cfg(feature = "segment-in")]
mod consent;
#[cfg(feature = "segment-in")]
mod identity;
#[cfg(feature = "segment-in")]
mod normalize;
#[cfg(feature = "segment-in")]
mod traits;
#[cfg(feature = "segment-in")]
pub mod verify;
#[cfg(feature = "segment-in")]
mod webhooks;
#[cfg(feature = "segment-in")]
mod wire;

#[cfg(feature = "segment-in")]
pub use verify::BatchSignature;
#[cfg(feature = "segment-in")]
pub use webhooks::{SegmentEvents, SegmentOrPipelines, SegmentWebhooks};

#[cfg(feature = "segment-out")]
mod client;
#[cfg(feature = "segment-out")]
mod message;
#[cfg(feature = "segment-out")]
pub mod outcome;
#[cfg(feature = "segment-out")]
pub use client::{Region, SegmentClient, SegmentSettings, SettingsError};
#[cfg(feature = "segment-out")]
pub use message::as_sent;

/// The key in a message's `context` under which Trefoil marks what it sent itself: an object that says whose fact it was, as
/// `{"origin": "intercom"}`. A message with it is our own echo, whichever workspace sent it, and goes no further.
pub const ORIGIN_KEY: &str = "trefoil";
