//! Trefoil on one machine: the same steps and connectors as the Lambda functions, in one process.

pub mod check;
pub mod conflicts;
pub mod demo;
mod operator;
pub mod plan;
pub mod review;
pub mod serve;
