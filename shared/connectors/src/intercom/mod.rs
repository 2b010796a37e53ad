//! Intercom, both directions.
//!
//! In: [`IntercomWebhooks`] turns a signed webhook into canonical events. Out: [`IntercomClient`] asks who a contact is and
//! what state a conversation is in, and writes ([`trefoil_domain::ports::Intercom`]). Both read the same objects ([`wire`]) with the same rules ([`contact`], [`ticket`]).

mod attributes;
mod contact;
// Each direction reads some fields that the other does not.
#[cfg_attr(not(all(feature = "intercom-in", feature = "intercom-out")), allow(dead_code))]
mod ticket;
#[cfg_attr(not(all(feature = "intercom-in", feature = "intercom-out")), allow(dead_code))]
mod wire;

#[cfg(feature = "intercom-in")]
mod company;
#[cfg(feature = "intercom-in")]
mod normalize;
#[cfg(feature = "intercom-in")]
mod people;
#[cfg(feature = "intercom-in")]
mod topic;
#[cfg(feature = "intercom-in")]
pub mod verify;
#[cfg(feature = "intercom-in")]
mod webhooks;
#[cfg(feature = "intercom-in")]
pub use webhooks::IntercomWebhooks;

#[cfg(feature = "intercom-out")]
mod actions;
#[cfg(feature = "intercom-out")]
mod client;
#[cfg(feature = "intercom-out")]
mod look_ups;
#[cfg(feature = "intercom-out")]
pub mod outcome;
#[cfg(feature = "intercom-out")]
mod request;
#[cfg(feature = "intercom-out")]
pub use client::{IntercomClient, IntercomSettings, Region};

/// The metadata key of every data event that we write at Intercom. One that has it comes from us, and is not taken in again:
/// events carry no actor.
pub const OWN_EVENT: &str = "trefoil";
