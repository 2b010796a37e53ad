//! What the user wrote in `trefoil.yaml`, parsed and checked once. Only these types reach the steps.
//!
//! File → tree of values with positions (`yaml`) → typed configuration (`build`, `routes`, `doing`, `template`). What a route
//! can do is a table (`actions`). All problems of a file are reported at once. Expressions stay text here: only [`crate::rules`] understands them, so that what merely needs the
//! settings does not carry an expression language.

mod actions;
mod build;
mod doing;
mod problems;
mod routes;
mod template;
mod tools;
mod trigger;
mod yaml;

pub use crate::rules::check;
pub use actions::{ACTIONS, ActionKind, Field, Need, Shape};
pub use problems::{Problem, Problems};
pub(crate) use problems::{listed, nearest, quoted, suggestion};
pub use trigger::{Trigger, What};

use crate::consent::{self, Switch};
use crate::event::{IdKind, Source};
use crate::ports::Destination;
use crate::tickets::{Counting, Priority};
use crate::time::Span;
use std::collections::BTreeSet;

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
    pub identity: IdentityConfig,
    pub consent: ConsentConfig,
    pub segment: SegmentConfig,
    /// What the tools do without Trefoil; `None`: the file does not say.
    pub native: Option<Vec<Native>>,
    /// Tools to which nothing is written, since they have not been set up. No part of the file: whoever runs it knows.
    pub off: BTreeSet<Destination>,
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

impl Config {
    pub fn has(&self, destination: Destination) -> bool {
        !self.off.contains(&destination)
    }

    /// Customer.io has an attribute of this name that says what support or consent holds back: no route may write it.
    pub fn is_state_at_customerio(&self, name: &str) -> bool {
        let window = || self.suppress.iter().any(|window| name == format!("suppress_{}_until", window.name));
        let told = || {
            self.consent
                .switches
                .iter()
                .any(|switch| switch.destination == Destination::Customerio && !switch.is_topic && switch.key == name)
        };
        self.customerio.attributes.has(name) || window() || told()
    }

    /// Routes that carry what one of the tools' own connections carries: names of the routes by connection.
    pub fn fed_twice(&self, natives: &[Native]) -> Vec<(Native, Vec<&str>)> {
        let routes_of = |native: Native| -> Vec<&str> {
            let carries =
                |route: &&Route| route.on.iter().any(|on| route.actions.iter().any(|action| native.carries(*on, action.kind.destination)));
            self.routes.iter().filter(carries).map(|route| route.name.as_str()).collect()
        };
        natives.iter().map(|native| (*native, routes_of(*native))).filter(|(_, routes)| !routes.is_empty()).collect()
    }

    /// The names of Intercom events that stand in the file, fallbacks included.
    pub fn intercom_event_names(&self) -> BTreeSet<&str> {
        let actions = self.routes.iter().flat_map(|route| &route.actions);
        let fields = actions.filter(|action| action.kind.name == "intercom.track_event").flat_map(|action| &action.fields);
        let named = fields.filter(|(field, _)| matches!(field.name, "name" | "fallback"));
        let literal = named.filter_map(|(_, template)| match template {
            FieldTemplate::Value(Template::Literal(value)) => value.as_str(),
            FieldTemplate::Value(Template::Whole(_) | Template::Mixed(_)) | FieldTemplate::Entries(_) | FieldTemplate::Mapping(_) => None,
        });
        literal.collect()
    }
}

/// By which of the ids that the tools share a person is recognised, beside the ids that a tool has of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Strongest first: where two of them name two people, the earlier one decides. What is left out is never matched by. The
    /// user id is always there, and first.
    pub match_by: Vec<IdKind>,
    /// Where a call of Segment names no user: the address among an event's properties, or a group's traits, says whose it is.
    pub address_in_properties: bool,
    /// Values that name nobody, in any tool and whatever kind of id they stand for, in lower case: beside
    /// [`crate::identifier::is_placeholder`].
    pub no_ids: BTreeSet<String>,
}

