//! `trefoil serve` as a user runs it: the built program in a process of its own, settings in its environment, webhooks over
//! HTTP, stand-ins where the vendors would be.

#![expect(clippy::expect_used, reason = "a test says what it rests on, and fails where that is not so")]

mod ada;
mod bad_input;
mod calls;
mod canary;
mod conflicts;
mod consent;
mod door;
mod histories;
mod intercom_out;
mod intercom_seen;
mod late_profile;
mod outage;
mod process;
mod review;
mod segment_out;
mod settings;
mod six;
mod sources;
mod stage;
mod stop;
mod three;
mod world;
