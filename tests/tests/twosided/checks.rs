//! What must hold.

use crate::life::{Deed, Life, is_true};
use crate::oracle::{Switch, Tool};
use crate::post::Body;
use crate::run::World;
use crate::writes::by_tool;
use std::collections::{BTreeMap, BTreeSet};
use trefoil_domain::time::Timestamp;
use trefoil_standins::intercom::{Author, ConversationState, Life as Fate};

/// A contact that is told of as a whole while it is out: to whoever has not heard of the opt-out yet, it happened then.
pub(crate) fn note_evidence(post: &Body, life: &mut Life) {
    let Body::Intercom(webhook) = post else { return };
    let json = webhook.json();
    let item = &json["data"]["item"];
    for contact in [item, &item["contact"]] {
        let (Some(id), Some(true)) = (contact["id"].as_str(), contact["unsubscribed_from_emails"].as_bool()) else { continue };
        let at = json["created_at"].as_i64().unwrap_or_default();
        let theirs = life.people.iter_mut().find(|human| human.contacts.iter().any(|known| known == id));
        theirs.into_iter().for_each(|human| human.wishes.evident(Switch::Mail, at));
    }
}

/// With nothing on its way.
pub(crate) fn nobody_is_written_to_against_their_wish(world: &mut World) {
    let topic = world.life.rules.topic;
    let now = trefoil_domain::ports::Clock::now(&world.road.hand).secs();
    for human in &world.life.people {
        for (tool, switch, record, out) in human.kept(&world.tools, topic) {
            if out == Some(false) && human.wishes.must_be_out(tool, switch) {
                let problem = format!("{}: {tool:?} lets them in by {switch:?} ({record})", human.name);
                if !world.problems.iter().any(|known| known.contains(&problem)) {
                    world.problems.push(format!("at {now} {problem}; they said {:?}", human.wishes));
                }
            }
        }
    }
}

pub(crate) async fn at_rest(world: &mut World, quiet_from: Timestamp, last: Timestamp) {
    let mut problems = Vec::new();
    let waiting = world.road.waiting().await;
    if !waiting.is_empty() {
        problems.push(format!("in the queues: {waiting:?}: {:?}", world.road.look().await));
    }
    let late: Vec<&str> = world.writes.iter().filter(|write| write.at >= quiet_from.secs()).map(|write| write.line.as_str()).collect();
    if !late.is_empty() {
        problems.push(format!("{} writes after everything: {:?}", late.len(), late.first()));
    }
    // Besides what waits for a look-up or a profile nothing is left to do an hour after the last webhook.
    let after: Vec<&str> = world.writes.iter().filter(|write| write.at > last.secs() + 3600).map(|write| write.line.as_str()).collect();
    if !after.is_empty() {
        problems.push(format!("{} writes later than an hour after the last event: {:?}", after.len(), after.first()));
    }
    for (tool, written) in by_tool(&world.writes) {
        let most = AT_FIRST + world.life.done.iter().map(|(deed, times)| times * per_event(*deed, tool)).sum::<usize>();
        if written > most {
            problems.push(format!("{written} writes to {tool:?}, of at most {most}: {:?}", world.life.done));
        }
    }
    problems.extend(consent(world));
    problems.extend(tickets(world));
    problems.extend(nothing_by_accident(world));
    if world.echoes.0 != world.echoes.1 {
        problems.push(format!("of {} messages of our own that Segment forwarded, {} were known", world.echoes.0, world.echoes.1));
    }
    nobody_is_written_to_against_their_wish(world);
    world.problems.extend(problems);
}

/// Calls for those who are there already when it begins.
const AT_FIRST: usize = 30;

/// The most calls that one thing outside may lead to at a tool, from the shipped routes and the state. A batch is one call. What
/// comes back of these calls must lead to none but those named here.
fn per_event(deed: Deed, tool: Tool) -> usize {
    match (deed, tool) {
        // The facet, with attributes; events.
        (Deed::AtIntercom, Tool::Customerio) => 2,
        // Of what was written to Customer.io: the campaign on a ticket's opening writes an attribute and a tag, the one on the
        // segment a tag.
        (Deed::AtIntercom, Tool::Intercom) => 3,
        // The facet; events; the two campaigns' conversion and segment.
        (Deed::AtIntercom, Tool::Segment) => 4,
        // Nothing, unless a profile's own id is news: then its state once more.
        (Deed::AtCustomerio, Tool::Customerio) => 1,
        // An attribute and a tag, or a tag and a note; an event of a campaign.
        (Deed::AtCustomerio, Tool::Intercom) => 2,
        (Deed::AtCustomerio, Tool::Segment) => 1,
        // Attributes or a company; an event.
        (Deed::AtSegment, Tool::Customerio) => 2,
        // Fields, or a company and who belongs to it; of an order at Customer.io, an attribute and a tag.
        (Deed::AtSegment, Tool::Intercom) => 3,
        // That conversion; the state, where somebody is named for the first time.
        (Deed::AtSegment, Tool::Segment) => 2,
        // Each record: nobody has more than two. A record that reports late may have to be told twice.
        (Deed::Choice, Tool::Intercom) => 4,
        (Deed::Choice, Tool::Customerio | Tool::Segment) => 2,
    }
}

