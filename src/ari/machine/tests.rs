use super::*;
use crate::testing::epoch;

const DONE: Reply = Reply::Done { peer: None };

fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4000))
}

fn drain(machine: &mut CallMachine) -> Vec<Command> {
    std::iter::from_fn(|| machine.poll_command()).collect()
}

fn machine() -> CallMachine {
    let mut machine = CallMachine::new(epoch(), OnEnd::Hangup, OnEnd::Continue);
    assert_eq!(drain(&mut machine).len(), 3);
    machine
}

fn give(machine: &mut CallMachine, inputs: &[Input]) -> Vec<Command> {
    for input in inputs {
        machine.handle(epoch(), *input);
    }
    drain(machine)
}

fn up() -> CallMachine {
    let mut machine = machine();
    give(
        &mut machine,
        &[
            Input::Reply(Request::AnswerCaller, DONE),
            Input::Reply(Request::CreateBridge, DONE),
            Input::ExternalEntered,
            Input::Reply(Request::CreateExternal, Reply::Done { peer: Some(peer()) }),
            Input::Reply(Request::JoinCaller, DONE),
            Input::Reply(Request::JoinExternal, DONE),
        ],
    );
    assert!(machine.is_up());
    machine
}

#[test]
fn the_external_channel_may_enter_before_the_answer_to_its_creation() {
    let mut machine = machine();
    let commands = give(
        &mut machine,
        &[
            Input::ExternalEntered,
            Input::Reply(Request::CreateBridge, DONE),
            Input::Reply(Request::CreateExternal, Reply::Done { peer: Some(peer()) }),
            Input::Reply(Request::AnswerCaller, DONE),
        ],
    );
    assert_eq!(
        commands,
        [
            Command::Ask(Request::JoinExternal),
            Command::SetPeer(peer()),
            Command::Ask(Request::JoinCaller),
        ],
    );
}

#[test]
fn a_caller_who_leaves_ends_everything_once() {
    let mut machine = up();
    let commands = give(&mut machine, &[Input::CallerGone, Input::CallerGone]);
    assert_eq!(
        commands,
        [
            Command::EndMedia(EndReason::CallerGone),
            Command::Ask(Request::RemoveExternal),
            Command::Ask(Request::RemoveBridge),
        ],
    );
    let late = give(
        &mut machine,
        &[
            Input::MediaEnded(EndReason::CallerGone),
            Input::Reply(Request::RemoveExternal, Reply::Absent),
            Input::ExternalGone,
            Input::Reply(Request::RemoveBridge, DONE),
        ],
    );
    assert!(late.is_empty() && machine.is_finished());
}

#[test]
fn media_that_ended_is_not_ended_again_and_the_caller_is_hung_up() {
    let mut machine = up();
    let commands = give(&mut machine, &[Input::MediaEnded(EndReason::Requested)]);
    assert_eq!(
        commands,
        [Request::HangupCaller, Request::RemoveExternal, Request::RemoveBridge].map(Command::Ask),
    );
}

#[test]
fn what_is_not_answered_yet_is_removed_after_the_answer() {
    let mut machine = machine();
    assert_eq!(
        give(&mut machine, &[Input::CallerGone]),
        [Command::EndMedia(EndReason::CallerGone)],
    );
    assert_eq!(
        give(&mut machine, &[Input::Reply(Request::CreateBridge, DONE)]),
        [Command::Ask(Request::RemoveBridge)],
    );
    // Without an answer it may have been made all the same.
    assert_eq!(
        give(&mut machine, &[Input::Reply(Request::CreateExternal, Reply::Failed)]),
        [Command::Ask(Request::RemoveExternal)],
    );
}

#[test]
fn a_failed_set_up_strands_the_caller_as_configured() {
    let mut machine = machine();
    let commands = give(
        &mut machine,
        &[
            Input::Reply(Request::CreateBridge, DONE),
            Input::Reply(Request::CreateExternal, Reply::Failed),
        ],
    );
    assert_eq!(
        commands,
        [
            Command::Ask(Request::RemoveExternal),
            Command::EndMedia(EndReason::SetupFailed),
            Command::Ask(Request::ContinueCaller),
            Command::Ask(Request::RemoveBridge),
        ],
    );
}