impl IdentityConfig {
    /// Place in the order of strength; `None`: never matched by. A tool's own ids come before all others.
    pub fn strength(&self, kind: IdKind) -> Option<usize> {
        match kind {
            IdKind::IntercomId => Some(0),
            IdKind::CioId => Some(1),
            IdKind::UserId | IdKind::Email | IdKind::Phone | IdKind::AnonymousId => {
                self.match_by.iter().position(|other| *other == kind).map(|place| place + 2)
            }
        }
    }
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            match_by: vec![IdKind::UserId, IdKind::Email, IdKind::Phone, IdKind::AnonymousId],
            address_in_properties: false,
            no_ids: BTreeSet::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentConfig {
    /// Facts by which a person opts in again for every tool: `<source>.person.subscribed`. Elsewhere an opt-in holds for the
    /// tool alone in which it happened, and an opt-out for all.
    pub explicit_opt_ins: Vec<Source>,
    /// What the tools can be told, channels and topics of the operator's mapping included.
    pub switches: Vec<Switch>,
}

impl Default for ConsentConfig {
    fn default() -> Self {
        Self { explicit_opt_ins: Vec::new(), switches: consent::switches(&consent::Channels::new(), &[]) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentConfig {
    /// By what a person is named, in this order. With `email` people without any other id get an anonymous id of our making.
    pub identify_by: Vec<IdKind>,
    /// The support facet goes there too, as traits under the same names.
    pub support_traits: bool,
    /// What events of campaigns are called.
    pub campaign_events: CampaignNames,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        let identify_by = vec![IdKind::UserId, IdKind::AnonymousId, IdKind::Email];
        Self { identify_by, support_traits: true, campaign_events: CampaignNames::default() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CampaignNames {
    /// <https://segment.com/docs/connections/spec/email/>
    #[default]
    SegmentSpec,
    /// Those of Customer.io's own connection to Segment.
    Customerio,
}

/// A connection that two of the tools have without Trefoil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// Segment's destination "Customer.io (Actions)".
    SegmentToCustomerio,
    /// Segment's destination "Intercom Cloud Mode (Actions)".
    SegmentToIntercom,
    /// Customer.io's "Message Metrics" to Segment.
    CustomerioToSegment,
    /// Customer.io's data pipelines to its own journeys.
    PipelinesToCustomerio,
    /// Customer.io's data pipelines to Intercom.
    PipelinesToIntercom,
    /// Customer.io's data pipelines to Segment.
    PipelinesToSegment,
}

impl Native {
    pub const ALL: [Self; 6] = [
        Self::SegmentToCustomerio,
        Self::SegmentToIntercom,
        Self::CustomerioToSegment,
        Self::PipelinesToCustomerio,
        Self::PipelinesToIntercom,
        Self::PipelinesToSegment,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SegmentToCustomerio => "segment_to_customerio",
            Self::SegmentToIntercom => "segment_to_intercom",
            Self::CustomerioToSegment => "customerio_to_segment",
            Self::PipelinesToCustomerio => "pipelines_to_customerio",
            Self::PipelinesToIntercom => "pipelines_to_intercom",
            Self::PipelinesToSegment => "pipelines_to_segment",
        }
    }

    /// What it is called where it is switched on and off.
    pub fn product(self) -> &'static str {
        match self {
            Self::SegmentToCustomerio => "Segment's destination Customer.io (Actions)",
            Self::SegmentToIntercom => "Segment's destination Intercom Cloud Mode (Actions)",
            Self::CustomerioToSegment => "Customer.io's message metrics to Segment",
            Self::PipelinesToCustomerio => "the pipeline from your sources to Customer.io",
            Self::PipelinesToIntercom => "the pipeline from your sources to Intercom",
            Self::PipelinesToSegment => "the pipeline from Customer.io to Segment",
        }
    }

    /// Whether such a route carries the same.
    fn carries(self, on: Trigger, to: Destination) -> bool {
        match self {
            Self::SegmentToCustomerio => on.source == Source::Segment && to == Destination::Customerio,
            Self::SegmentToIntercom => on.source == Source::Segment && to == Destination::Intercom,
            Self::CustomerioToSegment => on.source == Source::Customerio && to == Destination::Segment,
            Self::PipelinesToCustomerio => on.source == Source::Pipelines && to == Destination::Customerio,
            Self::PipelinesToIntercom => on.source == Source::Pipelines && to == Destination::Intercom,
            Self::PipelinesToSegment => on.source == Source::Pipelines && to == Destination::Segment,
        }
    }
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
    /// Dates in attributes and properties (ISO 8601) are sent as unix seconds, the only dates that Customer.io knows.
    pub dates_as_seconds: bool,
    pub attributes: FacetNames,
}

impl CustomerioConfig {
    /// By what a profile is looked for: Customer.io's own id, where one of its webhooks has told it, is better than any that
    /// the operator can name.
    pub fn found_by(&self) -> impl Iterator<Item = IdKind> {
        std::iter::once(IdKind::CioId).chain(self.identify_by.iter().copied())
    }
}

/// The names under which the support facet appears at Customer.io.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetNames {
    pub has_open_ticket: String,
    pub open_ticket_count: String,
    pub open_ticket_priority: String,
    pub open_ticket_with: String,
    pub support_ticket_opened_at: String,
    pub support_ticket_resolved_at: String,
    pub tickets_opened_30d: String,
    pub last_csat_score: String,
    pub last_csat_at: String,
}

impl FacetNames {
    fn has(&self, name: &str) -> bool {
        let Self {
            has_open_ticket,
            open_ticket_count,
            open_ticket_priority,
            open_ticket_with,
            support_ticket_opened_at,
            support_ticket_resolved_at,
            tickets_opened_30d,
            last_csat_score,
            last_csat_at,
        } = self;
        let names = [
            has_open_ticket,
            open_ticket_count,
            open_ticket_priority,
            open_ticket_with,
            support_ticket_opened_at,
            support_ticket_resolved_at,
            tickets_opened_30d,
            last_csat_score,
            last_csat_at,
        ];
        names.into_iter().any(|own| own == name)
    }
}

impl Default for FacetNames {
    fn default() -> Self {
        Self {
            has_open_ticket: "has_open_ticket".to_owned(),
            open_ticket_count: "open_ticket_count".to_owned(),
            open_ticket_priority: "open_ticket_priority".to_owned(),
            open_ticket_with: "open_ticket_with".to_owned(),
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
        Self {
            identify_by: vec![IdKind::UserId, IdKind::Email],
            profiles_exist: false,
            dates_as_seconds: true,
            attributes: FacetNames::default(),
        }
    }
}

/// On which event, under which condition, what is done. Expressions are still text here, see [`crate::rules`].
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Unique in the file.
    pub name: String,
    /// Each at most once; any of them.
    pub on: Vec<Trigger>,
    /// Only what the source reports under one of these names, letter by letter (of a list: its name or its id); empty: under any.
    pub named: Vec<String>,
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

/// An action whose fields are still to be filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionTemplate {
    pub kind: &'static ActionKind,
    /// Those that stand in the file, in the order of the table.
    pub fields: Vec<(&'static Field, FieldTemplate)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FieldTemplate {
    Value(Template),
    Entries(Vec<EntryTemplate>),
    /// One expression that comes to a mapping.
    Mapping(Expression),
}

#[derive(Clone, Debug, PartialEq)]
pub struct EntryTemplate {
    /// As it stands in the file.
    pub key: String,
    /// Set where there are expressions in the key.
    pub open_key: Option<Template>,
    pub value: Template,
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
