//! Customer.io, both directions.
//!
//! In: [`CustomerioWebhooks`] turns signed reporting webhooks and webhook actions into canonical events. Out:
//! [`CustomerioClient`] looks for profiles, and for names of campaigns, through the App API, and writes through the Track API.
//!
//! <https://docs.customer.io/integrations/api/webhooks>, <https://docs.customer.io/integrations/api/track> and
//! <https://docs.customer.io/integrations/api/app>

#[cfg(feature = "customerio-in")]
mod actions;
#[cfg(feature = "customerio-in")]
mod named;
#[cfg(feature = "customerio-in")]
mod reports;
#[cfg(feature = "customerio-in")]
pub mod verify;
#[cfg(feature = "customerio-in")]
mod webhooks;
#[cfg(feature = "customerio-in")]
mod wire;
#[cfg(feature = "customerio-in")]
pub use webhooks::CustomerioWebhooks;

#[cfg(feature = "customerio-out")]
mod client;
#[cfg(feature = "customerio-out")]
mod dates;
#[cfg(feature = "customerio-out")]
mod names;
#[cfg(feature = "customerio-out")]
pub mod outcome;
#[cfg(feature = "customerio-out")]
mod profiles;
#[cfg(any(feature = "customerio-in", feature = "customerio-out"))]
mod ulid;
#[cfg(feature = "customerio-out")]
mod writes;
#[cfg(feature = "customerio-out")]
pub use client::{CustomerioClient, CustomerioSettings, Region};
#[cfg(feature = "customerio-out")]
pub use writes::as_sent;
