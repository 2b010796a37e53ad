//! What follows from an event, once it has been folded: pure, and the same again whenever the event is seen again.

use crate::action::{Action, CustomerioAction, IntercomAction, SegmentAction, Verb};
use crate::config::{Config, Trigger, What};
use crate::event::{Channel, Choice, Event, IdKind, Kind, ListKind, Source, WakeReason, action_id};
use crate::facet::{self, Summary};
use crate::fold::Folded;
use crate::job::{Job, LookUp, Work};
use crate::outcome::{CONCERNS_NO_PERSON, LEAD_OF_A_CUSTOMER};
use crate::person::Person;
use crate::ports::{Destination, Wake};
use crate::rules::{Decision, PersonView, Rendered, RouteOn, Routes, Scope, TicketView};
use crate::tickets::{AiResolution, Edge, EdgeKind, Status, Ticket, TicketFact, TicketId, TicketReport, opening};
use crate::time::{Span, Timestamp};

/// A ticket that was read again and is still open is read again after this long.
const READ_AGAIN_AFTER: Span = Span::from_hours(24);
/// Tickets of one person that are read again at a time.
const RE_READS: usize = 20;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub jobs: Vec<Job>,
    pub wakes: Vec<Wake>,
    /// Routes not taken, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// What conversations and tickets that are to be opened will begin with.
    pub openings: Vec<String>,
    /// What waits until its tool can name the person.
    pub owed: Vec<Work>,
}

/// The tool can be told whom its work is about.
pub fn can_name(destination: Destination, person: &Person, config: &Config) -> bool {
    match destination {
        Destination::Customerio => config.customerio.found_by().any(|kind| person.id_of(kind).is_some()),
        Destination::Segment => config.segment.identify_by.iter().any(|kind| person.id_of(*kind).is_some()),
        Destination::Intercom => [IdKind::IntercomId, IdKind::UserId, IdKind::Email].into_iter().any(|kind| person.id_of(kind).is_some()),
    }
}

#[derive(Default)]
struct Actions {
    customerio: Vec<CustomerioAction>,
    intercom: Vec<IntercomAction>,
    segment: Vec<SegmentAction>,
}

impl Actions {
    fn into_jobs(self, event: &Event, person: Option<&Person>) -> Vec<Job> {
        let customerio = (!self.customerio.is_empty()).then_some(Work::Customerio(self.customerio));
        let intercom = (!self.intercom.is_empty()).then_some(Work::Intercom(self.intercom));
        let segment = (!self.segment.is_empty()).then_some(Work::Segment(self.segment));
        customerio.into_iter().chain(intercom).chain(segment).map(|work| job(event, person, work)).collect()
    }
}

/// Where in a person's history a trigger comes from; the parts of an action's id.
struct Cause<'a> {
    trigger: Trigger,
    at: Timestamp,
    ticket: Option<&'a TicketId>,
    /// An edge of that episode, rather than the event as such.
    edge: Option<(EdgeKind, u32)>,
    /// Whose edge it is, where the event names nobody.
    whose: Option<&'a str>,
}

