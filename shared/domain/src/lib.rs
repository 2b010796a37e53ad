//! The rules of Trefoil: events, people, tickets, routing. No I/O, no AWS, no HTTP, no clock, no vendor JSON.
//!
//! Read in this order: [`event`] (what comes in), [`person`], [`tickets`] and [`consent`] (what is kept), [`action`] and [`job`] (what goes out),
//! [`outcome`] (how everything ends), [`ports`] (what is needed of the outside world).

pub mod action;
pub mod config;
pub mod consent;
pub mod echo;
pub mod event;
pub mod facet;
pub mod fold;
pub mod id;
pub mod identifier;
pub mod identity;
pub mod job;
pub mod label;
pub mod ledger;
pub mod outcome;
pub mod person;
pub mod plan;
pub mod ports;
pub mod rules;
pub mod steps;
pub mod tickets;
pub mod time;
pub mod wanted;
