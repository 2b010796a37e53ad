//! Which profile is meant: through the App API, in as few calls as it allows.
//!
//! A profile that exists is named by its `cio_id`, the only id that never changes; it is gone once the profile is merged or
//! deleted. Several with one address are none.
//! <https://docs.customer.io/integrations/api/app>

use super::client::{Api, CustomerioClient, No};
use reqwest::Method;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use trefoil_domain::event::IdKind;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Address, Clock, ProfileLookUp, SeenProfile};
use trefoil_domain::time::Span;

/// The vendor's limit for one call.
const MOST_IDS: usize = 100;

/// What there was under one id.
#[derive(Clone, Debug)]
enum Hit {
    Absent,
    One(Identifiers),
    Several,
    Failed(Outcome),
}

impl<C: Clock> CustomerioClient<C> {
    pub(super) async fn find(&self, people: &[Address]) -> Vec<ProfileLookUp> {
        let addresses: Vec<Vec<&(IdKind, String)>> = people.iter().map(usable).collect();
        let Some(app) = &self.app else {
            return addresses.iter().map(|ids| unasked(ids)).collect();
        };
        let mut found: Vec<Option<ProfileLookUp>> = vec![None; people.len()];
        // Everybody's first id, then the second of those that the first did not find, and so on.
        for place in 0..addresses.iter().map(Vec::len).max().unwrap_or(0) {
            let asked = |index: usize, kind: IdKind| addresses[index].get(place).filter(|(k, _)| *k == kind).map(|(_, id)| id.as_str());
            let open: Vec<usize> = (0..people.len()).filter(|index| found[*index].is_none()).collect();
            let all = |kind| -> BTreeSet<&str> { open.iter().filter_map(|index| asked(*index, kind)).collect() };
            let by_cio_id = self.by_ids(app, IdType::CioId, all(IdKind::CioId)).await;
            let by_id = self.by_ids(app, IdType::Id, all(IdKind::UserId)).await;
            let by_email = self.by_emails(app, all(IdKind::Email)).await;
            for index in open {
                let Some((kind, id)) = addresses[index].get(place) else { continue };
                let hit = match kind {
                    IdKind::CioId => by_cio_id.get(id),
                    IdKind::UserId => by_id.get(id),
                    IdKind::Email => by_email.get(id),
                    IdKind::IntercomId | IdKind::Phone | IdKind::AnonymousId => None,
                };
                found[index] = match hit {
                    Some(Hit::Absent) | None => None,
                    Some(Hit::One(profile)) => Some(match profile.clone().seen() {
                        Some(seen) => ProfileLookUp::Found(seen),
                        // It exists; it just cannot be named any better.
                        None => ProfileLookUp::FoundBy(*kind, id.clone()),
                    }),
                    Some(Hit::Several) => Some(ProfileLookUp::Ambiguous),
                    Some(Hit::Failed(outcome)) => Some(ProfileLookUp::Failed(outcome.clone())),
                };
            }
        }
        found.into_iter().map(|look_up| look_up.unwrap_or(ProfileLookUp::Absent)).collect()
    }

    /// Unknown ids are left out of the answer.
    async fn by_ids(&self, app: &Api, id_type: IdType, ids: BTreeSet<&str>) -> BTreeMap<String, Hit> {
        let mut hits = BTreeMap::new();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut chunks: Vec<Vec<&str>> = ids.chunks(MOST_IDS).map(<[&str]>::to_vec).collect();
        while let Some(mut chunk) = chunks.pop() {
            match self.ask_for_ids(app, id_type, &chunk).await {
                Ok(customers) => {
                    // Unknown ids are left out, so that an answer of as many has them all, even if it does not name them.
                    let all = customers.len() == chunk.len() && customers.iter().all(|customer| customer.ids().cio_id.is_none());
                    hits.extend(chunk.into_iter().map(|id| (id.to_owned(), id_type.hit(&customers, all, id))));
                }
                // A hundred profiles may have more attributes than we read at once.
                Err(No::Answer(no)) if no.too_large && chunk.len() > 1 => {
                    let half = chunk.split_off(chunk.len() / 2);
                    chunks.extend([chunk, half]);
                }
                Err(no) => {
                    let outcome = no.outcome();
                    hits.extend(chunk.into_iter().map(|id| (id.to_owned(), Hit::Failed(outcome.clone()))));
                }
            }
        }
        hits
    }

    async fn ask_for_ids(&self, app: &Api, id_type: IdType, ids: &[&str]) -> Result<Vec<Customer>, No> {
        let body = serde_json::json!({ "ids": ids }).to_string();
        let mut call = app.call(Method::POST, &["v1", "customers", "attributes"], Some(body.into()));
        call.url.query_pairs_mut().append_pair("id_type", id_type.as_str());
        let answer = app.ask(&call, self.clock.now()).await?;
        match serde_json::from_slice::<Customers>(&answer.body) {
            Ok(body) => Ok(body.customers.into_iter().map(Wrapped::into_customer).collect()),
            Err(_) => Err(unreadable()),
        }
    }

