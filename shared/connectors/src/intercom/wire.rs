//! The parts of Intercom's JSON that are read, webhook and REST alike. Everything else is skipped unread.
//!
//! <https://developers.intercom.com/docs/references/webhooks/webhook-models>

use crate::lenient::{Flag, Flat, List, Named, Object, Scalar, Text, Time};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(crate) app_id: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) topic: Text<'a>,
    /// Null on pings.
    #[serde(borrow, default)]
    pub(crate) id: Text<'a>,
    #[serde(default)]
    pub(crate) created_at: Time,
    #[serde(borrow, default)]
    pub(crate) data: Object<Data<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Data<'a> {
    /// Read only once the topic is known to matter.
    #[serde(borrow, default)]
    pub(crate) item: Option<&'a RawValue>,
}

/// A conversation or a ticket, in any of the shapes in which a notification carries one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    /// Deleted conversations carry this and no `id`.
    #[serde(borrow)]
    pub(crate) conversation_id: Text<'a>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    #[serde(borrow)]
    pub(crate) state: Text<'a>,
    pub(crate) open: Flag,
    pub(crate) priority: Scalar,
    #[serde(borrow)]
    pub(crate) source: Object<Origin<'a>>,
    #[serde(borrow)]
    pub(crate) contacts: List<Contact<'a>>,
    pub(crate) custom_attributes: Flat,
    #[serde(borrow)]
    pub(crate) conversation_rating: Object<Rating<'a>>,
    #[serde(borrow)]
    pub(crate) conversation_parts: List<Part<'a>>,

    /// 0, as number or text, and null stand for nobody.
    #[serde(borrow)]
    pub(crate) admin_assignee_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) team_assignee_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) teammates: List<Author<'a>>,
    pub(crate) first_contact_reply: Object<FirstReply>,
    pub(crate) statistics: Object<Statistics>,
    /// From 2.11 on, as the next.
    #[serde(borrow)]
    pub(crate) ai_agent: Object<AiAgent<'a>>,
    pub(crate) ai_agent_participated: Flag,

    #[serde(borrow)]
    pub(crate) category: Text<'a>,
    pub(crate) ticket_attributes: Flat,
    #[serde(borrow)]
    pub(crate) ticket_state: Named<'a>,
    #[serde(borrow)]
    pub(crate) ticket_type: Named<'a>,
    #[serde(borrow)]
    pub(crate) ticket_parts: List<Part<'a>>,
    /// `{ticket, ticket_part}` of replies; the ticket rating has no documented place.
    #[serde(borrow)]
    pub(crate) ticket_part: Object<Part<'a>>,
    #[serde(borrow)]
    pub(crate) rating: RatingOrScore<'a>,
    #[serde(borrow)]
    pub(crate) ticket_rating: RatingOrScore<'a>,

    /// Wrappers: newer `ticket.closed`, replies to tickets, contacts attached and detached, tagged parts. A conversation
    /// may also hold the ticket that it became. Each level is read when it is wanted: a type that contains itself would let
    /// a hundred nested objects use up the stack.
    #[serde(borrow)]
    pub(crate) ticket: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) conversation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) contact: Object<Contact<'a>>,

    #[serde(borrow)]
    pub(crate) tags_added: List<Tag<'a>>,
    #[serde(borrow)]
    pub(crate) tag: Object<Tag<'a>>,
    #[serde(borrow)]
    pub(crate) tags: List<Tag<'a>>,

    /// Only conversations of apps below 2.5 have this.
    pub(crate) conversation_message: Object<serde::de::IgnoredAny>,
}

/// How the conversation began.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Origin<'a> {
    #[serde(borrow)]
    pub(crate) delivered_as: Text<'a>,
    /// Only to tell whether it is ours: it does not travel on.
    #[serde(borrow)]
    pub(crate) body: Text<'a>,
    #[serde(borrow)]
    pub(crate) author: Object<Author<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Author<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) email: Text<'a>,
    pub(crate) from_ai_agent: Flag,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct FirstReply {
    pub(crate) created_at: Time,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Statistics {
    /// The first text of a contact; pressing a button is none.
    pub(crate) first_contact_reply_at: Time,
    pub(crate) first_admin_reply_at: Time,
}

/// Intercom's AI, Fin.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct AiAgent<'a> {
    #[serde(borrow)]
    pub(crate) source_type: Text<'a>,
    #[serde(borrow)]
    pub(crate) resolution_state: Text<'a>,
    #[serde(borrow)]
    pub(crate) rating: Text<'a>,
    /// Both are times of the rating.
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Part<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) part_type: Text<'a>,
    pub(crate) created_at: Time,
    #[serde(borrow)]
    pub(crate) author: Object<Author<'a>>,
    #[serde(borrow)]
    pub(crate) app_package_code: Text<'a>,
    #[serde(borrow)]
    pub(crate) ticket_state: Named<'a>,
    #[serde(borrow)]
    pub(crate) previous_ticket_state: Named<'a>,
}

