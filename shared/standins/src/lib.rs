//! Stand-ins of the vendors' APIs: small HTTP servers on 127.0.0.1 that behave as the vendors' pages say, for
//! `trefoil demo` and for tests of faults, load and whole runs.
//!
//! They are independent judges: this crate must not know Trefoil's domain or its connectors, only HTTP and JSON. Every
//! behaviour names the vendor's page it comes from. Where the vendor's pages leave something open, a stand-in can do
//! either, chosen by a seed: see [`customerio::Variants`],
//! [`intercom::Variants`] and [`segment::Variants`].
//!
//! Read in this order: [`journal`] (what was asked), [`fault`] (what can go wrong), [`customerio`], [`intercom`], [`segment`].

mod clock;
pub mod customerio;
pub mod fault;
pub mod intercom;
pub mod journal;
mod seed;
pub mod segment;
mod sender;
mod server;

pub use clock::Clock;
pub use customerio::CustomerIo;
pub use intercom::Intercom;
pub use segment::Segment;
