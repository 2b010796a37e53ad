//! What is different on purpose, and why. The same stands, for people, in `docs/parity.md`.

use crate::difference::{Difference, Known};
use serde_json::Value;

pub(crate) const KNOWN: &[Known] = &[
    Known {
        of: "event",
        what: "metadata.trefoil",
        fits: |d| d.ours == "1",
        why: "our mark: by it the event is known for ours when Intercom reports it",
    },
    Known {
        of: "event",
        what: "metadata.currency",
        fits: |d| d.expected.is_null(),
        why: "a currency beside another amount than the revenue stays",
    },
    Known {
        of: "contact",
        what: "unsubscribed_from_emails",
        fits: |d| d.expected == Value::Bool(false) && d.ours.is_null(),
        why: "nobody is taken back into e-mail by what a tool believes",
    },
    Known {
        of: "contact",
        what: "unsubscribed_from_emails",
        fits: |d| d.expected.is_null() && d.ours == Value::Bool(true),
        why: "whoever is out of e-mail anywhere is out of it here",
    },
    Known {
        of: "contact",
        what: "email",
        fits: |d| d.expected.is_null() && d.ours.is_string(),
        why: "what is known of the person by their id or from another call is told along",
    },
    Known {
        of: "contact",
        what: "signed_up_at",
        fits: |d| d.expected.is_null(),
        why: "the shipped route says when somebody signed up, which the default mapping leaves out",
    },
    Known {
        of: "contact",
        what: "request",
        fits: |d| d.ours.is_null() && d.expected.get("email").is_none() && d.expected.get("external_id").is_none(),
        why: "nobody is made of a browser that has not said whose it is",
    },
    Known {
        of: "contact",
        what: "request",
        fits: |d| d.expected.is_null() && is_refused_there(d),
        why: "an unusable address is left out, and the rest is written",
    },
    Known {
        of: "event",
        what: "request",
        fits: |d| d.expected.is_null() && is_refused_there(d),
        why: "a call without a time happened when it was sent or came",
    },
    Known {
        of: "event",
        what: "request",
        fits: |d| d.ours.is_null() && is_not_found_there(d),
        why: "who is not at Intercom is found out before, so that no call is made that would be refused",
    },
    Known {
        of: "outcome",
        what: "error",
        fits: |d| d.ours == "done" && is_refused_there(d),
        why: "what is wrong with a call does not cost the rest of it",
    },
    Known {
        of: "outcome",
        what: "error",
        fits: |d| d.ours == "tries again" && is_not_found_there(d),
        why: "a search of Intercom misses what is new, so that who is not found is looked for again for ten minutes",
    },
    Known {
        of: "outcome",
        what: "error",
        fits: |d| d.ours == "tries again" && d.expected == "done" && d.error.is_null(),
        why: "the company is written at once; somebody new is made part of it as soon as there is a contact, for ten minutes",
    },
    Known {
        of: "outcome",
        what: "error",
        fits: |d| d.ours == "done" && d.error["status"] == 409,
        why: "a contact that is there already is found by the refusal itself, and written at once",
    },
];

/// Before any call was made.
fn is_refused_there(difference: &Difference) -> bool {
    difference.error["kind"] == "PayloadValidation"
}

fn is_not_found_there(difference: &Difference) -> bool {
    difference.error["status"] == 404
}
