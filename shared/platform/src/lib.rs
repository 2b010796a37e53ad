//! The outside world behind the ports of the domain: AWS, one SQLite file, the environment, the clock, logs and metrics.
//!
//! It knows nothing of vendors, routes or tickets. [`aws`] and [`sqlite`] implement the same traits and pass the same
//! tests (`tests/contract`). Each is a feature, so that a function links only what it runs.

pub mod clock;
pub mod settings;
pub mod telemetry;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub mod lambda;
#[cfg(feature = "sqlite")]
pub mod sqlite;
