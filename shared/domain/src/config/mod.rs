//! What the user wrote in `trefoil.yaml`, parsed and checked once. Only these types reach the steps.
//!
//! File → tree of values with positions (`yaml`) → typed configuration (`build`, `routes`). All problems of a file are
//! reported at once. Expressions stay text here: only [`crate::rules`] understands them, so that what merely needs the
//! settings does not carry an expression language.

mod build;
mod problems;
mod routes;
mod yaml;

pub use crate::rules::check;
pub use problems::{Problem, Problems};
pub(crate) use problems::{nearest, quoted, suggestion};
pub(crate) use routes::MAX_EVENT_NAME_BYTES;

use crate::event::IdKind;
use crate::tickets::{Counting, Priority};
use crate::time::Span;

/// The configuration that is shipped: what holds until the operator changes it.
pub const EMBEDDED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../trefoil.yaml"));

/// What the file is called where nobody says otherwise.
pub const FILE_NAME: &str = "trefoil.yaml";

/// Reads a configuration; `file_name` is for messages only. Expressions are not looked into: see [`check`].
///
/// # Errors
/// Everything that is wrong with the file but its expressions, sorted by position.
pub fn parse(file_name: &str, text: &str) -> Result<Config, Problems> {
    let (config, problems) = read(text);
    Problems::check(file_name, problems)?;
    Ok(config)
}

/// As much as can be understood, and what is wrong with the rest.
pub(crate) fn read(text: &str) -> (Config, Vec<Problem>) {
    let mut problems = Vec::new();
    let nothing = yaml::Node::nothing();
    let root = yaml::read(text, &mut problems);
    // A file that is not YAML has that one problem, and not that its version is missing.
    let unreadable = !problems.is_empty() && root.is_none();
    let mut more = Vec::new();
    let config = build::config(root.as_ref().unwrap_or(&nothing), &mut more);
    if !unreadable {
        problems.append(&mut more);
    }
    (config, problems)
}

/// [`EMBEDDED`], parsed.
pub fn embedded() -> Config {
    #[expect(clippy::expect_used, reason = "the text is a constant, and a test parses it")]
    parse(FILE_NAME, EMBEDDED).expect("the shipped configuration is valid")
}

/// The whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub tickets: Tickets,
    /// In the order of the file.
    pub suppress: Vec<Window>,
    pub customerio: CustomerioConfig,
    /// In the order of the file.
    pub routes: Vec<Route>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tickets {
    /// Which tickets count as a person's open ticket.
    pub count: Counting,
    /// The conversation or ticket attribute that names the category, where there is no ticket type.
    pub category_from: Option<String>,
}

/// A suppression window `suppress_<name>_until`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// A lower-case letter, then lower-case letters, digits and `_`.
    pub name: String,
    pub opens_on: WindowTrigger,
    pub lasts: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum WindowTrigger {
    /// An open ticket is first seen with one of these.
    Priority(Vec<Priority>),
    /// A satisfaction score at or below this (1 to 5).
    CsatAtMost(u8),
    /// This tag is put on a ticket; compared without regard to case, as Intercom does.
    Tag(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct CustomerioConfig {
    /// By what a profile is looked for, in this order. Without an App API key: the first of these that the person has.
    pub identify_by: Vec<IdKind>,
    /// The operator vouches that everyone has a profile: events may be sent without looking. Only matters without an App API key.
    pub profiles_exist: bool,
    pub attributes: FacetNames,
}

/// The names under which the support facet appears at Customer.io.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetNames {
    pub has_open_ticket: String,
    pub open_ticket_count: String,
    pub open_ticket_priority: String,
    pub support_ticket_opened_at: String,
    pub support_ticket_resolved_at: String,
    pub tickets_opened_30d: String,
    pub last_csat_score: String,
    pub last_csat_at: String,
}

impl Default for FacetNames {
    fn default() -> Self {
        Self {
            has_open_ticket: "has_open_ticket".to_owned(),
            open_ticket_count: "open_ticket_count".to_owned(),
            open_ticket_priority: "open_ticket_priority".to_owned(),
            support_ticket_opened_at: "support_ticket_opened_at".to_owned(),
            support_ticket_resolved_at: "support_ticket_resolved_at".to_owned(),
            tickets_opened_30d: "tickets_opened_30d".to_owned(),
            last_csat_score: "last_csat_score".to_owned(),
            last_csat_at: "last_csat_at".to_owned(),
        }
    }
}

impl Default for CustomerioConfig {
    fn default() -> Self {
        Self { identify_by: vec![IdKind::UserId, IdKind::Email], profiles_exist: false, attributes: FacetNames::default() }
    }
}

/// On which event, under which condition, what is done. Expressions are still text here, see [`crate::rules`].
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Unique in the file.
    pub name: String,
    pub on: Trigger,
    pub when: Option<Expression>,
    pub actions: Vec<ActionTemplate>,
}

/// A CEL expression as it was written, with its place for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub source: String,
    /// In the tree: `routes[2].when`.
    pub path: String,
    /// From 1, as the column; of the expression's first character.
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ActionTemplate {
    CustomerioTrackEvent { name: Template, properties: Vec<(String, Template)> },
}

/// A value in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// As it stands.
    Literal(serde_json::Value),
    /// `"${…}"` alone: the expression's own type is kept. Null means: leave the field out.
    Whole(Expression),
    /// Text with `${…}` in it: always text.
    Mixed(Vec<TemplatePart>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum TemplatePart {
    Text(String),
    Expression(Expression),
}

/// What a route can hang on. Edges of a ticket's life come from the folded state, not from a webhook's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    TicketOpened,
    TicketReopened,
    TicketResolved,
    TicketReplied,
    TicketSnoozed,
    TicketPrioritised,
    TicketTagged,
    TicketRated,
    TicketDeleted,
    PersonCreated,
    PersonUpdated,
    PersonSignedUp,
}

impl Trigger {
    pub const ALL: [Self; 12] = [
        Self::TicketOpened,
        Self::TicketReopened,
        Self::TicketResolved,
        Self::TicketReplied,
        Self::TicketSnoozed,
        Self::TicketPrioritised,
        Self::TicketTagged,
        Self::TicketRated,
        Self::TicketDeleted,
        Self::PersonCreated,
        Self::PersonUpdated,
        Self::PersonSignedUp,
    ];

    /// Expressions of such a route may speak of `ticket`.
    pub fn is_about_a_ticket(self) -> bool {
        match self {
            Self::TicketOpened
            | Self::TicketReopened
            | Self::TicketResolved
            | Self::TicketReplied
            | Self::TicketSnoozed
            | Self::TicketPrioritised
            | Self::TicketTagged
            | Self::TicketRated
            | Self::TicketDeleted => true,
            Self::PersonCreated | Self::PersonUpdated | Self::PersonSignedUp => false,
        }
    }

    /// As it stands in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TicketOpened => "intercom.ticket.opened",
            Self::TicketReopened => "intercom.ticket.reopened",
            Self::TicketResolved => "intercom.ticket.resolved",
            Self::TicketReplied => "intercom.ticket.replied",
            Self::TicketSnoozed => "intercom.ticket.snoozed",
            Self::TicketPrioritised => "intercom.ticket.prioritised",
            Self::TicketTagged => "intercom.ticket.tagged",
            Self::TicketRated => "intercom.ticket.rated",
            Self::TicketDeleted => "intercom.ticket.deleted",
            Self::PersonCreated => "intercom.person.created",
            Self::PersonUpdated => "intercom.person.updated",
            Self::PersonSignedUp => "intercom.person.signed_up",
        }
    }
}