/// `campaign_name`: what the message's campaign is called, where that is known.
pub fn plan(
    event: &Event,
    person: &Person,
    folded: Folded,
    campaign_name: Option<&str>,
    config: &Config,
    routes: &Routes,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let job = |work: Work| job(event, Some(person), work);

    let moved_by_this = person.facet.moved_by.as_ref() == Some(&event.id);
    let looks_again = event.kind == Kind::Due(WakeReason::RepairCustomerio);
    // A job of consent looks at the profile as well.
    let has_consent = || person.consent.wanted(Destination::Customerio, &config.consent).next().is_some();
    let due_again = looks_again && (person.facet.version > 0 || !has_consent());
    if moved_by_this || due_again {
        if can_name(Destination::Customerio, person, config) {
            plan.jobs.push(job(Work::CustomerioFacet { version: person.facet.version }));
        } else {
            plan.skipped.push(("support facet".to_owned(), "waits_for_identity".to_owned()));
        }
    }
    if moved_by_this && person.facet.version > 0 && config.segment.support_traits && can_name(Destination::Segment, person, config) {
        plan.jobs.push(job(Work::SegmentFacet { version: person.facet.version }));
    }
    // Where there was no profile, state and consent alike have waited.
    for destination in Destination::ALL {
        let again = || (looks_again && destination == Destination::Customerio).then(|| person.consent.version(destination));
        let moved = person.consent.moved_by(&event.id, destination).or_else(again);
        let Some(version) = moved.filter(|_| person.consent.wanted(destination, &config.consent).next().is_some()) else { continue };
        // A new id leaves the job again.
        if can_name(destination, person, config) {
            plan.jobs.push(job(Work::Consent { destination, version }));
        } else if config.has(destination) {
            plan.skipped.push((format!("consent at {}", destination.as_str()), "waits_for_identity".to_owned()));
        }
    }
    let wake = |reason, due| Wake { workspace: person.workspace.clone(), person: person.id.clone(), reason, due };
    if moved_by_this || event.kind == Kind::Due(WakeReason::Facet) {
        plan.wakes.extend(facet::next_change(person, config, now).map(|due| wake(WakeReason::Facet, due)));
    }
    // A closing whose webhook was lost twice is lost for good: who is waiting for long is asked about.
    if moved_by_this || event.kind == Kind::Due(WakeReason::ReRead) {
        plan.wakes.extend(next_re_read(person, config, now).map(|due| wake(WakeReason::ReRead, due)));
    }

    let actions = actions(event, person, campaign_name, config, routes, now, &mut plan.skipped);
    plan.openings = actions.intercom.iter().filter_map(|action| opening(&action.what.opens_with()?)).collect();
    for job in actions.into_jobs(event, Some(person)) {
        // A lead often leaves an address long after the first word.
        let waits = event.is_of_lead() && matches!(event.kind, Kind::PersonCreated(_)) && config.has(job.work.destination());
        if waits && !can_name(job.work.destination(), person, config) {
            plan.skipped.extend(job.work.routes().map(|route| (route.to_owned(), "waits_for_identity".to_owned())));
            plan.owed.push(job.work);
        } else {
            plan.jobs.push(job);
        }
    }
    let left = person.owed.iter().filter(|owed| owed.left_by.as_ref() == Some(&event.id));
    plan.jobs.extend(left.map(|owed| Job { event: owed.event.clone(), ..job(owed.work.clone()) }));

    plan.jobs.extend(look_ups(event, person, folded, config).into_iter().map(|question| job(Work::IntercomLookUp(question))));
    plan.jobs.retain(|job| config.has(job.work.destination()));
    plan
}

/// What follows from an event about a company to which nobody is known to belong: what routes ask for that needs no person. Of
/// whatever speaks of one nothing comes.
pub fn plan_for_nobody(event: &Event, config: &Config, routes: &Routes, now: Timestamp) -> Plan {
    let (mut plan, mut actions) = (Plan::default(), Actions::default());
    let scope = Scope::new(event, None, None, now);
    for what in facts(&event.kind) {
        let cause = Cause { trigger: Trigger { source: event.source, what }, at: event.occurred_at, ticket: None, edge: None, whose: None };
        for route in routes.on(cause.trigger, &event.kind) {
            take(event, None, &cause, route, config, &scope, &mut actions, &mut plan.skipped);
        }
    }
    plan.jobs = actions.into_jobs(event, None);
    plan
}

/// When the first of the open tickets has been quiet for long enough to be asked about. What was asked about just now is so
/// again a while later, if its answer left it open.
fn next_re_read(person: &Person, config: &Config, now: Timestamp) -> Option<Timestamp> {
    let open = person.tickets.values().filter(|ticket| ticket.status(&config.tickets.count) == Status::Open);
    let again = now.plus(READ_AGAIN_AFTER);
    open.map(|ticket| ticket.quiet_until().filter(|due| *due > now).unwrap_or(again)).min()
}

