//! What Intercom's pages leave open, and the choices for it.

use crate::seed::Seeded;

/// A reading of everything the vendor's pages do not settle. [`Variants::seeded`] mixes them, so that a test cannot rely
/// on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variants {
    pub tagged: TaggedShape,
    pub customer_reopens: CustomerReopens,
    pub rated: RatedParts,
    pub merged_contact: MergedContact,
    /// `merged_from` of `contact.merged`: in the reference, absent in a payload captured in 2026.
    pub merged_from: bool,
    /// `Retry-After` beside `X-RateLimit-Reset` on a 429: in no vendor page.
    pub retry_after: bool,
    pub redelivery: Redelivery,
    /// `role: "user"` in `PUT /contacts/{id}` of a lead: in the schema, its effect in no page. (notes 2.3)
    pub role_by_update: RoleByUpdate,
    /// Seconds until the search knows what was written: "minutes". (notes 2.3)
    pub search_lag_secs: u32,
    /// Seconds in which `/events` and `/messages` do not know a new contact. (notes 2.3, 2.8)
    pub too_new_secs: u32,
    pub unknown_attribute: RefusedAs,
    pub long_text: LongText,
    /// A text outside the options of a list attribute is taken: the page said 400, and was taken back. (notes 2.5)
    pub option_outside: bool,
    /// An event name beyond the 120. (notes 2.7)
    pub too_many_names: RefusedAs,
    pub in_app: InApp,
    /// `contact.unsubscribed` follows `unsubscribed_from_emails` set through the API. (notes 2.4)
    pub unsubscribing_tells: bool,
    /// `contact.user.updated` follows `PUT /contacts/{id}`. (notes 1.10)
    pub updating_tells: bool,
    /// Taking away a tag or subscription that the contact does not have is 404; if not, 200, and nobody is told. The pages
    /// say 404 of what is unknown only. (notes 2.4, 2.6)
    pub absent_is_refused: bool,
    /// `created_at` of `contact_tag`: in the reference, absent in a captured payload. (notes 1.6)
    pub contact_tag_time: bool,
}

/// The status of a refusal whose text is known, but not its status: 400 `parameter_invalid` or 422 `data_invalid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedAs {
    ParameterInvalid,
    DataInvalid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleByUpdate {
    /// The lead becomes a user.
    Works,
    /// 200, and it stays a lead.
    Ignored,
}

/// Texts over 255 characters in custom attributes. (notes 2.5)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongText {
    Refused,
    Cut,
}

/// `message_type` of a message in the app: the description's enum and its examples differ. (notes 2.8)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InApp {
    /// `in_app`
    Underscored,
    /// `inapp`
    Plain,
    Either,
}

/// `data.item` of `conversation_part.tag.created`: the reference says "Conversation Part", a capture of 2019 has the
/// conversation with `tags_added`, and a consumer in use today reads `item.conversation` and `item.tag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaggedShape {
    TagsAdded,
    ConversationAndTag,
}

/// Which topics follow when a customer's reply opens a closed conversation again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerReopens {
    Replied,
    RepliedAndOpened,
}

/// Whether `conversation.rating.added` names a causing part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatedParts {
    None,
    Last,
}

/// `GET /contacts/{id}` of a contact that was merged into another: the operation says 410, the merge operation 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergedContact {
    Gone,
    NotFound,
}

/// Whether a second delivery has the notification id of the first: implied by `delivery_attempts`, not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    SameId,
    NewId,
}

impl Default for Variants {
    fn default() -> Self {
        Self {
            tagged: TaggedShape::TagsAdded,
            customer_reopens: CustomerReopens::Replied,
            rated: RatedParts::None,
            merged_contact: MergedContact::Gone,
            merged_from: true,
            retry_after: false,
            redelivery: Redelivery::SameId,
            role_by_update: RoleByUpdate::Works,
            search_lag_secs: 0,
            too_new_secs: 0,
            unknown_attribute: RefusedAs::ParameterInvalid,
            long_text: LongText::Refused,
            option_outside: false,
            too_many_names: RefusedAs::ParameterInvalid,
            in_app: InApp::Underscored,
            unsubscribing_tells: true,
            updating_tells: true,
            absent_is_refused: true,
            contact_tag_time: false,
        }
    }
}

impl Variants {
    /// The same choices for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let mut coin = || seeded.coin();
        let refused_as = |coin| if coin { RefusedAs::ParameterInvalid } else { RefusedAs::DataInvalid };
        Self {
            tagged: if coin() { TaggedShape::TagsAdded } else { TaggedShape::ConversationAndTag },
            customer_reopens: if coin() { CustomerReopens::Replied } else { CustomerReopens::RepliedAndOpened },
            rated: if coin() { RatedParts::None } else { RatedParts::Last },
            merged_contact: if coin() { MergedContact::Gone } else { MergedContact::NotFound },
            merged_from: coin(),
            retry_after: coin(),
            redelivery: if coin() { Redelivery::SameId } else { Redelivery::NewId },
            role_by_update: if coin() { RoleByUpdate::Works } else { RoleByUpdate::Ignored },
            search_lag_secs: match (coin(), coin()) {
                (true, true) => 0,
                (true, false) => 300,
                (false, _) => 60,
            },
            too_new_secs: if coin() { 0 } else { 10 },
            unknown_attribute: refused_as(coin()),
            long_text: if coin() { LongText::Refused } else { LongText::Cut },
            option_outside: coin(),
            too_many_names: refused_as(coin()),
            in_app: match (coin(), coin()) {
                (true, true) => InApp::Either,
                (true, false) => InApp::Plain,
                (false, _) => InApp::Underscored,
            },
            unsubscribing_tells: coin(),
            updating_tells: coin(),
            contact_tag_time: coin(),
            absent_is_refused: coin(),
        }
    }
}
