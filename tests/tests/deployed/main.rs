//! The road of every event through the deployed product: from each of the three tools to the two others, under the functions'
//! own roles.

mod consent;
mod doors;
mod faults;
mod from_customerio;
mod from_intercom;
mod from_segment;
mod person;