/// A job about nobody that is known: Intercom is to say who takes part in the ticket.
pub fn ask_who_takes_part(event: &Event, ticket: &TicketId) -> Job {
    job(event, None, Work::IntercomLookUp(LookUp::Conversation { ticket: ticket.clone(), contacts: Vec::new() }))
}

fn job(event: &Event, person: Option<&Person>, work: Work) -> Job {
    let (workspace, person) = (event.workspace.clone(), person.map(|person| person.id.clone()));
    Job { event: event.id.clone(), workspace, person, created_at: event.received_at, work }
}

/// What a route asks for, if it is taken.
#[expect(clippy::too_many_arguments, reason = "all that a decision rests on")]
fn take(
    event: &Event,
    person: Option<&Person>,
    cause: &Cause<'_>,
    route: RouteOn<'_>,
    config: &Config,
    scope: &Scope<'_>,
    actions: &mut Actions,
    skipped: &mut Vec<(String, String)>,
) {
    let rendered = match route.decide(scope) {
        Decision::Take(rendered) => rendered,
        Decision::Skip(reason) => return skipped.push((route.name().to_owned(), reason)),
    };
    for Rendered { index, what } in rendered {
        match what {
            Ok(_) if person.is_none() && route.needs_person(index) => {
                skipped.push((route.name().to_owned(), CONCERNS_NO_PERSON.to_owned()));
            }
            Ok(verb) if !config.has(verb.destination()) => {
                skipped.push((route.name().to_owned(), format!("{}_is_not_set_up", verb.destination().as_str())));
            }
            Ok(verb) if event.is_of_lead() && verb.destination() != Destination::Intercom && person.is_some_and(Person::is_customer) => {
                skipped.push((route.name().to_owned(), LEAD_OF_A_CUSTOMER.to_owned()));
            }
            // What we did there has led to it, and doing it there would lead to it again.
            Ok(verb) if event.is_ours() && event.source == verb.destination().source() => {
                skipped.push((route.name().to_owned(), "would_feed_itself".to_owned()));
            }
            Ok(Verb::Customerio(verb)) => actions.customerio.push(action(event, person, cause, route.name(), index, verb)),
            Ok(Verb::Intercom(verb)) => actions.intercom.push(action(event, person, cause, route.name(), index, verb)),
            Ok(Verb::Segment(verb)) => actions.segment.push(action(event, person, cause, route.name(), index, verb)),
            Err(reason) => skipped.push((route.name().to_owned(), reason)),
        }
    }
}

fn actions(
    event: &Event,
    person: &Person,
    campaign_name: Option<&str>,
    config: &Config,
    routes: &Routes,
    now: Timestamp,
    skipped: &mut Vec<(String, String)>,
) -> Actions {
    let causes = causes(event, person, config, skipped);
    let mut actions = Actions::default();
    if causes.is_empty() {
        return actions;
    }
    let summary = Summary::of(person, config, now);
    let person_view = person_view(person, &summary, now);
    for cause in &causes {
        let ticket_view = cause.ticket.and_then(|id| Some(ticket_view(id, person.tickets.get(id)?, cause, config)));
        let scope = Scope::new(event, &person_view, ticket_view.as_ref(), now).with_campaign(campaign_name, config.segment.campaign_events);
        for route in routes.on(cause.trigger, &event.kind) {
            take(event, Some(person), cause, route, config, &scope, &mut actions, skipped);
        }
    }
    actions
}

/// What the event is reason for: edges of which it is the evidence, and what it reports as such.
fn causes<'a>(event: &'a Event, person: &'a Person, config: &Config, skipped: &mut Vec<(String, String)>) -> Vec<Cause<'a>> {
    if let Kind::Ticket(report) = &event.kind {
        return ticket_causes(event, report, person, config, skipped);
    }
    let trigger = |what| Trigger { source: event.source, what };
    let cause = |what| Cause { trigger: trigger(what), at: event.occurred_at, ticket: None, edge: None, whose: None };
    facts(&event.kind).into_iter().map(cause).collect()
}

