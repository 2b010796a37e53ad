//! Calls that the customer's own product makes, as Segment's libraries write them.
//!
//! - <https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/website/javascript>
//! - <https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/node>

use super::Segment;
use super::message::{Kind, Via, iso};
use serde_json::{Map, Value, json};

/// Which library makes a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Library {
    /// In a browser: every call has an anonymous id, and says which page it was on.
    #[default]
    AnalyticsJs,
    /// On a server.
    Node,
}

/// Who a call is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    pub user_id: Option<String>,
    /// In a browser, one that follows from the user id stands in for none.
    pub anonymous_id: Option<String>,
    /// In `context.traits`, as analytics.js adds it once it knows it.
    pub email: Option<String>,
    pub library: Library,
}

impl Caller {
    /// A user in their browser.
    #[must_use]
    pub fn user(user_id: &str) -> Self {
        Self { user_id: Some(user_id.to_owned()), ..Self::default() }
    }

    /// Somebody in a browser who has not signed in.
    #[must_use]
    pub fn visitor(anonymous_id: &str) -> Self {
        Self { anonymous_id: Some(anonymous_id.to_owned()), ..Self::default() }
    }

    /// A user, as the product's server speaks of them.
    #[must_use]
    pub fn on_server(user_id: &str) -> Self {
        Self { library: Library::Node, ..Self::user(user_id) }
    }

    fn call(&self, kind: Kind, fields: &Value) -> Map<String, Value> {
        let mut call = Map::new();
        call.insert("type".to_owned(), kind.word().into());
        call.insert("userId".to_owned(), json!(self.user_id));
        let mut context = match self.library {
            Library::AnalyticsJs => {
                let browser = || format!("browser-of-{}", self.user_id.as_deref().unwrap_or("nobody"));
                call.insert("anonymousId".to_owned(), self.anonymous_id.clone().unwrap_or_else(browser).into());
                json!({"library": {"name": "analytics.js", "version": "npm:next-1.70.0"}, "locale": "en-GB", "ip": "192.0.2.7",
                       "userAgent": "Mozilla/5.0", "timezone": "Europe/London",
                       "page": {"path": "/", "referrer": "", "search": "", "title": "Example", "url": "https://app.example.com/"}})
            }
            Library::Node => {
                if let Some(anonymous_id) = &self.anonymous_id {
                    call.insert("anonymousId".to_owned(), anonymous_id.as_str().into());
                }
                json!({"library": {"name": "@segment/analytics-node", "version": "2.2.0"}})
            }
        };
        if let Some(email) = &self.email {
            context["traits"] = json!({ "email": email });
        }
        call.insert("context".to_owned(), context);
        call.extend(fields.as_object().cloned().unwrap_or_default());
        call
    }
}

impl Segment {
    /// `traits` is an object. Returns the `messageId`, as all of these do.
    pub fn app_identify(&self, who: &Caller, traits: &Value) -> String {
        self.app_message(who, who.call(Kind::Identify, &json!({ "traits": traits })))
    }

    pub fn app_track(&self, who: &Caller, event: &str, properties: &Value) -> String {
        self.app_message(who, who.call(Kind::Track, &json!({"event": event, "properties": properties})))
    }

    pub fn app_page(&self, who: &Caller, name: &str, properties: &Value) -> String {
        self.app_message(who, who.call(Kind::Page, &json!({"name": name, "properties": properties})))
    }

    pub fn app_screen(&self, who: &Caller, name: &str, properties: &Value) -> String {
        self.app_message(who, who.call(Kind::Screen, &json!({"name": name, "properties": properties})))
    }

    pub fn app_group(&self, who: &Caller, group_id: &str, traits: &Value) -> String {
        self.app_message(who, who.call(Kind::Group, &json!({"groupId": group_id, "traits": traits})))
    }

    /// From now on `who` is the id of what `previous_id` was.
    pub fn app_alias(&self, who: &Caller, previous_id: &str) -> String {
        self.app_message(who, who.call(Kind::Alias, &json!({ "previousId": previous_id })))
    }

    /// A call in the words of the specification, such as one with `integrations` or a `timestamp` of its own. What `call` leaves
    /// out of `messageId`, `timestamp` and `sentAt` is filled in as the library does.
    pub fn app_call(&self, who: &Caller, kind: Kind, fields: &Value) -> String {
        self.app_message(who, who.call(kind, fields))
    }

    fn app_message(&self, who: &Caller, mut call: Map<String, Value>) -> String {
        let options = &self.shared.options;
        let now_ms = options.clock.now_ms();
        let mut inside = self.shared.inside();
        let uuid = inside.workspace.seeded.uuid();
        let made = match who.library {
            Library::AnalyticsJs => format!("ajs-next-{now_ms}-{uuid}"),
            Library::Node => format!("node-next-{now_ms}-{uuid}"),
        };
        for (key, value) in [("messageId", json!(made)), ("timestamp", json!(iso(now_ms))), ("sentAt", json!(iso(now_ms)))] {
            call.entry(key).or_insert(value);
        }
        let id = call.get("messageId").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Err(reason) = inside.workspace.accept(&call, Via::App, options, now_ms) {
            inside.workspace.lose(reason, Value::Object(call));
        }
        id
    }
}
