//! Tags, which are put on by id. <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/tags>

use crate::intercom::request::Request;
use serde_json::json;
use std::collections::BTreeMap;

/// More names than this in use at once, and the ids are asked for anew.
const MOST_KNOWN: usize = 1_000;
/// A workspace may have thousands.
const MOST_LIST_BYTES: usize = 8 * 1024 * 1024;

/// Gives the tag of that name, which it makes where there is none. Names are the same in capitals and small letters.
pub(super) fn find_or_make(name: &str) -> Request {
    Request::post(&["tags"], json!({"name": name}))
}

/// All there are. To take a tag off, it need not be made first.
pub(super) fn list() -> Request {
    Request { asks: false, most_answer_bytes: Some(MOST_LIST_BYTES), ..Request::get(&["tags"]) }
}

pub(super) fn attach(contact: &str, tag_id: &str) -> Request {
    Request::post(&["contacts", contact, "tags"], json!({"id": tag_id}))
}

pub(super) fn detach(contact: &str, tag_id: &str) -> Request {
    Request::delete(&["contacts", contact, "tags", tag_id])
}

pub(super) fn attach_to_conversation(conversation: &str, tag_id: &str, admin: &str) -> Request {
    Request::post(&["conversations", conversation, "tags"], json!({"id": tag_id, "admin_id": admin}))
}

/// Ids by name.
#[derive(Debug, Default)]
pub(super) struct TagIds(BTreeMap<String, String>);

impl TagIds {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.get(&name.to_lowercase()).cloned()
    }

    pub(super) fn learn(&mut self, name: &str, id: &str) {
        if self.0.len() >= MOST_KNOWN {
            self.0.clear();
        }
        self.0.insert(name.to_lowercase(), id.to_owned());
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.0.remove(&name.to_lowercase());
    }
}