/// What a route may hang on, of an event that is not about a ticket.
pub(crate) fn facts(kind: &Kind) -> Vec<What> {
    match kind {
        Kind::PersonCreated(_) => vec![What::PersonCreated],
        Kind::PersonUpdated(_) => vec![What::PersonUpdated],
        Kind::PersonSignedUp(_) => vec![What::PersonSignedUp],
        Kind::PersonMerged(_) => vec![What::PersonMerged],
        Kind::PersonDeleted => vec![What::PersonDeleted],
        Kind::PersonArchived => vec![What::PersonArchived],
        Kind::PersonRestored => vec![What::PersonRestored],
        Kind::PersonTagged(_) => vec![What::PersonTagged],
        Kind::PersonUntagged(_) => vec![What::PersonUntagged],
        Kind::ConsentChanged(changes) => {
            let of = |choice, what| changes.iter().any(|change| change.choice == choice).then_some(what);
            [of(Choice::Out, What::PersonUnsubscribed), of(Choice::In, What::PersonSubscribed)].into_iter().flatten().collect()
        }
        Kind::CompanyUpdated(_) => vec![What::CompanyUpdated],
        Kind::CompanyDeleted(_) => vec![What::CompanyDeleted],
        Kind::CompanyJoined(_) => vec![What::CompanyJoined],
        Kind::CompanyLeft(_) => vec![What::CompanyLeft],
        Kind::Message(report) => vec![What::Message(report.channel, report.metric)],
        Kind::ListEntered(list) if list.kind == ListKind::JourneyStep => vec![What::JourneyStepReached],
        Kind::ListEntered(_) => vec![What::ListEntered],
        // One does not un-reach a step.
        Kind::ListLeft(list) if list.kind == ListKind::JourneyStep => Vec::new(),
        Kind::ListLeft(_) => vec![What::ListLeft],
        Kind::Tracked(_) => vec![What::EventTracked],
        Kind::PageViewed(_) => vec![What::PageViewed],
        Kind::ScreenViewed(_) => vec![What::ScreenViewed],
        Kind::TraitComputed { .. } => vec![What::TraitComputed],
        Kind::Converted(_) => vec![What::Converted],
        Kind::ChurnRisk(_) => vec![What::ChurnRisk],
        Kind::Custom(_) => vec![What::Custom],
        // Answers to our own questions release what waited; they are no news of their own. Nor is what a human settled.
        Kind::PersonIdentified(_) | Kind::PersonNotFound | Kind::CampaignNamed(_) | Kind::Due(_) | Kind::Settled(_) | Kind::Ticket(_) => {
            Vec::new()
        }
    }
}

fn ticket_causes<'a>(
    event: &'a Event,
    report: &'a TicketReport,
    person: &'a Person,
    config: &Config,
    skipped: &mut Vec<(String, String)>,
) -> Vec<Cause<'a>> {
    let Some(ticket) = person.tickets.get(&report.ticket) else { return Vec::new() };
    let mut causes: Vec<Cause<'_>> = ticket
        .edges_proved_by(&event.id)
        .into_iter()
        .map(|(kind, episode, Edge { at, whose, .. })| {
            let what = match kind {
                EdgeKind::Opened => What::TicketOpened,
                EdgeKind::Reopened => What::TicketReopened,
                EdgeKind::Resolved => What::TicketResolved,
                EdgeKind::AiEscalated => What::TicketAiEscalated,
            };
            let trigger = Trigger { source: event.source, what };
            Cause { trigger, at: *at, ticket: Some(&report.ticket), edge: Some((kind, episode)), whose: whose.as_deref() }
        })
        .collect();
    if let Some(what) = fact_of(&report.fact) {
        let trigger = Trigger { source: event.source, what };
        if ticket.counts(&config.tickets.count) {
            causes.push(Cause { trigger, at: event.occurred_at, ticket: Some(&report.ticket), edge: None, whose: None });
        } else {
            skipped.push((trigger.to_string(), "ticket_does_not_count".to_owned()));
        }
    }
    causes
}

