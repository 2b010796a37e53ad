//! What the file says of consent, of Segment, and of the connections that the tools have without Trefoil.

use super::build::Build;
use super::problems::quoted;
use super::yaml::{Node, Value, join};
use super::{CampaignNames, ConsentConfig, Native, SegmentConfig, Trigger, What};
use crate::consent::{Channels, Topics, switches};
use crate::event::{Channel, IdKind, Source};
use crate::ports::Destination;

impl Build<'_> {
    // -------------------------------------------------------------------------------------------- consent

    pub(super) fn consent(&mut self, node: &Node, path: &str) -> ConsentConfig {
        let mut consent = ConsentConfig::default();
        let Some(fields) = self.mapping(node, path, &["explicit_opt_ins", "channels", "topics"]) else { return consent };
        if let Some((node, path)) = fields.get("explicit_opt_ins") {
            let known = Trigger::all().filter(|(trigger, _)| trigger.what == What::PersonSubscribed);
            let known: Vec<(&str, Source)> = known.map(|(trigger, name)| (name, trigger.source)).collect();
            // An empty list is a choice: no opt-in holds beyond the tool in which it happened.
            consent.explicit_opt_ins = self.words(node, &path, &known).unwrap_or_default();
        }
        let channels = fields.section("channels").map(|(node, path)| self.channels(node, &path)).unwrap_or_default();
        let topics = fields.section("topics").map(|(node, path)| self.topics(node, &path)).unwrap_or_default();
        consent.switches = switches(&channels, &topics);
        consent
    }

    fn channels(&mut self, node: &Node, path: &str) -> Channels {
        let known = [("sms", Channel::Sms), ("push", Channel::Push), ("in_app", Channel::InApp), ("whatsapp", Channel::Whatsapp)];
        let names = known.map(|(name, _)| name);
        let mut channels = Channels::new();
        let Some(fields) = self.mapping(node, path, &names) else { return channels };
        for (name, channel) in known {
            let Some((node, path)) = fields.get(name) else { continue };
            let tools = [("customerio", Destination::Customerio), ("segment", Destination::Segment)];
            let Some(of_tools) = self.mapping(node, &path, &tools.map(|(name, _)| name)) else { continue };
            for (tool, destination) in tools {
                if let Some((node, path)) = of_tools.get(tool)
                    && let Some(attribute) = self.attribute_name(node, &path)
                {
                    channels.entry(channel).or_default().insert(destination, attribute.clone());
                }
            }
        }
        channels
    }

    fn topics(&mut self, node: &Node, path: &str) -> Vec<Topics> {
        const EXAMPLE: &str = "`- { customerio: topic_1, intercom: 1943066, segment: product_news }`";
        let Value::List(items) = &node.value else {
            self.wrong_type(node, path, &format!("a list of topics, each with its id in two tools or three, such as {EXAMPLE}"));
            return Vec::new();
        };
        let tools = [("customerio", Destination::Customerio), ("intercom", Destination::Intercom), ("segment", Destination::Segment)];
        let mut topics: Vec<Topics> = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let path = format!("{path}[{place}]");
            let Some(fields) = self.mapping(item, &path, &tools.map(|(name, _)| name)) else { continue };
            let mut topic = Topics::new();
            for (tool, destination) in tools {
                let Some((node, path)) = fields.get(tool) else { continue };
                let id = match &node.value {
                    // Ids are numbers as often as not.
                    Value::Int(number) => number.to_string(),
                    _ => self.text(node, &path, "the topic's id in that tool").map(|text| text.text.trim().to_owned()).unwrap_or_default(),
                };
                // Where a topic is set, Customer.io calls it `topic_1`; in its list it is number 1.
                let is_number = destination == Destination::Customerio && id.bytes().all(|b| b.is_ascii_digit()) && !id.is_empty();
                let id = if is_number { format!("topic_{id}") } else { id };
                if topics.iter().any(|other| other.get(&destination) == Some(&id)) {
                    self.say(node.at, &path, format!("{} is another topic already; a topic stands in one line", quoted(&id)));
                }
                topic.insert(destination, id);
            }
            if topic.len() == 1 {
                self.say(item.at, &path, format!("one id is the same as nothing; name the topic in another tool too, such as {EXAMPLE}"));
            }
            topics.push(topic);
        }
        topics
    }

    // -------------------------------------------------------------------------------------------- segment

    pub(super) fn segment(&mut self, node: &Node, path: &str) -> SegmentConfig {
        let mut segment = SegmentConfig::default();
        let Some(fields) = self.mapping(node, path, &["identify_by", "support_traits", "campaign_events"]) else { return segment };
        if let Some((node, path)) = fields.get("identify_by") {
            let known = [("user_id", IdKind::UserId), ("anonymous_id", IdKind::AnonymousId), ("email", IdKind::Email)];
            segment.identify_by = self.words(node, &path, &known).unwrap_or(segment.identify_by);
            self.empty_list(node, &path, "nobody could be named");
        }
        self.flag(&fields, "support_traits", &mut segment.support_traits);
        if let Some((node, path)) = fields.get("campaign_events") {
            let known = [("segment_spec", CampaignNames::SegmentSpec), ("customerio", CampaignNames::Customerio)];
            segment.campaign_events = self.word(node, &path, &known).unwrap_or(segment.campaign_events);
        }
        segment
    }

    // -------------------------------------------------------------------------------------------- native connections

    pub(super) fn native(&mut self, node: &Node, path: &str) -> Vec<Native> {
        let known = Native::ALL.map(|native| (native.as_str(), native));
        self.words(node, &join("", path), &known).unwrap_or_default()
    }
}