    async fn by_emails(&self, app: &Api, emails: BTreeSet<&str>) -> BTreeMap<String, Hit> {
        // Side by side: a slow answer must not use up the time of the whole batch.
        let asked = emails.into_iter().map(async |email| {
            let hit = match self.ask_for_email(app, email).await {
                Ok(results) => match results.as_slice() {
                    [] => Hit::Absent,
                    // It goes by the address that was asked for, said or not.
                    [one] => Hit::One(Identifiers { email: Some(email.to_owned()), ..one.clone() }),
                    _ => Hit::Several,
                },
                Err(no) => Hit::Failed(no.outcome()),
            };
            (email.to_owned(), hit)
        });
        futures::future::join_all(asked).await.into_iter().collect()
    }

    async fn ask_for_email(&self, app: &Api, email: &str) -> Result<Vec<Identifiers>, No> {
        let mut call = app.call(Method::GET, &["v1", "customers"], None);
        // A `+` that is not encoded is answered with an empty list.
        call.url.query_pairs_mut().append_pair("email", email);
        let answer = app.ask(&call, self.clock.now()).await?;
        serde_json::from_slice::<Results>(&answer.body).map(|body| body.results).map_err(|_| unreadable())
    }
}

/// The ids that Customer.io can know, in the order given.
fn usable(address: &Address) -> Vec<&(IdKind, String)> {
    address.ids.iter().filter(|(kind, _)| matches!(kind, IdKind::CioId | IdKind::UserId | IdKind::Email)).collect()
}

/// Without a key for the App API. A `cio_id` was given out by Customer.io itself, so the profile was there.
fn unasked(ids: &[&(IdKind, String)]) -> ProfileLookUp {
    match (ids.iter().find(|(kind, _)| *kind == IdKind::CioId), ids.first()) {
        (Some((_, cio_id)), _) => ProfileLookUp::Found(SeenProfile { own: cio_id.clone(), user_id: None, email: None }),
        (None, Some((kind, id))) => ProfileLookUp::Unverified(*kind, id.clone()),
        (None, None) => ProfileLookUp::Absent,
    }
}

/// What a list of ids is a list of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdType {
    Id,
    CioId,
}

impl IdType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::CioId => "cio_id",
        }
    }

    fn hit(self, customers: &[Customer], all: bool, id: &str) -> Hit {
        let asked_for = |kind| Some(id.to_owned()).filter(|_| self == kind);
        let found = match self {
            Self::Id => customers.iter().find(|customer| customer.is(id)),
            Self::CioId => customers.iter().find(|customer| customer.ids().cio_id.as_deref() == Some(id)),
        };
        match found.map(Customer::ids) {
            Some(ids) => Hit::One(Identifiers { id: asked_for(Self::Id).or(ids.id), ..ids }),
            None if all && self == Self::CioId => Hit::One(Identifiers { cio_id: asked_for(Self::CioId), ..Identifiers::default() }),
            None => Hit::Absent,
        }
    }
}

fn unreadable() -> No {
    No::Reading(Outcome::retry(Span::ZERO, "unreadable_answer"))
}

#[derive(Deserialize)]
struct Customers {
    customers: Vec<Wrapped>,
}

/// The description wraps each profile in an object of its own; whether answers do is not confirmed.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wrapped {
    Wrapped { customer: Customer },
    Bare(Customer),
}

impl Wrapped {
    fn into_customer(self) -> Customer {
        match self {
            Self::Wrapped { customer } | Self::Bare(customer) => customer,
        }
    }
}

#[derive(Deserialize)]
struct Customer {
    id: Option<String>,
    identifiers: Option<Identifiers>,
    attributes: Option<Identifiers>,
}

/// Those that there are not may also be empty.
#[derive(Clone, Debug, Default, Deserialize)]
struct Identifiers {
    id: Option<String>,
    email: Option<String>,
    cio_id: Option<String>,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Identifiers>,
}

impl Customer {
    fn places(&self) -> impl Iterator<Item = &Identifiers> {
        [&self.identifiers, &self.attributes].into_iter().flatten()
    }

    fn is(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id) || self.places().any(|place| place.id.as_deref() == Some(id))
    }

    /// From wherever the answer has them.
    fn ids(&self) -> Identifiers {
        let first = |of: fn(&Identifiers) -> &Option<String>| self.places().find_map(|place| filled(of(place).as_ref()));
        Identifiers {
            id: first(|place| &place.id).or_else(|| filled(self.id.as_ref())),
            email: first(|place| &place.email),
            cio_id: first(|place| &place.cio_id),
        }
    }
}

impl Identifiers {
    fn seen(self) -> Option<SeenProfile> {
        let email = filled(self.email.as_ref()).map(|email| email.to_lowercase());
        Some(SeenProfile { own: filled(self.cio_id.as_ref())?, user_id: filled(self.id.as_ref()), email })
    }
}

fn filled(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}