/// Facts that are news as such. Openings and closings are not among them: those are edges of the state, however many
/// notifications tell of one.
fn fact_of(fact: &TicketFact) -> Option<What> {
    match fact {
        TicketFact::Replied { .. } => Some(What::TicketReplied),
        TicketFact::Snoozed => Some(What::TicketSnoozed),
        TicketFact::Prioritised => Some(What::TicketPrioritised),
        TicketFact::Tagged { .. } => Some(What::TicketTagged),
        TicketFact::Rated { .. } => Some(What::TicketRated),
        TicketFact::AiRated { .. } => Some(What::TicketAiRated),
        TicketFact::Deleted => Some(What::TicketDeleted),
        TicketFact::Opened
        | TicketFact::Closed
        | TicketFact::Reopened
        | TicketFact::Attached
        | TicketFact::Detached
        | TicketFact::Updated
        | TicketFact::Ours
        | TicketFact::ReRead => None,
    }
}

fn action<V>(event: &Event, person: Option<&Person>, cause: &Cause<'_>, route: &str, index: usize, what: V) -> Action<V> {
    let index = index.to_string();
    let id = match (cause.edge, cause.ticket) {
        (Some((edge, episode)), Some(ticket)) => {
            // Of a conversation with several people each has edges of their own; the contact tells them apart, and unlike
            // our own id it outlives a merge.
            let contact = cause.whose.or_else(|| event.ids.first().map(|id| id.value.as_str())).unwrap_or_default();
            action_id(&["edge", event.workspace.as_str(), ticket.as_str(), &episode.to_string(), edge.name(), contact, route, &index])
        }
        // An event that names nobody may concern several people.
        (Some(_) | None, Some(_) | None) if event.ids.is_empty() => {
            let person = person.map_or("", |person| person.id.as_str());
            action_id(&["event", event.id.as_str(), person, &cause.trigger.to_string(), route, &index])
        }
        (Some(_) | None, Some(_) | None) => action_id(&["event", event.id.as_str(), &cause.trigger.to_string(), route, &index]),
    };
    Action { id, route: route.to_owned(), occurred_at: cause.at, origin: event.source, of_lead: event.is_of_lead(), what }
}

fn look_ups(event: &Event, person: &Person, folded: Folded, config: &Config) -> Vec<LookUp> {
    let mut questions = Vec::new();
    let contacts = || -> Vec<String> { person.ids.get(&IdKind::IntercomId).into_iter().flat_map(|ids| ids.keys().cloned()).collect() };
    if person.may_be_looked_up(event.received_at)
        && let Some(contact) = event.ids.iter().find(|id| id.kind == IdKind::IntercomId)
        && !person.gone.get(&contact.value).is_some_and(|gone| gone.gone)
    {
        questions.push(LookUp::Contact { contact: contact.value.clone() });
    }
    if event.kind == Kind::Due(WakeReason::ReRead) {
        let quiet = |ticket: &Ticket| ticket.quiet_until().is_none_or(|due| due <= event.received_at);
        let waiting = person.tickets.iter().filter(|(_, t)| t.status(&config.tickets.count) == Status::Open && quiet(t));
        questions.extend(waiting.take(RE_READS).map(|(id, _)| LookUp::Conversation { ticket: id.clone(), contacts: contacts() }));
    }
    questions.extend(
        tickets_of_archived_contact(event, person, config).map(|id| LookUp::Conversation { ticket: id.clone(), contacts: contacts() }),
    );
    if let Kind::Ticket(report) = &event.kind {
        let unsure = || {
            let ticket = person.tickets.get(&report.ticket)?;
            Some(ticket.needs_re_read(&config.tickets.count) || ticket.status(&config.tickets.count) == Status::Unknown)
        };
        // Asking again because the answer left it open would go round for ever.
        let asked = report.fact == TicketFact::ReRead;
        if folded == Folded::AskFirst || (!asked && unsure().unwrap_or(false)) {
            questions.push(LookUp::Conversation { ticket: report.ticket.clone(), contacts: contacts() });
        }
    }
    questions
}

