//! Manual segments: who is to be in one, and who no longer. Track v2 knows nothing of them.
//! <https://docs.customer.io/integrations/api/track/#tag/Track-Segments>

use super::Name;
use crate::customerio::client::{CustomerioClient, No};
use crate::customerio::outcome::Verdict;
use crate::door::Health;
use reqwest::Method;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::Clock;
use trefoil_domain::time::Span;

/// The vendor's limit for one call.
const MOST_IDS: usize = 1000;

/// One profile that enters or leaves.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::customerio) struct Membership {
    of: Call,
    id: String,
}

/// What those of one call have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    segment: String,
    enters: bool,
    id_type: &'static str,
}

pub(super) fn membership(segment: &str, enters: bool, profile: Name<'_>) -> Result<Membership, Outcome> {
    let is_number = segment.bytes().all(|byte| byte.is_ascii_digit()) && segment.parse::<i32>().is_ok();
    if !is_number {
        return Err(Outcome::rejected("segment_id", "the id of a manual segment is a number"));
    }
    let (id_type, id) = match profile {
        Name::CioId(id) => ("cio_id", id),
        Name::Id(id) => ("id", id),
        Name::Email(id) => ("email", id),
    };
    Ok(Membership { of: Call { segment: segment.to_owned(), enters, id_type }, id: id.to_owned() })
}

/// Memberships that go in one call.
#[derive(Debug)]
pub(in crate::customerio) struct Memberships {
    of: Call,
    ids: Vec<String>,
    /// Their places among the writes.
    pub(in crate::customerio) indices: Vec<usize>,
}

impl Memberships {
    /// In as few calls as can be. Who enters a segment and leaves it again, or the other way round, does so in this order.
    pub(in crate::customerio) fn grouped(all: Vec<(usize, Membership)>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for (index, Membership { of, id }) in all {
            // Not before one that says the opposite of the same profile.
            let since = groups.iter().rposition(|group| group.of == of.opposite() && group.ids.contains(&id)).map_or(0, |last| last + 1);
            match groups[since..].iter_mut().find(|group| group.of == of && group.ids.len() < MOST_IDS) {
                Some(group) => {
                    group.ids.push(id);
                    group.indices.push(index);
                }
                None => groups.push(Self { of, ids: vec![id], indices: vec![index] }),
            }
        }
        groups
    }
}

impl Call {
    fn opposite(&self) -> Self {
        Self { enters: !self.enters, ..self.clone() }
    }
}

impl<C: Clock> CustomerioClient<C> {
    /// What became of each of them.
    pub(in crate::customerio) async fn change_members(&self, group: &Memberships) -> Outcome {
        let verb = if group.of.enters { "add_customers" } else { "remove_customers" };
        let body = serde_json::json!({ "ids": group.ids }).to_string();
        let mut call = self.track.call(Method::POST, &["api", "v1", "segments", &group.of.segment, verb], Some(body.into()));
        call.url.query_pairs_mut().append_pair("id_type", group.of.id_type);
        // A segment that is not there says nothing of the key, as a path that is not there does elsewhere.
        let health = |verdict: Verdict, status| if status == 404 { Health::Works } else { verdict.health() };
        match self.track.ask_and_judge(&call, self.clock.now(), health).await {
            Ok(answer) if answer.body.is_empty() || serde_json::from_slice::<serde_json::Map<_, _>>(&answer.body).is_ok() => Outcome::Done,
            Ok(_) => Outcome::retry(Span::ZERO, "unreadable_answer"),
            Err(No::Success(_, _, answer)) if answer.status == 404 => Outcome::rejected("no_such_segment", ""),
            Err(no) => no.outcome(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(word: &str) -> Membership {
        let (segment, id) = word[1..].split_once('/').expect("a segment and an id");
        membership(segment, word.starts_with('+'), Name::Id(id)).expect("a membership")
    }

    fn grouped(words: &[&str]) -> Vec<String> {
        let groups = Memberships::grouped(words.iter().map(|word| of(word)).enumerate().collect());
        groups
            .iter()
            .map(|group| format!("{}{} {}", if group.of.enters { '+' } else { '-' }, group.of.segment, group.ids.join(" ")))
            .collect()
    }

    #[test]
    fn each_segment_and_direction_is_one_call() {
        assert_eq!(grouped(&["+7/a", "-7/b", "+7/c", "+8/a", "-7/d"]), ["+7 a c", "-7 b d", "+8 a"]);
    }

    #[test]
    fn who_enters_and_leaves_does_so_in_order() {
        assert_eq!(grouped(&["+7/a", "-7/a", "+7/b"]), ["+7 a b", "-7 a"]);
        assert_eq!(grouped(&["+7/a", "-7/a", "+7/a", "-7/b", "-7/a"]), ["+7 a", "-7 a b", "+7 a", "-7 a"]);
        assert_eq!(grouped(&["-7/a", "+8/a", "+7/a", "-8/a"]), ["-7 a", "+8 a", "+7 a", "-8 a"]);
    }

    #[test]
    fn no_call_has_more_than_a_thousand() {
        let words: Vec<String> = (0..2001).map(|n| format!("+7/{n}")).collect();
        let groups = Memberships::grouped(words.iter().map(|word| of(word)).enumerate().collect());
        assert_eq!(groups.iter().map(|group| group.ids.len()).collect::<Vec<_>>(), [1000, 1000, 1]);
        assert_eq!(groups[2].indices, [2000]);
    }

    #[test]
    fn a_segment_goes_by_a_number() {
        for bad in ["", "seven", "+7", "-7", " 7", "7/../8", "99999999999"] {
            let outcome = membership(bad, true, Name::Id("a")).expect_err(bad);
            assert_eq!(outcome.reason().map(|reason| reason.code.as_str()), Some("segment_id"), "{bad}");
        }
    }
}
