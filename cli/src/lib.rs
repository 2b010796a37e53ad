//! Trefoil on one machine: the same steps and connectors as the Lambda functions, in one process.

pub mod check;
pub mod conflicts;
pub mod demo;
pub mod plan;
pub mod serve;