/// Intercom suspends the conversations of a contact along with it, and takes them up again along with it; whether it tells of
/// each is not written down. <https://www.intercom.com/help/en/articles/8851551>
fn tickets_of_archived_contact<'p>(event: &Event, person: &'p Person, config: &Config) -> impl Iterator<Item = &'p TicketId> {
    let restored = event.kind == Kind::PersonRestored;
    let concerns = restored || event.kind == Kind::PersonArchived;
    let contact = event.ids.iter().find(|id| id.kind == IdKind::IntercomId).filter(|_| concerns && event.source == Source::Intercom);
    let contact = contact.map(|id| id.value.clone());
    let may_change = move |ticket: &Ticket| match ticket.status(&config.tickets.count) {
        Status::Open => true,
        Status::Closed { .. } => restored,
        Status::Unknown | Status::Gone => false,
    };
    let lives_in_it = move |ticket: &Ticket| {
        let contact = contact.as_deref();
        contact.is_some() && ticket.contacts().iter().any(|other| Some(person.lives_on_as(other)) == contact)
    };
    person.tickets.iter().filter(move |(_, ticket)| lives_in_it(ticket) && may_change(ticket)).map(|(id, _)| id).take(RE_READS)
}

fn person_view<'a>(person: &'a Person, summary: &Summary, now: Timestamp) -> PersonView<'a> {
    PersonView {
        id: person.id.as_str(),
        user_id: person.id_of(IdKind::UserId),
        email: person.id_of(IdKind::Email),
        phone: person.id_of(IdKind::Phone),
        cio_id: person.id_of(IdKind::CioId),
        unsubscribed: person.consent.is_out_of(Channel::Email),
        has_open_ticket: summary.has_open_ticket(),
        open_ticket_count: summary.open,
        open_ticket_priority: summary.hottest.map(|p| p.as_str()),
        last_csat_score: person.csat.as_ref().map(|c| c.score),
        suppressed: summary.windows.iter().map(|(name, until)| (name.clone(), *until > now)).collect(),
    }
}

fn ticket_view<'a>(id: &'a TicketId, ticket: &'a Ticket, cause: &Cause<'_>, config: &Config) -> TicketView<'a> {
    let opened_at = ticket.opened_at();
    let resolved_at = match (cause.edge, ticket.status(&config.tickets.count)) {
        (Some((EdgeKind::Resolved, _)), _) => Some(cause.at),
        (Some((EdgeKind::Opened | EdgeKind::Reopened | EdgeKind::AiEscalated, _)) | None, Status::Closed { at }) => Some(at),
        (
            Some((EdgeKind::Opened | EdgeKind::Reopened | EdgeKind::AiEscalated, _)) | None,
            Status::Open | Status::Unknown | Status::Gone,
        ) => None,
    };
    let resolution_time_hrs = opened_at.zip(resolved_at).map(|(from, to)| {
        let hours = to.since(from).millis().max(0) as f64 / 3_600_000.0;
        (hours * 100.0).round() / 100.0
    });
    TicketView {
        id: id.as_str(),
        priority: Some(ticket.priority().map_or("none", |p| p.as_str())),
        // Ticket type, else the chosen attribute, else what it is: a conversation.
        category: Some(ticket.category().unwrap_or("conversation")),
        opened_at,
        resolved_at,
        resolution_time_hrs,
        episode: cause.edge.map_or(0, |(_, number)| number),
        handled_by: ticket.handled_by().as_str(),
        ai_resolution: ticket.ai_resolution().map(AiResolution::as_str),
    }
}
