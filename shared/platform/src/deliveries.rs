//! From what a handler decided about each delivery to what a queue is told: every delivery gets an answer, and a group
//! that failed somewhere comes back from there on.

use std::collections::{HashMap, HashSet};
use trefoil_domain::ports::{Delivery, Disposition};
use trefoil_domain::time::Span;

/// What becomes of a delivery in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done with.
    Delete,
    /// It comes back after this long; `None`: after the queue's own visibility timeout.
    Return(Option<Span>),
}

/// One fate for each delivery, in the order of `deliveries`.
///
/// The first of a group that is given back takes the later ones of its group with it, all with its delay: a FIFO queue
/// keeps the group locked until the last of them is visible again, so a longer delay of a later one would hold up the
/// first. A delivery without a disposition is given back: it has not been dealt with. Dispositions of unknown ids are
/// ignored. Deliveries without a group (a standard queue) do not concern each other.
pub fn fates(deliveries: &[Delivery], dispositions: &[(String, Disposition)]) -> Vec<Fate> {
    let decided: HashMap<&str, &Disposition> = dispositions.iter().map(|(id, disposition)| (id.as_str(), disposition)).collect();
    let mut failed: HashMap<&str, Fate> = HashMap::new();
    deliveries
        .iter()
        .map(|delivery| {
            if let Some(fate) = failed.get(delivery.group.as_str()) {
                return *fate;
            }
            let fate = match decided.get(delivery.id.as_str()) {
                Some(Disposition::Delete) => return Fate::Delete,
                Some(Disposition::Retry(delay)) => Fate::Return(Some(*delay)),
                None => Fate::Return(None),
            };
            if !delivery.group.is_empty() {
                failed.insert(&delivery.group, fate);
            }
            fate
        })
        .collect()
}

/// [`fates`] as dispositions, for a queue that is told everything: `otherwise` is the delay where the handler named none.
/// Ids that were received twice are answered once.
pub fn complete(deliveries: &[Delivery], dispositions: &[(String, Disposition)], otherwise: Span) -> Vec<(String, Disposition)> {
    let mut seen = HashSet::new();
    deliveries
        .iter()
        .zip(fates(deliveries, dispositions))
        .filter(|(delivery, _)| seen.insert(delivery.id.as_str()))
        .map(|(delivery, fate)| match fate {
            Fate::Delete => (delivery.id.clone(), Disposition::Delete),
            Fate::Return(delay) => (delivery.id.clone(), Disposition::Retry(delay.unwrap_or(otherwise))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: &str, group: &str) -> Delivery {
        Delivery { id: id.to_owned(), body: String::new(), group: group.to_owned(), receive_count: 1 }
    }

    const MINUTE: Span = Span::from_mins(1);

    #[test]
    fn a_failure_takes_the_rest_of_its_group_along_and_no_other() {
        let deliveries = [delivery("1", "a"), delivery("2", "b"), delivery("3", "a"), delivery("4", "a"), delivery("5", "b")];
        let decided = [
            ("1".to_owned(), Disposition::Delete),
            ("2".to_owned(), Disposition::Delete),
            ("3".to_owned(), Disposition::Retry(MINUTE)),
            ("4".to_owned(), Disposition::Delete),
            ("5".to_owned(), Disposition::Delete),
        ];
        let back = Fate::Return(Some(MINUTE));
        assert_eq!(fates(&deliveries, &decided), [Fate::Delete, Fate::Delete, back, back, Fate::Delete]);
    }

    #[test]
    fn what_the_handler_forgot_comes_back_and_what_it_made_up_is_ignored() {
        let deliveries = [delivery("1", "a"), delivery("2", "a")];
        let decided = [("2".to_owned(), Disposition::Delete), ("9".to_owned(), Disposition::Delete)];
        assert_eq!(fates(&deliveries, &decided), [Fate::Return(None), Fate::Return(None)]);
        let told = complete(&deliveries, &decided, MINUTE);
        assert_eq!(told, [("1".to_owned(), Disposition::Retry(MINUTE)), ("2".to_owned(), Disposition::Retry(MINUTE))]);
    }

    #[test]
    fn without_groups_each_stands_alone() {
        let deliveries = [delivery("1", ""), delivery("2", "")];
        let decided = [("1".to_owned(), Disposition::Retry(MINUTE)), ("2".to_owned(), Disposition::Delete)];
        assert_eq!(fates(&deliveries, &decided), [Fate::Return(Some(MINUTE)), Fate::Delete]);
    }
}
