use super::ids::{Ids, Role};
use super::types::{Bridge, Channel};
use crate::call::CallId;

/// One of our calls, as it is known here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveCall {
    /// The call.
    pub id: CallId,
    /// Id of the caller's channel.
    pub caller: String,
    /// It was up when the lists were asked for: what they lack of it is gone.
    pub settled: bool,
}

/// What differs between Asterisk's lists and our calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// External channels of ours that belong to no call.
    pub orphan_channels: Vec<String>,
    /// Bridges of ours that belong to no call.
    pub orphan_bridges: Vec<String>,
    /// Callers in our application who belong to no call. One who has just entered is among them:
    /// look again a little later whether the call has begun.
    pub waiting_callers: Vec<String>,
    /// Calls whose caller is gone, or has left our application.
    pub without_caller: Vec<CallId>,
    /// Calls whose external channel is gone.
    pub without_external: Vec<CallId>,
    /// Calls whose bridge is gone.
    pub without_bridge: Vec<CallId>,
    /// Calls whose external channel is in our application.
    pub with_external: Vec<CallId>,
}

/// Compares what Asterisk has with the calls that we have.
#[must_use]
pub fn reconcile(
    app: &str,
    ids: &Ids,
    channels: &[Channel],
    bridges: &[Bridge],
    calls: &[LiveCall],
) -> Findings {
    let mut findings = Findings::default();
    let known = |call: CallId| calls.iter().any(|live| live.id == call);
    for channel in channels {
        match ids.parse(&channel.id) {
            Some((call, Role::Media)) if known(call) => findings.with_external.push(call),
            Some(_) => findings.orphan_channels.push(channel.id.clone()),
            None if channel.is_in(app) && !calls.iter().any(|live| live.caller == channel.id) => {
                findings.waiting_callers.push(channel.id.clone());
            }
            None => {}
        }
    }
    for bridge in bridges {
        if let Some((call, _)) = ids.parse(&bridge.id)
            && !known(call)
        {
            findings.orphan_bridges.push(bridge.id.clone());
        }
    }
    for LiveCall { id, caller, .. } in calls.iter().filter(|live| live.settled) {
        if !channels.iter().any(|channel| channel.id == *caller && channel.is_in(app)) {
            findings.without_caller.push(*id);
        }
        if !findings.with_external.contains(id) {
            findings.without_external.push(*id);
        }
        let bridge = ids.name(*id, Role::Bridge);
        if !bridges.iter().any(|there| there.id == bridge) {
            findings.without_bridge.push(*id);
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ari::types::Dialplan;

    fn channel(id: &str, app_data: &str) -> Channel {
        let app_name = if app_data.is_empty() { "" } else { "Stasis" };
        let (app_name, app_data) = (app_name.into(), app_data.into());
        let dialplan = Dialplan { app_name, app_data, ..Dialplan::default() };
        Channel { id: id.into(), dialplan, ..Channel::default() }
    }

    fn bridge(id: &str) -> Bridge {
        Bridge { id: id.into(), channels: Vec::new() }
    }

    fn call(n: u128) -> CallId {
        CallId::new(Uuid::from_u128(n))
    }

    fn live(n: u128, caller: &str, settled: bool) -> LiveCall {
        LiveCall { id: call(n), caller: caller.into(), settled }
    }

    #[test]
    fn what_belongs_to_no_call_is_an_orphan_and_foreign_things_are_left_alone() {
        let ids = Ids::new("sidetone");
        let (media, mixing) = (ids.name(call(1), Role::Media), ids.name(call(1), Role::Bridge));
        let channels = [
            channel(&media, "sidetone"),
            channel("1.1", "sidetone,echo"),
            channel("1.2", "other,echo"),
            channel("1.3", ""),
        ];
        let bridges = [bridge(&mixing), bridge("somebody's")];
        let findings = reconcile("sidetone", &ids, &channels, &bridges, &[]);
        assert_eq!(
            findings,
            Findings {
                orphan_channels: vec![media],
                orphan_bridges: vec![mixing],
                waiting_callers: vec!["1.1".into()],
                ..Findings::default()
            },
        );
    }

    #[test]
    fn a_call_that_lives_is_left_alone() {
        let ids = Ids::new("sidetone");
        let channels =
            [channel(&ids.name(call(1), Role::Media), ""), channel("1.1", "sidetone,echo")];
        let bridges = [bridge(&ids.name(call(1), Role::Bridge))];
        let calls = [live(1, "1.1", true)];
        let findings = reconcile("sidetone", &ids, &channels, &bridges, &calls);
        assert_eq!(findings, Findings { with_external: vec![call(1)], ..Findings::default() });
    }

    #[test]
    fn a_settled_call_of_which_nothing_is_there_is_gone_and_a_new_one_is_not() {
        let ids = Ids::new("sidetone");
        let calls = [live(1, "1.1", true), live(2, "1.2", false)];
        let findings = reconcile("sidetone", &ids, &[], &[], &calls);
        assert_eq!(findings.without_caller, [call(1)]);
        assert_eq!(findings.without_external, [call(1)]);
        assert_eq!(findings.without_bridge, [call(1)]);
    }
}
