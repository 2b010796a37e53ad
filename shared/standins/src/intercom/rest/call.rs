//! What an operation works with, and how it answers.

use crate::intercom::shapes::{ApiVersion, Form};
use crate::intercom::variants::{MergedContact, RefusedAs};
use crate::intercom::webhook::Webhook;
use crate::intercom::world::{Contact, Life, NotInWorld, World};
use crate::intercom::{Inside, Shared, shapes};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub(super) type Answered = Result<Response, Refusal>;

pub(super) fn ok(value: &Value) -> Answered {
    Ok(Json(value).into_response())
}

/// "error.list" with one error. (notes 2.1)
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    /// The contact in which this one went up: `Link: …; rel="canonical"`.
    canonical: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), canonical: None }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "not_found", "Resource Not Found")
    }

    pub(super) fn no_contact() -> Self {
        Self::new(404, "not_found", "User Not Found")
    }

    /// Where only the text of a refusal is known.
    pub(super) fn open(refused_as: RefusedAs, message: impl Into<String>) -> Self {
        match refused_as {
            RefusedAs::ParameterInvalid => Self::new(400, "parameter_invalid", message),
            RefusedAs::DataInvalid => Self::new(422, "data_invalid", message),
        }
    }

    pub(super) fn into_response(self) -> Response {
        let body = json!({"type": "error.list", "request_id": null, "errors": [{"code": self.code, "message": self.message}]});
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        let link = self.canonical.and_then(|id| HeaderValue::try_from(format!("</contacts/{id}>; rel=\"canonical\"")).ok());
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

impl From<NotInWorld> for Refusal {
    fn from(missing: NotInWorld) -> Self {
        match missing.what {
            "contact" => Self::no_contact(),
            "company" => Self::new(404, "company_not_found", "Company Not Found"),
            _ => Self::not_found(),
        }
    }
}

/// One request that is allowed in.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) inside: &'a mut Inside,
    pub(super) version: ApiVersion,
}

impl Call<'_> {
    pub(super) fn now_ms(&self) -> i64 {
        self.shared.options.clock.now_ms()
    }

    pub(super) fn now(&self) -> i64 {
        self.shared.options.clock.now()
    }

    pub(super) fn world(&mut self) -> &mut World {
        &mut self.inside.world
    }

    pub(super) fn form(&self) -> Form<'static> {
        Form::Rest(self.version)
    }

    /// Puts the webhook that `make` makes into the outbox.
    pub(super) fn tell(&mut self, make: impl FnOnce(&Shared, &mut World) -> Webhook) {
        let webhook = make(self.shared, &mut self.inside.world);
        self.inside.outbox.push(webhook);
    }

    /// A contact that can be worked with. One that was merged is 410 with a link, or 404; so is, by our reading, every
    /// operation on it and not only the GET of the notes 2.3. Archived ones are 404 until they are unarchived: UNCONFIRMED.
    pub(super) fn contact(&self, id: &str) -> Result<Contact, Refusal> {
        let contact = self.inside.world.any_contact(id).ok_or_else(Refusal::no_contact)?;
        match &contact.life {
            Life::Active => Ok(contact.clone()),
            Life::Archived | Life::Deleted => Err(Refusal::no_contact()),
            Life::MergedInto(survivor) => Err(self.merged(survivor)),
        }
    }

    pub(super) fn merged(&self, survivor: &str) -> Refusal {
        match self.shared.options.variants.merged_contact {
            MergedContact::NotFound => Refusal::no_contact(),
            MergedContact::Gone => {
                let message = "This contact has been merged. See the 'Link' header for the canonical contact.";
                Refusal { canonical: Some(survivor.to_owned()), ..Refusal::new(410, "contact_merged", message) }
            }
        }
    }

    /// A contact that `/events` and `/messages` know by now. (notes 2.3, 2.8)
    pub(super) fn settled_contact(&self, id: &str) -> Result<Contact, Refusal> {
        let contact = self.contact(id)?;
        let age_ms = self.now_ms().saturating_sub(contact.created_at_ms);
        if age_ms < i64::from(self.shared.options.variants.too_new_secs) * 1000 { Err(Refusal::no_contact()) } else { Ok(contact) }
    }

    pub(super) fn show(&self, contact: &Contact) -> Answered {
        ok(&shapes::contact(&self.inside.world, contact, &self.shared.options.app_id, self.form()))
    }

    /// "404 Admin not found": examples of the API's description.
    pub(super) fn admin(&self, id: Option<u64>) -> Result<u64, Refusal> {
        let id = id.ok_or_else(|| super::asked::missing("admin_id"))?;
        if self.shared.options.has_admin(id) { Ok(id) } else { Err(Refusal::not_found()) }
    }
}
