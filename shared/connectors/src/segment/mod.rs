//! Segment, and Customer.io's data pipelines, which speak its language.
//!
//! In: [`SegmentWebhooks`] turns signed webhooks into canonical events, [`SegmentEvents`] what arrives by Amazon
//! EventBridge; [`SegmentOrPipelines`] tells the two sources apart by who signed.

mod computed;
mod consent;
mod identity;
mod normalize;
mod traits;
pub mod verify;
mod webhooks;
mod wire;

pub use verify::BatchSignature;
pub use webhooks::{SegmentEvents, SegmentOrPipelines, SegmentWebhooks};

/// The key in a message's `context` under which Trefoil marks what it sent itself: an object that holds the workspace, as
/// `{"workspace": "main"}`. A message with it is our own echo, whichever workspace sent it, and goes no further.
pub const ORIGIN_KEY: &str = "trefoil";
