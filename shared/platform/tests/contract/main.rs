//! What the steps rely on, checked against both implementations: AWS (an emulator, over the SDK) and the SQLite file.

mod aws;
mod emulator;
mod lambda;
mod ledger;
mod lost_answer;
mod queue;
mod sqlite;
mod store;

/// Runs each contract test against each implementation.
macro_rules! for_both {
    ($part:ident: $($test:ident),* $(,)?) => {
        mod $part {
            mod on_aws {
                $(#[tokio::test]
                async fn $test() {
                    let _turn = crate::emulator::turn().await;
                    crate::$part::$test(crate::aws::$part(stringify!($test)).await).await;
                })*
            }
            mod on_sqlite {
                $(#[tokio::test]
                async fn $test() {
                    crate::$part::$test(crate::sqlite::$part()).await;
                })*
            }
        }
    };
}

mod contract {
    for_both! { store:
        a_write_applies_to_the_expected_version_only,
        several_writes_apply_together_or_not_at_all,
        one_read_finds_many_keys,
        a_deleted_ticket_stays_known,
        marks_are_written_each_on_its_own,
        wakes_are_due_in_order_and_replaced,
        a_wake_that_was_moved_is_not_cleared,
        history_keeps_the_last_outcome_of_a_stage,
        conflicts_are_replaced_and_listed_latest_first,
        conflicts_are_cleared_by_id,
        conflicts_of_many_calls_and_pages_are_all_there,
        any_text_comes_back_as_it_was,
        of_racing_writers_one_wins,
        of_racing_transactions_one_wins,
        of_racing_senders_one_wins,
    }
    for_both! { ledger:
        an_entry_applies_to_the_expected_version_only,
        what_wants_a_review_is_listed_until_it_is_given,
        many_reviews_are_all_listed,
        of_racing_entries_one_wins,
        names_of_events_are_kept_for_each_workspace,
    }
    for_both! { queue:
        a_group_comes_in_order,
        a_group_is_locked_while_one_of_it_is_in_flight,
        one_receive_may_bring_several_groups,
        a_repeat_within_a_group_is_dropped_even_after_delete,
        what_is_not_settled_comes_back,
        a_stale_receipt_changes_nothing,
        what_is_given_back_comes_after_its_delay,
        what_is_received_too_often_is_a_dead_letter,
        any_json_can_be_sent,
        queues_do_not_mix,
    }
}
