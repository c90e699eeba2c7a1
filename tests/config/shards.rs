//! The shards: how many there are, and their nice value.

use super::Given;

#[test]
fn their_nice_value_is_never_above_that_of_the_process() {
    assert_eq!(Given::file("").config().runtime.shard_nice, 0);
    let runtime = Given::file("[server]\nshard_nice = -20\nshards = 3").config().runtime;
    assert_eq!((runtime.shard_nice, runtime.shards), (-20, 3));
    let error = Given::file("[server]\nshard_nice = 1").only_error();
    assert!(error.ends_with("server.shard_nice: 1 is not allowed; allowed: -20 to 0"), "{error}");
}

#[test]
fn every_shard_has_a_port() {
    let text = |port: u32| format!("[server]\nshards = 4\n[rtp]\nport = {port}");
    let error = Given::file(&text(65_533)).only_error();
    assert!(error.contains("rtp.port: 4 shards take the ports from 65533 to 65536"), "{error}");
    Given::file(&text(65_532)).config();
    Given::file(&text(0)).config();
}
