//! Every state that can be reached: two clients, two instances, everything that can go wrong at every step.

use protocol_model::{Action, Budget, Mistake, Phase, State};
use stateright::{Checker, HasDiscoveries, Model, Property};

struct Protocol(Budget, Mistake);

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.0, self.1)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.actions());
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        state.next(action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no request is answered twice", |_, state: &State| state.is_answered_once()),
            Property::always("each request is done once", |_, state: &State| state.is_done_once()),
            Property::always("no answered request is lost", |_, state: &State| state.is_nothing_lost()),
            Property::always("one receiver", |_, state: &State| state.is_one_receiver()),
            // No action can be repeated for ever, so that every path ends.
            Property::always("every request is answered", |_, state: &State| {
                !state.actions().is_empty() || state.is_over()
            }),
            // What makes the rest worth something.
            Property::sometimes("an instance dies between store and answer", |_, state: &State| {
                let dead = state.instances.iter().flatten().any(|instance| instance.phase == Phase::Dead);
                dead && state.store.last.is_some_and(|(token, _)| state.progress.contains(&token))
            }),
        ]
    }
}

const ALL: Budget = Budget { calls: 2, crashes: 2, hangs: 1, refusals: 1, swaps: 1 };

#[test]
fn nothing_goes_wrong() {
    let checker = Protocol(ALL, Mistake::None).checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    assert!(checker.unique_state_count() > 10_000, "only {} states", checker.unique_state_count());
    checker.assert_properties();
}

/// The model finds each mistake that it can be told to make.
#[test]
fn mistakes_are_found() {
    let cases = [
        (Mistake::AnswersFirst, "no answered request is lost"),
        (Mistake::ForgetsTheLast, "each request is done once"),
        (Mistake::AdoptsNothing, "every request is answered"),
        (Mistake::StartsTooEarly, "one receiver"),
        (Mistake::KeepsTheBroken, "every request is answered"),
    ];
    let less = Budget { calls: 1, crashes: 1, ..ALL };
    for (mistake, property) in cases {
        let checker = Protocol(less, mistake).checker().finish_when(HasDiscoveries::All).spawn_bfs().join();
        assert!(checker.discovery(property).is_some(), "{mistake:?} does not break `{property}`");
    }
}

/// A core that delivers stale answers is only found out together with two receivers: it is the second line of defence.
#[test]
fn stale_answers_need_two_receivers() {
    let checker = Protocol(ALL, Mistake::DeliversStale).checker().spawn_bfs().join();
    assert!(checker.discovery("no request is answered twice").is_none());
}