/// An item inside another one.
pub(crate) fn nested<'a>(raw: Option<&'a RawValue>) -> Option<Item<'a>> {
    serde_json::from_str::<Object<Item<'a>>>(raw?.get()).ok()?.0
}

impl Part<'_> {
    /// Ids of parts grow with time; 0 where it is not a number.
    pub(crate) fn number(&self) -> u64 {
        self.id.number().unwrap_or(0)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tag<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    pub(crate) applied_at: Time,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Rating<'a> {
    #[serde(borrow)]
    pub(crate) rating: Text<'a>,
    /// When it was asked for.
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    #[serde(borrow)]
    pub(crate) contact: Object<Contact<'a>>,
    #[serde(borrow)]
    pub(crate) teammate: Object<Author<'a>>,
}

/// A rating as an object, or the bare score.
#[derive(Default)]
pub(crate) struct RatingOrScore<'a>(pub(crate) Option<Rating<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for RatingOrScore<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a> {
            #[serde(borrow)]
            Rating(Box<Rating<'a>>),
            Score(Text<'a>),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Rating(rating) => Some(*rating),
            Either::Score(score) => score.get().is_some().then(|| Rating { rating: score, ..Rating::default() }),
        }))
    }
}

/// A contact: the full object, or the two or three ids by which conversations and tickets name theirs.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Contact<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) external_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) role: Text<'a>,
    #[serde(borrow)]
    pub(crate) email: Text<'a>,
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) phone: Text<'a>,
    #[serde(borrow)]
    pub(crate) formatted_phone: Text<'a>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) signed_up_at: Time,
    pub(crate) last_seen_at: Time,
    pub(crate) unsubscribed_from_emails: Flag,
    pub(crate) unsubscribed_from_sms: Flag,
    pub(crate) marked_email_as_spam: Flag,
    pub(crate) custom_attributes: Flat,
}

/// What stands beside a contact, where a topic is about more than the contact: tags, consent, companies. A merge puts
/// `merged_from` into the contact itself.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct BesideContact<'a> {
    #[serde(borrow)]
    pub(crate) contact: Object<Contact<'a>>,
    #[serde(borrow)]
    pub(crate) company: Object<Company<'a>>,
    #[serde(borrow)]
    pub(crate) tag: Object<Tag<'a>>,
    #[serde(borrow)]
    pub(crate) subscription_types: List<SubscriptionType<'a>>,
    #[serde(borrow)]
    pub(crate) merged_from: Object<Reference<'a>>,
    pub(crate) created_at: Time,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reference<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct SubscriptionType<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) default_translation: Named<'a>,
    /// Bare words.
    #[serde(borrow)]
    pub(crate) content_types: Option<&'a RawValue>,
}

/// What tells in the model from before contacts, which `visitor.signed_up` still has, whose person it is. The rest has the
/// names that it has in a contact.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct OldUser<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow)]
    pub(crate) user_id: Text<'a>,
    pub(crate) anonymous: Flag,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Company<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    /// The customer's own id; Intercom makes one up for a company that a teammate or a form has entered.
    #[serde(borrow)]
    pub(crate) company_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) plan: Named<'a>,
    pub(crate) size: Scalar,
    #[serde(borrow)]
    pub(crate) website: Text<'a>,
    #[serde(borrow)]
    pub(crate) industry: Text<'a>,
    pub(crate) monthly_spend: Scalar,
    pub(crate) session_count: Scalar,
    pub(crate) user_count: Scalar,
    /// When the company became a customer, as the customer's own system says.
    pub(crate) remote_created_at: Time,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) custom_attributes: Flat,
}

/// A data event.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct DataEvent<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) event_name: Text<'a>,
    #[serde(borrow)]
    pub(crate) intercom_user_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) user_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) email: Text<'a>,
    /// Each value is read by itself: money and links are objects, everything else is bare.
    #[serde(borrow)]
    pub(crate) metadata: Object<BTreeMap<String, &'a RawValue>>,
    pub(crate) created_at: Time,
}
