//! What requests do in the peer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{APP, State, Step, channel_json, lock};

impl State {
    /// Carries a request out as Asterisk does; answers status and body.
    pub(super) fn carry_out(
        &mut self,
        shared: &Arc<Mutex<State>>,
        step: Step,
        method: &str,
        path: &[String],
        query: &BTreeMap<String, String>,
        media_port: u16,
    ) -> (u16, String) {
        let none = (204, String::new());
        let missing = (404, r#"{"message":"not found"}"#.to_owned());
        let id = path.get(1).cloned().unwrap_or_default();
        self.carried.push((step, id.clone()));
        match step {
            Step::List => self.list(shared, path),
            Step::Answer if self.is_in_app(&id) => none,
            Step::Answer => missing,
            Step::CreateBridge => {
                let id = query.get("bridgeId").cloned().unwrap_or(id);
                if self.bridges.contains_key(&id) {
                    return (409, r#"{"message":"already exists"}"#.to_owned());
                }
                self.bridges.insert(id.clone(), BTreeSet::new());
                (200, json!({"id": id, "channels": []}).to_string())
            }
            Step::CreateExternal => {
                let id = query["channelId"].clone();
                self.enter(&id, &[], true);
                let mut channel = channel_json(&id, &self.channels[&id]);
                channel["channelvars"] = json!({
                    "UNICASTRTP_LOCAL_ADDRESS": "0.0.0.0",
                    "UNICASTRTP_LOCAL_PORT": media_port.to_string(),
                });
                (200, channel.to_string())
            }
            Step::JoinCaller | Step::JoinExternal => {
                let channel = query["channel"].clone();
                if !self.is_in_app(&channel) {
                    return (422, r#"{"message":"Channel not in Stasis application"}"#.to_owned());
                }
                let Some(members) = self.bridges.get_mut(&id) else { return missing };
                members.insert(channel);
                none
            }
            Step::Release if method == "POST" => {
                if !self.is_in_app(&id) {
                    return missing;
                }
                self.leave(&id, false);
                self.pressed.push((id.clone(), "continue".to_owned()));
                self.continued.push(id);
                let part = |key: &str| query.get(key).cloned();
                let place = ["context", "extension", "priority"].iter().filter_map(|key| part(key));
                self.places.push(place.collect::<Vec<_>>().join(","));
                none
            }
            Step::Press if self.is_in_app(&id) => {
                self.pressed.push((id, query["dtmf"].clone()));
                none
            }
            Step::Press => missing,
            Step::LookUp => {
                let missing = format!("DIALPLAN_EXISTS({})", self.missing_place);
                let value = if query["variable"] == missing { "0" } else { "1" };
                (200, json!({"value": value}).to_string())
            }
            Step::Release | Step::RemoveExternal => {
                if self.leave(&id, true) {
                    none
                } else {
                    missing
                }
            }
            Step::RemoveBridge => {
                if self.bridges.remove(&id).is_some() {
                    none
                } else {
                    missing
                }
            }
        }
    }

    fn list(&mut self, shared: &Arc<Mutex<State>>, path: &[String]) -> (u16, String) {
        match path[0].as_str() {
            "channels" => {
                if let Some(delay) = self.slips_in.take() {
                    self.enter("slipped.1", &["echo"], false);
                    let shared = Arc::clone(shared);
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        let state = lock(&shared);
                        let channel = &state.channels["slipped.1"];
                        state.tell_of("StasisStart", "slipped.1", channel, &["echo"]);
                    });
                }
                let channels: Vec<_> =
                    self.channels.iter().map(|(id, channel)| channel_json(id, channel)).collect();
                (200, Value::from(channels).to_string())
            }
            "bridges" => {
                let bridges: Vec<_> = self
                    .bridges
                    .iter()
                    .map(|(id, channels)| json!({"id": id, "channels": channels}))
                    .collect();
                (200, Value::from(bridges).to_string())
            }
            "applications" => {
                let inside = self.channels.iter().filter(|(_, channel)| channel.in_app);
                let ids: Vec<_> = inside.map(|(id, _)| id.clone()).collect();
                if ids.is_empty() && self.stream.is_none() {
                    return (404, r#"{"message":"Application not found"}"#.to_owned());
                }
                let bridges: Vec<_> = self.bridges.keys().cloned().collect();
                (200, json!({"name": APP, "channel_ids": ids, "bridge_ids": bridges}).to_string())
            }
            other => panic!("no such list: {other}"),
        }
    }
}
