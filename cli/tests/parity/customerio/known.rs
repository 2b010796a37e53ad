//! What is different on purpose, and why. The same stands, for people, in `docs/parity.md`.

use crate::difference::{Difference, Known};
use serde_json::Value;

const IDENTIFY: &str = "person identify";
const OBJECT: &str = "object identify";

const ULID_LENGTH: usize = 26;

pub(super) const KNOWN: &[Known] = &[
    Known {
        of: IDENTIFY,
        what: "timestamp",
        fits: |d| d.ours.as_i64() >= d.expected.as_i64() && d.ours.is_i64(),
        why: "the time of writing: Customer.io drops what is older than what it has, and what is older is known here",
    },
    Known {
        of: IDENTIFY,
        what: "attributes._update",
        fits: |d| d.ours == true,
        why: "a profile that is there is brought up to date, and never made by accident",
    },
    Known {
        of: IDENTIFY,
        what: "attributes.email",
        fits: |d| d.expected.is_null() && d.ours.is_string(),
        why: "a new profile gets the address that is known to be the person's",
    },
    Known {
        of: IDENTIFY,
        what: "attributes.birthday",
        fits: |d| d.expected.as_i64() < Some(0) && d.ours.is_string(),
        why: "Customer.io takes no number before 1970 for a date, so it stays text",
    },
    Known { of: IDENTIFY, what: "attributes.firstName", fits: only_there, why: ONE_SPELLING },
    Known { of: IDENTIFY, what: "attributes.first_name", fits: only_here, why: ONE_SPELLING },
    Known { of: IDENTIFY, what: "attributes.objectTypeId", fits: only_here, why: NOT_TAKEN_OUT },
    Known { of: IDENTIFY, what: "attributes.object_type_id", fits: only_here, why: NOT_TAKEN_OUT },
    Known { of: IDENTIFY, what: "attributes.relationshipAttributes", fits: only_here, why: NOT_TAKEN_OUT },
    Known { of: IDENTIFY, what: "attributes.anonymous_id", fits: only_there, why: NO_BROWSER },
    Known { of: "person event", what: "attributes.anonymous_id", fits: only_there, why: NO_BROWSER },
    Known { of: "person page", what: "attributes.anonymous_id", fits: only_there, why: NO_BROWSER },
    Known { of: "person screen", what: "attributes.anonymous_id", fits: only_there, why: NO_BROWSER },
    Known { of: OBJECT, what: "attributes.anonymous_id", fits: only_there, why: NO_BROWSER_OF_OBJECT },
    Known { of: "object identify_anonymous", what: "attributes.anonymous_id", fits: only_there, why: NO_BROWSER_OF_OBJECT },
    Known { of: "object delete_relationships", what: "attributes.anonymous_id", fits: only_there, why: NO_BROWSER_OF_OBJECT },
    Known { of: IDENTIFY, what: "request", fits: is_anonymous, why: NOBODY },
    Known {
        of: IDENTIFY,
        what: "request",
        fits: |d| d.expected.is_null() && names_alone(&d.ours["attributes"]),
        why: "the address and the user id of a person reach their profile with the first call that names them",
    },
    Known { of: "person event", what: "request", fits: is_anonymous, why: NOBODY },
    Known { of: "person page", what: "request", fits: is_anonymous, why: NOBODY },
    Known { of: "person screen", what: "request", fits: is_anonymous, why: NOBODY },
    Known {
        of: "object identify_anonymous",
        what: "request",
        fits: |d| d.ours == OBJECT,
        why: "the object is written without the browser, which is nobody yet",
    },
    Known {
        of: "object identify_anonymous",
        what: "relationship",
        fits: |d| d.ours.is_null() && d.expected["identifiers"]["anonymous_id"].is_string(),
        why: "the object is written without the browser, which is nobody yet",
    },
    Known { of: "person event", what: "id", fits: is_ulid, why: ULID },
    Known { of: "person page", what: "id", fits: is_ulid, why: ULID },
    Known { of: "person screen", what: "id", fits: is_ulid, why: ULID },
    Known {
        of: "person event",
        what: "timestamp",
        fits: |d| d.expected.is_string() && d.ours.is_i64(),
        why: "where the time cannot be read, it happened when the call was made, or sent, or came",
    },
    Known { of: OBJECT, what: "attributes.objectTypeId", fits: only_here, why: NOT_TAKEN_OUT },
    Known { of: OBJECT, what: "attributes.name", fits: only_here, why: NOT_NESTED },
    Known { of: OBJECT, what: "attributes.industry", fits: only_here, why: NOT_NESTED },
    Known { of: OBJECT, what: "attributes.employees", fits: only_here, why: NOT_NESTED },
    Known { of: OBJECT, what: "attributes.plan", fits: only_here, why: NOT_NESTED },
    Known { of: OBJECT, what: "attributes.total billed", fits: only_here, why: NOT_NESTED },
];

const NOT_TAKEN_OUT: &str = "what the call says of an object stays an attribute as well, unless the route names what it takes";
const NO_BROWSER: &str = "no browser's id is put into attributes: Segment's ids of browsers stay between Segment and us";
const NO_BROWSER_OF_OBJECT: &str = "a browser's id is no attribute of an object";
const ONE_SPELLING: &str = "names that Segment lets everybody spell in two ways have one spelling";
const NOBODY: &str = "nobody is made of a browser that has not said whose it is";
const ULID: &str = "Customer.io takes ULIDs; it follows from the message's id, so that a repeat is the same event";
const NOT_NESTED: &str = "what is said of an object is carried, nested under objectAttributes or not";

fn only_here(difference: &Difference) -> bool {
    difference.expected.is_null()
}

fn only_there(difference: &Difference) -> bool {
    difference.ours.is_null()
}

fn is_anonymous(difference: &Difference) -> bool {
    difference.ours.is_null() && difference.expected["identifiers"]["anonymous_id"].is_string()
}

fn names_alone(attributes: &Value) -> bool {
    attributes.as_object().is_some_and(|attributes| attributes.keys().all(|name| matches!(name.as_str(), "_update" | "email" | "id")))
}

fn is_ulid(difference: &Difference) -> bool {
    let is_message_id = difference.expected.is_string() || difference.expected == Value::Null;
    is_message_id && difference.ours.as_str().is_some_and(|id| id.len() == ULID_LENGTH)
}
