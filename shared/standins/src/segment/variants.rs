//! What Segment's pages leave open, and the choices for it.

use crate::seed::Seeded;

/// A reading of everything the vendor's pages do not settle. The default is the reading that a careful client expects
/// most; [`Variants::seeded`] mixes them, so that a test cannot rely on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variants {
    pub success: Success,
    /// How a single call without `userId` and `anonymousId` (`no_user_anon_id`) is answered; one in a batch is always lost.
    pub nobody: Unfit,
    /// A request without `Content-Type: application/json`, which "must be set".
    pub content_type: Unfit,
    /// A write key of the other region: lost "without errors", rejected by what Segment said in April 2025.
    pub other_region: Unfit,
    /// A `timestamp` that is no ISO 8601 time with a zone.
    pub unreadable_time: UnreadableTime,
    pub kilobyte: Kilobyte,
    pub memory: Memory,
    /// Whether a message that came without `sentAt` shows the time of its receipt there.
    pub sent_at_filled: bool,
    /// Whether messages carry top-level keys that no page explains, such as `projectId` and `channel`.
    pub unknown_keys: bool,
    pub batch_signature: BatchSignature,
    pub alias: Alias,
    pub user_ids: UserIds,
    /// Whether `properties.email` identifies people: on in older spaces, a setting of the space since.
    pub properties_email: bool,
    pub last_writer: LastWriter,
    pub email_message: EmailMessage,
    /// Whether the value in a message of a journey's step (keys that begin with `j_o_`) is the text `"true"`.
    pub journey_text: bool,
    pub native: NativeKind,
}

/// Body of a 200: `{"success":true}` is what clients report, no page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    SuccessTrue,
    Empty,
    EmptyObject,
}

/// What becomes of a request that Segment cannot use and that no page gives a status for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// 200, and it is gone.
    Lost,
    /// 400
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableTime {
    /// The time of receipt stands in its place.
    Received,
    Lost,
}

/// Limits are stated in "KB".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kilobyte {
    Of1000,
    Of1024,
}

impl Kilobyte {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Of1000 => 1000,
            Self::Of1024 => 1024,
        }
    }
}

/// "99% of your data won't have duplicates within an approximately 24 hour look-back window."
/// <https://www.twilio.com/docs/segment/guides/duplicate-data>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Exact,
    /// One `messageId` in a hundred, by the stand-in's seed, is never remembered.
    ForgetsOnePercent,
}

/// What the signature of an array of messages is over. (segmentio/action-destinations, pull request 3989)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSignature {
    /// The whole body.
    Whole,
    /// The JSON of element 0.
    First,
}

/// "Unify ignores alias"; destinations may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    Ignored,
    /// `previousId` and `userId` become one profile.
    Merges,
}

/// How many user ids a profile may have: 1 by default, a setting of the space.
/// <https://www.twilio.com/docs/segment/unify/identity-resolution/identity-resolution-settings>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserIds {
    /// An identifier that would join two is left out of the message.
    One,
    Several,
}

/// Which of two values of a trait stays: no page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWriter {
    /// The one that came last.
    Arrival,
    /// The one with the later `timestamp`.
    Timestamp,
}

/// What the message that Engage sends for an e-mail address carries besides the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailMessage {
    /// `anonymousId: "eml_<hash>"`, as the Profile API shows it.
    MadeUpAnonymousId,
    UserId,
    Nothing,
}

/// Which of a tool's destinations the workspace has: each goes by its own names in `integrations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeKind {
    Classic,
    Actions,
}

impl Default for Variants {
    fn default() -> Self {
        Self {
            success: Success::SuccessTrue,
            nobody: Unfit::Lost,
            content_type: Unfit::Refused,
            other_region: Unfit::Refused,
            unreadable_time: UnreadableTime::Lost,
            kilobyte: Kilobyte::Of1000,
            memory: Memory::Exact,
            sent_at_filled: true,
            unknown_keys: false,
            batch_signature: BatchSignature::First,
            alias: Alias::Ignored,
            user_ids: UserIds::One,
            properties_email: true,
            last_writer: LastWriter::Arrival,
            email_message: EmailMessage::MadeUpAnonymousId,
            journey_text: true,
            native: NativeKind::Actions,
        }
    }
}

impl Variants {
    /// The same choices for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let mut coin = || seeded.coin();
        let unfit = |coin| if coin { Unfit::Lost } else { Unfit::Refused };
        Self {
            success: match (coin(), coin()) {
                (true, true) => Success::SuccessTrue,
                (true, false) => Success::Empty,
                (false, _) => Success::EmptyObject,
            },
            nobody: unfit(coin()),
            content_type: unfit(coin()),
            other_region: unfit(coin()),
            unreadable_time: if coin() { UnreadableTime::Received } else { UnreadableTime::Lost },
            kilobyte: if coin() { Kilobyte::Of1000 } else { Kilobyte::Of1024 },
            memory: if coin() { Memory::Exact } else { Memory::ForgetsOnePercent },
            sent_at_filled: coin(),
            unknown_keys: coin(),
            batch_signature: if coin() { BatchSignature::Whole } else { BatchSignature::First },
            alias: if coin() { Alias::Ignored } else { Alias::Merges },
            user_ids: if coin() { UserIds::One } else { UserIds::Several },
            properties_email: coin(),
            last_writer: if coin() { LastWriter::Arrival } else { LastWriter::Timestamp },
            email_message: match (coin(), coin()) {
                (true, true) => EmailMessage::MadeUpAnonymousId,
                (true, false) => EmailMessage::UserId,
                (false, _) => EmailMessage::Nothing,
            },
            journey_text: coin(),
            native: if coin() { NativeKind::Classic } else { NativeKind::Actions },
        }
    }
}
