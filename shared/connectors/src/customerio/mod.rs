//! Customer.io as a destination: profiles are looked for through the App API, attributes and events are written through
//! Track v2.
//!
//! <https://docs.customer.io/integrations/api/track> and <https://docs.customer.io/integrations/api/app>

mod client;
mod entity;
pub mod outcome;
mod profiles;
mod ulid;

pub use client::{CustomerioClient, CustomerioSettings, Region};
