//! The least of the vendors' APIs that the tests need: they remember what they are sent, and can be out of order for one
//! person.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// One thing that Customer.io accepted: an entry of a batch, or a body of its own.
/// <https://docs.customer.io/integrations/api/track/>
#[derive(Clone, Debug)]
pub struct Item(Value);

impl Item {
    /// Whether it concerns the person with this id.
    pub fn is_about(&self, person: &str) -> bool {
        self.0["identifiers"].as_object().is_some_and(|ids| ids.values().any(|id| id == person))
    }

    /// An attribute that it sets.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        (self.0["action"] == "identify").then(|| self.0["attributes"].get(name)).flatten()
    }

    /// The id of the event, if it is one of this name.
    pub fn event_id(&self, name: &str) -> Option<&str> {
        (self.0["action"] == "event" && self.0["name"] == name).then(|| self.0["id"].as_str()).flatten()
    }
}

/// Customer.io's Track API.
#[derive(Clone)]
pub struct Customerio {
    pub url: String,
    state: Arc<Mutex<CustomerioState>>,
}

#[derive(Default)]
struct CustomerioState {
    accepted: Vec<Item>,
    /// How often still a request that names this person is answered with 503.
    refusals: BTreeMap<String, u32>,
}

impl Customerio {
    pub(crate) async fn start() -> Self {
        let state = Arc::<Mutex<CustomerioState>>::default();
        let routes =
            Router::new().route("/api/v2/batch", post(Self::take)).route("/api/v2/entity", post(Self::take)).with_state(Arc::clone(&state));
        Self { url: serve(routes).await, state }
    }

    async fn take(State(state): State<Arc<Mutex<CustomerioState>>>, Json(body): Json<Value>) -> Response {
        let items = match body.get("batch") {
            Some(Value::Array(items)) => items.iter().cloned().map(Item).collect(),
            Some(_) => return StatusCode::BAD_REQUEST.into_response(),
            None => vec![Item(body)],
        };
        let mut state = lock(&state);
        for (person, left) in &mut state.refusals {
            if *left > 0 && items.iter().any(|item| item.is_about(person)) {
                *left -= 1;
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        }
        state.accepted.extend(items);
        Json(json!({})).into_response()
    }

    /// Answers the next requests that concern this person with 503.
    pub fn refuse(&self, person: &str, times: u32) {
        lock(&self.state).refusals.insert(person.to_owned(), times);
    }

    /// How many of them are still to come.
    pub fn refusals_left(&self, person: &str) -> u32 {
        lock(&self.state).refusals.get(person).copied().unwrap_or(0)
    }

    /// Everything accepted about one person, in order.
    pub fn about(&self, person: &str) -> Vec<Item> {
        lock(&self.state).accepted.iter().filter(|item| item.is_about(person)).cloned().collect()
    }

    /// The last value of an attribute of a person.
    pub fn attribute(&self, person: &str, name: &str) -> Option<Value> {
        self.about(person).iter().rev().find_map(|item| item.attribute(name).cloned())
    }

    /// The ids of the events of this name, one for each time that it was accepted.
    pub fn events(&self, person: &str, name: &str) -> Vec<String> {
        self.about(person).iter().filter_map(|item| item.event_id(name).map(str::to_owned)).collect()
    }
}

/// Intercom's REST API: contacts can be looked up, and nothing else exists.
/// <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts/showcontact>
#[derive(Clone)]
pub struct Intercom {
    pub url: String,
    contacts: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Intercom {
    pub(crate) async fn start() -> Self {
        let contacts = Arc::<Mutex<BTreeMap<String, Value>>>::default();
        let routes = Router::new().route("/contacts/{id}", get(Self::contact)).with_state(Arc::clone(&contacts));
        Self { url: serve(routes).await, contacts }
    }

    async fn contact(State(contacts): State<Arc<Mutex<BTreeMap<String, Value>>>>, Path(id): Path<String>) -> Response {
        match lock(&contacts).get(&id) {
            Some(contact) => Json(contact.clone()).into_response(),
            None => {
                let error = json!({ "type": "error.list", "request_id": "r", "errors": [{ "code": "not_found", "message": "Not found" }] });
                (StatusCode::NOT_FOUND, Json(error)).into_response()
            }
        }
    }

    /// Makes a contact that can be looked up.
    pub fn has(&self, contact: Value) {
        let id = contact["id"].as_str().expect("a contact has an id").to_owned();
        lock(&self.contacts).insert(id, contact);
    }
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