#[test]
fn a_set_up_that_takes_too_long_fails() {
    let mut machine = machine();
    let due = machine.wake().unwrap();
    machine.handle(due, Input::Timeout);
    assert_eq!(
        drain(&mut machine),
        [Command::EndMedia(EndReason::SetupFailed), Command::Ask(Request::ContinueCaller),],
    );
}

#[test]
fn a_removal_that_fails_is_tried_again_and_given_up_in_the_end() {
    let mut machine = up();
    give(&mut machine, &[Input::CallerGone, Input::BridgeGone]);
    let mut attempts = 1;
    let mut waited = Duration::ZERO;
    let start = epoch();
    while !machine.is_finished() {
        machine.handle(start + waited, Input::Reply(Request::RemoveExternal, Reply::Failed));
        if let Some(due) = machine.wake() {
            waited = due - start;
            machine.handle(due, Input::Timeout);
            assert_eq!(drain(&mut machine), [Command::Ask(Request::RemoveExternal)]);
            attempts += 1;
        }
    }
    assert_eq!(attempts, MAX_ATTEMPTS);
    assert_eq!(waited, Duration::from_millis(15_500));
}

fn transferred(machine: &mut CallMachine) {
    assert_eq!(
        give(machine, &[Input::MediaEnded(EndReason::Transferred)]),
        [Request::TransferCaller, Request::RemoveExternal, Request::RemoveBridge].map(Command::Ask),
    );
}

#[test]
fn a_caller_who_is_sent_somewhere_is_neither_hung_up_nor_sent_anywhere_else() {
    let mut machine = up();
    transferred(&mut machine);
    let rest = give(
        &mut machine,
        &[
            Input::Reply(Request::TransferCaller, DONE),
            Input::CallerGone,
            Input::Reply(Request::RemoveExternal, DONE),
            Input::Reply(Request::RemoveBridge, DONE),
        ],
    );
    assert!(rest.is_empty() && machine.is_finished());
}

#[test]
fn a_caller_whose_destination_is_refused_is_let_go_as_configured() {
    let mut machine = up();
    transferred(&mut machine);
    assert_eq!(
        give(&mut machine, &[Input::Reply(Request::TransferCaller, Reply::Refused)]),
        [Command::TransferFailed, Command::Ask(Request::HangupCaller)],
    );
    // What is asked instead is tried as often as anything else.
    give(&mut machine, &[Input::Reply(Request::HangupCaller, Reply::Failed)]);
    machine.handle(machine.wake().unwrap(), Input::Timeout);
    assert_eq!(drain(&mut machine), [Command::Ask(Request::HangupCaller)]);
}

#[test]
fn a_transfer_that_fails_is_tried_again_before_the_caller_is_let_go_otherwise() {
    let mut machine = up();
    transferred(&mut machine);
    for attempt in 1..=MAX_ATTEMPTS {
        let now = machine.wake().unwrap_or_else(epoch);
        machine.handle(now, Input::Reply(Request::TransferCaller, Reply::Failed));
        if attempt < MAX_ATTEMPTS {
            machine.handle(machine.wake().unwrap(), Input::Timeout);
            assert_eq!(drain(&mut machine), [Command::Ask(Request::TransferCaller)]);
        }
    }
    assert_eq!(drain(&mut machine), [Command::TransferFailed, Command::Ask(Request::HangupCaller)],);
}

#[test]
fn a_transfer_whose_caller_has_gone_meanwhile_has_not_failed() {
    for gone in [Input::CallerGone, Input::Reply(Request::TransferCaller, Reply::Absent)] {
        let mut machine = up();
        transferred(&mut machine);
        let late = Input::Reply(Request::TransferCaller, Reply::Failed);
        assert_eq!(give(&mut machine, &[gone, late]), []);
    }
}
