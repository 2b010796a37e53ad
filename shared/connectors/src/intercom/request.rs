//! One call at Intercom before it is HTTP: what the builders of [`super::actions`] make, and tests look at.

use reqwest::Method;
use serde_json::Value;

/// A conversation or a ticket comes with up to 500 messages, also as the answer to a write.
pub(super) const MOST_CONVERSATION_BYTES: usize = 8 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Not encoded yet.
    pub(super) path: Vec<String>,
    pub(super) query: Option<(&'static str, &'static str)>,
    pub(super) body: Option<Value>,
    /// Making it twice is as good as once.
    pub(super) repeatable: bool,
    /// Changes nothing, and needs no more than the permissions that everything needs: a 403 to it is about the token.
    pub(super) asks: bool,
    /// Instead of the client's own cap.
    pub(super) most_answer_bytes: Option<usize>,
}

impl Request {
    fn new(method: Method, path: &[&str], body: Option<Value>) -> Self {
        let path = path.iter().map(|segment| (*segment).to_owned()).collect();
        Self { method, path, query: None, body, repeatable: true, asks: false, most_answer_bytes: None }
    }

    pub(super) fn get(path: &[&str]) -> Self {
        Self { asks: true, ..Self::new(Method::GET, path, None) }
    }

    pub(super) fn post(path: &[&str], body: Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }

    /// Without a body.
    pub(super) fn post_nothing(path: &[&str]) -> Self {
        Self::new(Method::POST, path, None)
    }

    pub(super) fn put(path: &[&str], body: Value) -> Self {
        Self::new(Method::PUT, path, Some(body))
    }

    pub(super) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    /// Made twice, there are two.
    pub(super) fn once(self) -> Self {
        Self { repeatable: false, ..self }
    }
}

impl Request {
    /// What is not found may be the contact.
    pub(super) fn is_about_a_contact(&self) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["contacts", ..] | ["events" | "messages"] | ["conversations"] | ["tickets"] => true,
            [..] => false,
        }
    }

    /// Makes a contact or gives it other ids: another may be in the way.
    pub(super) fn gives_a_contact(&self) -> bool {
        match self.path.as_slice() {
            [contacts] => self.method == Method::POST && contacts == "contacts",
            [contacts, _] => self.method == Method::PUT && contacts == "contacts",
            [..] => false,
        }
    }
}
