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
        }
    }
}

impl Variants {
    /// The same choices for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let mut coin = || seeded.coin();
        Self {
            tagged: if coin() { TaggedShape::TagsAdded } else { TaggedShape::ConversationAndTag },
            customer_reopens: if coin() { CustomerReopens::Replied } else { CustomerReopens::RepliedAndOpened },
            rated: if coin() { RatedParts::None } else { RatedParts::Last },
            merged_contact: if coin() { MergedContact::Gone } else { MergedContact::NotFound },
            merged_from: coin(),
            retry_after: coin(),
            redelivery: if coin() { Redelivery::SameId } else { Redelivery::NewId },
        }
    }
}
