//! Single stories, told step by step.

use super::tools::Tools;
use super::{Case, NOW, ROUTES, World};
use trefoil_domain::config;
use trefoil_domain::event::Choice;
use trefoil_domain::ports::{Clock, Destination};
use trefoil_domain::steps::send_intercom::EventNameBudget;
use trefoil_domain::time::{Span, Timestamp};

const USER: &str = "u1";
const BROWSER: &str = "b1";

/// Plays a story over a queue that keeps order within groups, and over one that does not.
fn story(tells_where: bool, tell: impl Fn(&Case<'_>)) {
    for seed in 0..8 {
        let world = World::new(seed, NOW);
        world.forgets.store(0, std::sync::atomic::Ordering::Relaxed);
        let tools = Tools::calm(&world, tells_where);
        let (config, routes) = config::check("trefoil.yaml", &format!("version: 1\n{ROUTES}")).expect("a file");
        let names = EventNameBudget::new(&config);
        tell(&Case { world: &world, tools: &tools, config: &config, routes: &routes, names, crashes: 0 });
    }
}

fn everywhere(case: &Case<'_>) {
    for tool in Destination::ALL {
        case.tools.make(tool, USER, true);
    }
    case.tools.identifies(USER, false);
    case.drain(Span::from_hours(1));
}

fn is_out_everywhere(case: &Case<'_>) {
    assert_eq!(case.tools.still_in(USER), Vec::<String>::new());
}

#[test]
fn a_later_opt_in_that_is_told_first_does_not_hide_the_next_opt_out() {
    for next in [Destination::Segment, Destination::Intercom] {
        story(true, |case| {
            everywhere(case);
            // In at t2 arrives before out at t1.
            let t1 = Timestamp::from_secs(case.world.now().secs());
            case.world.advance_to(t1.plus(Span::from_mins(1)));
            case.tools.chooses(Destination::Customerio, USER, Choice::In);
            case.drain(Span::from_mins(1));
            case.tools.reports_late_opt_out(USER, t1);
            case.drain(Span::from_mins(1));
            case.tools.chooses(next, USER, Choice::Out);
            case.drain(Span::from_mins(1));
            is_out_everywhere(case);
        });
    }
}

#[test]
fn a_profile_that_is_made_again_is_made_with_the_opt_out() {
    for tool in [Destination::Intercom, Destination::Customerio, Destination::Segment] {
        story(true, |case| {
            everywhere(case);
            case.tools.chooses(tool, USER, Choice::Out);
            case.drain(Span::from_mins(10));
            is_out_everywhere(case);
            case.tools.delete(Destination::Customerio, USER, false);
            case.drain(Span::from_hours(25));
            case.tools.identifies(USER, false);
            case.drain(Span::from_hours(1));
            assert!(case.tools.has_profile(USER), "the next identify makes one");
            is_out_everywhere(case);
        });
    }
}

#[test]
fn an_opt_out_finds_a_profile_that_others_have_made_again() {
    story(true, |case| {
        everywhere(case);
        case.tools.delete(Destination::Customerio, USER, false);
        case.tools.make(Destination::Customerio, USER, false);
        case.tools.chooses(Destination::Segment, USER, Choice::Out);
        case.drain(Span::from_mins(1));
        is_out_everywhere(case);
    });
}

#[test]
fn a_browsers_opt_out_counts_for_the_user_that_it_turns_out_to_be() {
    for signs_in_first in [false, true] {
        story(true, |case| {
            everywhere(case);
            // The tools say that the user is in.
            Destination::ALL.into_iter().for_each(|tool| case.tools.states(tool, USER));
            case.drain(Span::from_mins(1));
            if signs_in_first {
                case.tools.signs_in(USER, BROWSER);
                case.drain(Span::from_mins(1));
            }
            case.tools.browser_opts_out(BROWSER);
            case.drain(Span::from_mins(1));
            if !signs_in_first {
                case.tools.signs_in(USER, BROWSER);
                case.drain(Span::from_mins(1));
            }
            is_out_everywhere(case);
        });
    }
}

#[test]
fn a_contact_that_went_on_under_another_id_is_told_under_that() {
    for (tells_where, is_told) in [(true, false), (false, false), (true, true), (false, true)] {
        story(tells_where, |case| {
            everywhere(case);
            case.tools.merges(USER, is_told);
            case.drain(Span::from_mins(1));
            case.tools.chooses(Destination::Customerio, USER, Choice::Out);
            case.drain(Span::from_mins(1));
            is_out_everywhere(case);
        });
    }
}

#[test]
fn a_contact_that_was_deleted_and_made_again_without_a_word_is_told() {
    story(true, |case| {
        everywhere(case);
        case.tools.delete(Destination::Intercom, USER, false);
        case.tools.make(Destination::Intercom, USER, false);
        case.tools.chooses(Destination::Segment, USER, Choice::Out);
        case.drain(Span::from_mins(1));
        is_out_everywhere(case);
    });
}

#[test]
fn a_contact_is_told_as_soon_as_it_is_announced() {
    let waits = [Span::from_secs(2), Span::from_mins(3), Span::from_mins(9), Span::from_hours(2)];
    for (wait, had_one) in waits.into_iter().flat_map(|wait| [(wait, false), (wait, true)]) {
        story(true, |case| {
            case.tools.make(Destination::Customerio, USER, true);
            if had_one {
                case.tools.identifies(USER, false);
            }
            case.drain(Span::from_secs(1));
            case.tools.delete(Destination::Intercom, USER, false);
            case.tools.chooses(Destination::Segment, USER, Choice::Out);
            case.drain(wait);
            case.tools.make(Destination::Intercom, USER, true);
            case.drain(Span::from_secs(3));
            is_out_everywhere(case);
        });
    }
}