fn consent(world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    for human in &world.life.people {
        for (tool, switch, record, out) in human.kept(&world.tools, world.life.rules.topic) {
            if out == Some(true) && human.wishes.must_be_in(tool, switch, &record) {
                problems.push(format!("{}: {tool:?} keeps them out by {switch:?} ({record}); they said {:?}", human.name, human.wishes));
            }
        }
    }
    problems
}

/// Whether each has an open ticket is known where it matters.
fn tickets(world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    for human in &world.life.people {
        let contacts: BTreeSet<String> = human.active(&world.tools).map(|contact| contact.id).collect();
        let conversations = world.tools.intercom.conversations();
        let counts = |started_by: &Author| matches!(started_by, Author::Contact(_));
        let open = conversations
            .iter()
            .filter(|c| counts(&c.started_by) && c.state != ConversationState::Closed && c.contacts.iter().any(|id| contacts.contains(id)))
            .count();
        let truth = open > 0;
        for profile in human.profiles(&world.tools) {
            let told = profile.text("has_open_ticket").as_deref() == Some("true");
            if told != truth {
                problems.push(format!("{}: {open} open tickets, and Customer.io has {:?}", human.name, profile.text("has_open_ticket")));
            }
        }
        if let Some(profile) = human.at_segment(&world.tools)
            && is_true(profile.traits.get("has_open_ticket")) != truth
        {
            problems.push(format!("{}: {open} open tickets, and Segment has {:?}", human.name, profile.traits.get("has_open_ticket")));
        }
    }
    problems
}

fn nothing_by_accident(world: &World) -> Vec<String> {
    let (tools, mut problems) = (&world.tools, Vec::new());
    if tools.customerio.profile_created_by_accident() {
        problems.push("an event made a profile at Customer.io".to_owned());
    }
    for human in &world.life.people {
        let profiles: Vec<_> = human.profiles(tools).into_iter().map(|p| (p.cio_id, p.id, p.email, p.created_by)).collect();
        if profiles.len() > 1 {
            problems.push(format!("{} has {} profiles at Customer.io: {profiles:?}", human.name, profiles.len()));
        }
    }
    let known: BTreeSet<&String> = world.life.people.iter().flat_map(|human| &human.contacts).collect();
    for contact in tools.intercom.contacts() {
        if !known.contains(&contact.id) && contact.life == Fate::Active {
            problems.push(format!("a contact was made at Intercom: {contact:?}"));
        }
    }
    let lost = tools.segment.lost();
    if !lost.is_empty() {
        problems.push(format!("Segment lost {}: {:?}", lost.len(), lost.first()));
    }
    if tools.segment.merged_by_accident() > 0 {
        problems.push(format!("{} people became one at Segment by accident", tools.segment.merged_by_accident()));
    }
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for event in tools.customerio.events() {
        let Some(ulid) = &event.ulid else {
            problems.push(format!("an event without an id: {event:?}"));
            continue;
        };
        *seen.entry((event.cio_id.clone().unwrap_or_default(), ulid.clone())).or_default() += 1;
    }
    problems.extend(seen.into_iter().filter(|(_, times)| *times > 1).map(|(which, times)| format!("{which:?} is there {times} times")));
    // An opening is told once, whatever told us of it.
    let mut opened: BTreeMap<(String, String), usize> = BTreeMap::new();
    for event in tools.customerio.events().into_iter().filter(|event| event.name == "support_ticket_opened") {
        let ticket = event.attributes.get("ticket_id").map(ToString::to_string).unwrap_or_default();
        *opened.entry((event.cio_id.unwrap_or_default(), ticket)).or_default() += 1;
    }
    problems.extend(opened.into_iter().filter(|(_, times)| *times > 1).map(|(which, times)| format!("{which:?} was opened {times} times")));
    let vanished = tools.customerio.vanished_events();
    if !vanished.is_empty() {
        problems.push(format!("{} events for nobody at Customer.io: {:?}", vanished.len(), vanished.first()));
    }
    problems
}
